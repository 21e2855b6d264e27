"""{{name}}: compression by size and entropy."""

from wit_world import exports
from wit_world.exports.compression import Choice, Codec
from wit_world.imports.types import Description

KIB, MIB = 1 << 10, 1 << 20


def decide(profile):
    if profile.size_bytes < KIB:
        return Choice(Codec.NONE, 0, False, "under 1 KiB")
    if profile.entropy_bits_per_byte > 7.5:
        return Choice(Codec.NONE, 0, False, "over 7.5 bits a byte")
    if "real_time" in profile.flags:
        return Choice(Codec.LZ4, 0, False, "real_time")
    if profile.size_bytes < MIB:
        return Choice(Codec.ZSTD, 3, False, "under 1 MiB")
    return Choice(Codec.ZSTD, 12, False, "1 MiB or more")


class Compression(exports.Compression):
    def describe(self):
        return Description(
            name="{{name}}",
            version="{{version}}",
            summary="Compression by size and entropy",
            output_media_type="",
            config_schema='{"type":"object","additionalProperties":false}',
        )

    def choose(self, profile, config):
        return decide(profile)

    def choose_many(self, profiles, config):
        return [decide(profile) for profile in profiles]
