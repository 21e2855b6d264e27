"""Corpora as bytes: lines `word TAB count`, sorted by the bytes of the word, each word once."""

COUNT_MAX = 2**64 - 1
WORD_BYTES_MAX = 1024
PIECE_BYTES = 1 << 20


def read_all(source):
    """The bytes of an input, read in the largest pieces that the host gives."""
    pieces, offset = [], 0
    while piece := source.read(offset, PIECE_BYTES):
        pieces.append(piece)
        offset += len(piece)
    return b"".join(pieces)


def check_utf8(data, name):
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{name}: byte {error.start} is not UTF-8") from None


def parse(data, name):
    """Yield (word, count) of a corpus. ValueError tells the first line that breaks the format."""
    check_utf8(data, name)
    if data and not data.endswith(b"\n"):
        raise ValueError(f"{name}: the last line has no line feed")
    previous = b""
    for number, line in enumerate(data.split(b"\n")[:-1], 1):
        word, _, digits = line.partition(b"\t")
        if not word or len(word) > WORD_BYTES_MAX or b"\r" in word:
            raise ValueError(f"{name}: line {number}: expected a word of 1 to {WORD_BYTES_MAX} bytes")
        if not digits.isdigit() or digits.startswith(b"0") or len(digits) > 20 or int(digits) > COUNT_MAX:
            raise ValueError(f"{name}: line {number}: expected a tab and a count of 1 to 2^64 - 1")
        if word <= previous:
            raise ValueError(f"{name}: line {number}: the word does not come after the one before it")
        yield word, int(digits)
        previous = word


def union(corpora):
    """Counts of the words of all inputs, summed."""
    counts = {}
    for index, corpus in enumerate(corpora):
        for word, count in parse(read_all(corpus), f"corpus {index}"):
            counts[word] = min(counts.get(word, 0) + count, COUNT_MAX)
    return counts


def encode(counts):
    """The corpus of these counts, as bytes."""
    return b"".join(b"%s\t%d\n" % (word, counts[word]) for word in sorted(counts))
