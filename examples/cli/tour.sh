#!/bin/sh
# From texts to answers on the command line, with JSON for programs and no tool beside the shell.
#
#   FLORET=target/release/floret sh examples/cli/tour.sh [FOLDER]
#
# Without a folder the data go into a temporary one, which is removed at the end.
set -eu

floret=${FLORET:-floret}
texts=$(CDPATH='' cd -- "$(dirname -- "$0")/../state-of-the-union/speeches" && pwd)
if [ $# -gt 0 ]; then
    FLORET_DATA=$1
else
    FLORET_DATA=$(mktemp -d)
    trap 'rm -rf "$FLORET_DATA"' EXIT
fi
export FLORET_DATA

# Save: each text is a resource, TYPE/ID. What is known of it goes along.
"$floret" save literature/lincoln-1862 "$texts/1862-Lincoln-1.txt" --author "Abraham Lincoln" --year 1862
"$floret" save literature/lincoln-1863 "$texts/1863-Lincoln-1.txt" --author "Abraham Lincoln" --year 1863
"$floret" save literature/grant-1869 "$texts/1869-Grant-1.txt" --author "Ulysses S. Grant" --year 1869

# Build: a corpus of the texts whose ids begin so, a master over both, two indexes and a composite one.
"$floret" corpus create corpus/lincoln --texts literature/lincoln-
"$floret" corpus create corpus/grant --texts literature/grant-
"$floret" corpus create corpus/presidents --child corpus/lincoln --child corpus/grant
"$floret" build trie/presidents --from corpus/presidents
"$floret" build semantic/presidents --from corpus/presidents
"$floret" build search/presidents --part corpus/presidents --part trie/presidents --part semantic/presidents

# Search. In a pipe, tables are lines with a tab between fields: word first, count second.
echo "nearest to 'libertty':"
"$floret" search search/presidents libertty --limit 3 | while IFS="$(printf '\t')" read -r word count _; do
    echo "  $word, $count times"
done

# JSON: one document, whose members stay. Here one member is taken out with sed; a program has a parser.
seq=$("$floret" --json save literature/lincoln-1862 "$texts/1862-Lincoln-1.txt" --author "Abraham Lincoln" --year 1862 |
    sed -n 's/.*"seq":\([0-9]*\).*/\1/p')
echo "saving it again makes no new version: it is still @$seq"

# Change: what depends on the text and really changed is rebuilt, the rest is as it was.
{ cat "$texts/1863-Lincoln-1.txt"; echo "May every floret of the Union bloom."; } |
    "$floret" save literature/lincoln-1863 - --author "Abraham Lincoln" --year 1863
"$floret" why corpus/presidents

# Errors: a message with a stable code in brackets, and an exit code by what to do about it.
if "$floret" get literature/nobody 2>"$FLORET_DATA/error"; then
    echo "nobody is there?" >&2
    exit 1
else
    echo "exit code $?: $(cat "$FLORET_DATA/error")"
fi
rm "$FLORET_DATA/error"
"$floret" explain not_found | head -n 3

# Trust: every invariant, and every build made again and compared byte for byte.
"$floret" verify --rebuild
