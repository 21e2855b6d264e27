"""The index and the searching of it. The module is named as the contract's interface is.

    index  = "floret-sorted 1 " words " " bytes LF corpus    ; decimal: lines and bytes of the corpus
"""

import re
from bisect import bisect_left

import corpus_format
from componentize_py_types import Err
from wit_world.exports.builder import Hit, Query_Exact, Query_Prefix
from wit_world.imports.types import Error_InvalidInput, Error_Unsupported

HEADER = re.compile(rb"floret-sorted 1 (\d{1,19}) (\d{1,19})\n")


def encode(counts):
    corpus = corpus_format.encode(counts)
    return b"floret-sorted 1 %d %d\n" % (len(counts), len(corpus)) + corpus


def decode(data):
    """Words and counts of an index; ValueError if it is none."""
    header = HEADER.match(data)
    if header is None:
        raise ValueError("index 0: it does not begin with the header of floret-sorted 1")
    corpus = data[header.end():]
    entries = list(corpus_format.parse(corpus, "index 0"))
    if int(header[1]) != len(entries) or int(header[2]) != len(corpus):
        raise ValueError(f"index 0: expected {int(header[2])} bytes behind the header, got {len(corpus)}")
    return [word for word, _ in entries], [count for _, count in entries]


class Searcher:
    def __init__(self, words, counts):
        self.words, self.counts = words, counts

    @classmethod
    def open(cls, index):
        try:
            return cls(*decode(corpus_format.read_all(index)))
        except ValueError as error:
            raise Err(Error_InvalidInput(str(error)))

    def search(self, query, limit):
        if isinstance(query, Query_Exact):
            text = query.value.encode()
            place = bisect_left(self.words, text)
            found = [place] if place < len(self.words) and self.words[place] == text else []
        elif isinstance(query, Query_Prefix):
            text = query.value.encode()
            # No byte of UTF-8 is 0xff, so it stands behind all that begins with the text.
            found = range(bisect_left(self.words, text), bisect_left(self.words, text + b"\xff"))
            found = sorted(found, key=lambda place: (-self.counts[place], place))
        else:
            raise Err(Error_Unsupported("only exact and prefix are answered"))
        return [self.hit(place) for place in found[:limit]]

    def hit(self, place):
        count = self.counts[place]
        return Hit(word=self.words[place].decode(), frequency=count, distance=0, score=float(count))
