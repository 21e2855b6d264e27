// {{name}}: counts the words of texts.

#include "corpus_format.h"

typedef exports_floret_corpus_builder_error_t error_t;
typedef exports_floret_corpus_builder_corpus_statistics_t statistics_t;

void exports_floret_corpus_builder_describe(exports_floret_corpus_builder_description_t *ret) {
  plugin_string_dup(&ret->name, "{{name}}");
  plugin_string_dup(&ret->version, "{{version}}");
  plugin_string_dup(&ret->summary, "Counts the words of texts");
  plugin_string_dup(&ret->output_media_type, "text/vnd.floret.corpus; version=1");
  plugin_string_dup(&ret->config_schema, "{\"type\":\"object\",\"additionalProperties\":false}");
}

static bool refuse(error_t *err) {
  err->tag = FLORET_TYPES_TYPES_ERROR_INVALID_INPUT;
  plugin_string_dup(&err->val.invalid_input, fault);
  return false;
}

static bool write(const entries_t *entries, floret_types_io_own_sink_t out, statistics_t *ret) {
  bytes_t corpus = encode(entries);
  plugin_list_u8_t list = {corpus.data, corpus.length};
  floret_types_io_method_sink_write(floret_types_io_borrow_sink(out), &list);
  floret_types_io_sink_drop_own(out);
  *ret = (statistics_t){entries->length, 0};
  for (size_t at = 0; at < entries->length; at++) {
    uint64_t count = entries->items[at].count, total = ret->total_tokens;
    ret->total_tokens = count > UINT64_MAX - total ? UINT64_MAX : total + count;
  }
  return true;
}

// ASCII letters and digits and whatever is beyond ASCII make a word.
static bool in_word(uint8_t byte) {
  return byte >= 0x80 || (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z');
}

// Add the words of a text, ASCII letters in lower case. Words too long for a corpus are passed over.
static void count_words(bytes_t text, entries_t *into) {
  for (size_t at = 0; at < text.length; at++) {
    if (text.data[at] >= 'A' && text.data[at] <= 'Z') text.data[at] += 'a' - 'A';
  }
  for (size_t at = 0; at < text.length;) {
    size_t begin = at;
    while (at < text.length && in_word(text.data[at])) at++;
    if (at > begin && at - begin <= WORD_BYTES_MAX) add(into, text.data + begin, at - begin, 1);
    if (at == begin) at++;
  }
}

bool exports_floret_corpus_builder_build(exports_floret_corpus_builder_list_own_input_t *documents,
                                         plugin_string_t *config, floret_types_io_own_sink_t out,
                                         statistics_t *ret, error_t *err) {
  (void)config;  // the schema allows nothing but {}
  entries_t entries = {0};
  for (size_t index = 0; index < documents->len; index++) {
    bytes_t text = read_all(documents->ptr[index]);
    if (!check_utf8(&text, 0, "document", index)) return refuse(err);
    count_words(text, &entries);
  }
  sort_and_sum(&entries);
  return write(&entries, out, ret);
}

bool exports_floret_corpus_builder_merge(exports_floret_corpus_builder_list_own_input_t *corpora,
                                         floret_types_io_own_sink_t out, statistics_t *ret, error_t *err) {
  entries_t entries = {0};
  return parse_all(corpora->ptr, corpora->len, &entries) ? write(&entries, out, ret) : refuse(err);
}

bool exports_floret_corpus_builder_analyze(floret_types_io_own_input_t document, plugin_string_t *config,
                                           exports_floret_corpus_builder_text_statistics_t *ret, error_t *err) {
  (void)document, (void)config, (void)ret;
  err->tag = FLORET_TYPES_TYPES_ERROR_UNSUPPORTED;
  plugin_string_dup(&err->val.unsupported, "{{name}} does not judge texts");
  return false;
}
