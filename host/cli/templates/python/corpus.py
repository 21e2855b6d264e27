"""{{name}}: counts the words of texts."""

import re
from collections import Counter

import corpus_format
from componentize_py_types import Err
from wit_world import exports
from wit_world.exports.builder import CorpusStatistics
from wit_world.imports.types import Description, Error_InvalidInput, Error_Unsupported

# ASCII letters and digits and whatever is beyond ASCII make a word.
WORD = re.compile(rb"[0-9A-Za-z\x80-\xff]+")


def count_words(data, counts):
    """Add the words of a text, ASCII letters in lower case. Words too long for a corpus are passed over."""
    counts.update(word for word in WORD.findall(data.lower()) if len(word) <= corpus_format.WORD_BYTES_MAX)


def write(counts, out):
    out.write(corpus_format.encode(counts))
    total = min(sum(counts.values()), corpus_format.COUNT_MAX)
    return CorpusStatistics(vocabulary_size=len(counts), total_tokens=total)


class Builder(exports.Builder):
    def describe(self):
        return Description(
            name="{{name}}",
            version="{{version}}",
            summary="Counts the words of texts",
            output_media_type="text/vnd.floret.corpus; version=1",
            config_schema='{"type":"object","additionalProperties":false}',
        )

    def build(self, documents, config, out):
        counts = Counter()
        try:
            for index, document in enumerate(documents):
                data = corpus_format.read_all(document)
                corpus_format.check_utf8(data, f"document {index}")
                count_words(data, counts)
        except ValueError as error:
            raise Err(Error_InvalidInput(str(error)))
        return write(counts, out)

    def merge(self, corpora, out):
        try:
            return write(corpus_format.union(corpora), out)
        except ValueError as error:
            raise Err(Error_InvalidInput(str(error)))

    def analyze(self, document, config):
        raise Err(Error_Unsupported("{{name}} does not judge texts"))
