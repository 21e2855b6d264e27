// {{name}}: compression by size and entropy.

#include <stdlib.h>
#include <string.h>

#include "plugin.h"

#define KIB (1 << 10)
#define MIB (1 << 20)

typedef exports_floret_policy_compression_choice_t choice_t;
typedef exports_floret_policy_compression_profile_t profile_t;

void exports_floret_policy_compression_describe(exports_floret_policy_compression_description_t *ret) {
  plugin_string_dup(&ret->name, "{{name}}");
  plugin_string_dup(&ret->version, "{{version}}");
  plugin_string_dup(&ret->summary, "Compression by size and entropy");
  plugin_string_dup(&ret->output_media_type, "");
  plugin_string_dup(&ret->config_schema, "{\"type\":\"object\",\"additionalProperties\":false}");
}

static bool has_flag(const profile_t *profile, const char *name) {
  for (size_t at = 0; at < profile->flags.len; at++) {
    plugin_string_t flag = profile->flags.ptr[at];
    if (flag.len == strlen(name) && memcmp(flag.ptr, name, flag.len) == 0) return true;
  }
  return false;
}

static void decide(const profile_t *profile, choice_t *choice) {
  uint8_t codec = EXPORTS_FLORET_POLICY_COMPRESSION_CODEC_NONE;
  int32_t level = 0;
  const char *reason = "under 1 KiB";
  if (profile->size_bytes >= KIB && profile->entropy_bits_per_byte > 7.5f) {
    reason = "over 7.5 bits a byte";
  } else if (profile->size_bytes >= KIB && has_flag(profile, "real_time")) {
    codec = EXPORTS_FLORET_POLICY_COMPRESSION_CODEC_LZ4, reason = "real_time";
  } else if (profile->size_bytes >= MIB) {
    codec = EXPORTS_FLORET_POLICY_COMPRESSION_CODEC_ZSTD, level = 12, reason = "1 MiB or more";
  } else if (profile->size_bytes >= KIB) {
    codec = EXPORTS_FLORET_POLICY_COMPRESSION_CODEC_ZSTD, level = 3, reason = "under 1 MiB";
  }
  choice->codec = codec;
  choice->level = level;
  choice->delta = false;
  plugin_string_dup(&choice->reason, reason);
}

bool exports_floret_policy_compression_choose(profile_t *profile, plugin_string_t *config, choice_t *ret,
                                              exports_floret_policy_compression_error_t *err) {
  (void)err;
  decide(profile, ret);
  exports_floret_policy_compression_profile_free(profile);  // what comes in is ours to free
  plugin_string_free(config);
  return true;
}

bool exports_floret_policy_compression_choose_many(exports_floret_policy_compression_list_profile_t *profiles,
                                                   plugin_string_t *config,
                                                   exports_floret_policy_compression_list_choice_t *ret,
                                                   exports_floret_policy_compression_error_t *err) {
  (void)err;
  ret->len = profiles->len;
  ret->ptr = malloc(profiles->len * sizeof(choice_t));
  if (ret->ptr == NULL && profiles->len > 0) abort();
  for (size_t at = 0; at < profiles->len; at++) decide(&profiles->ptr[at], &ret->ptr[at]);
  exports_floret_policy_compression_list_profile_free(profiles);
  plugin_string_free(config);
  return true;
}
