"""{{name}}: a sorted list of words, searched by word and by prefix."""

import builder
import corpus_format
from componentize_py_types import Err
from wit_world import exports
from wit_world.exports.builder import Mode
from wit_world.imports.types import Description, Error_InvalidInput, Statistic, StatisticValue_Count


class Builder(exports.Builder):
    def describe(self):
        return Description(
            name="{{name}}",
            version="{{version}}",
            summary="A sorted list of words, searched by word and by prefix",
            output_media_type="application/vnd.floret.sorted; version=1",
            config_schema='{"type":"object","additionalProperties":false}',
        )

    def modes(self):
        return [Mode.EXACT, Mode.PREFIX]

    def build(self, corpora, config, out):
        try:
            counts = corpus_format.union(corpora)
        except ValueError as error:
            raise Err(Error_InvalidInput(str(error)))
        out.write(builder.encode(counts))
        return [Statistic("word_count", StatisticValue_Count(len(counts)))]
