// {{name}}: compression by size and entropy.

const KIB = 1 << 10;
const MIB = 1 << 20;

function decide(profile) {
  const choice = (codec, level, reason) => ({ codec, level, delta: false, reason });
  if (profile.sizeBytes < KIB) return choice("none", 0, "under 1 KiB");
  if (profile.entropyBitsPerByte > 7.5) return choice("none", 0, "over 7.5 bits a byte");
  if (profile.flags.includes("real_time")) return choice("lz4", 0, "real_time");
  if (profile.sizeBytes < MIB) return choice("zstd", 3, "under 1 MiB");
  return choice("zstd", 12, "1 MiB or more");
}

export const compression = {
  describe() {
    return {
      name: "{{name}}",
      version: "{{version}}",
      summary: "Compression by size and entropy",
      outputMediaType: "",
      configSchema: '{"type":"object","additionalProperties":false}',
    };
  },

  choose(profile, config) {
    return decide(profile);
  },

  chooseMany(profiles, config) {
    return profiles.map(decide);
  },
};
