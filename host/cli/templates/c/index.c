// {{name}}: a sorted list of words, searched by word and by prefix.
//
//   index = "floret-sorted 1 " words " " bytes LF corpus    ; decimal: lines and bytes of the corpus

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "corpus_format.h"

typedef exports_floret_index_builder_error_t error_t;
typedef exports_floret_index_builder_hit_t hit_t;
typedef exports_floret_index_builder_searcher_t searcher_t;

#define HEADER "floret-sorted 1 "

// An opened index. The words of the entries lie in its bytes.
struct exports_floret_index_builder_searcher_t {
  bytes_t bytes;
  entries_t entries;
};

void exports_floret_index_builder_describe(exports_floret_index_builder_description_t *ret) {
  plugin_string_dup(&ret->name, "{{name}}");
  plugin_string_dup(&ret->version, "{{version}}");
  plugin_string_dup(&ret->summary, "A sorted list of words, searched by word and by prefix");
  plugin_string_dup(&ret->output_media_type, "application/vnd.floret.sorted; version=1");
  plugin_string_dup(&ret->config_schema, "{\"type\":\"object\",\"additionalProperties\":false}");
}

void exports_floret_index_builder_modes(exports_floret_index_builder_list_mode_t *ret) {
  ret->len = 2;
  ret->ptr = take(2 * sizeof *ret->ptr);
  ret->ptr[0] = EXPORTS_FLORET_INDEX_BUILDER_MODE_EXACT;
  ret->ptr[1] = EXPORTS_FLORET_INDEX_BUILDER_MODE_PREFIX;
}

static bool refuse(error_t *err) {
  err->tag = FLORET_TYPES_TYPES_ERROR_INVALID_INPUT;
  plugin_string_dup(&err->val.invalid_input, fault);
  return false;
}

static void write(floret_types_io_own_sink_t out, uint8_t *data, size_t length) {
  plugin_list_u8_t list = {data, length};
  floret_types_io_method_sink_write(floret_types_io_borrow_sink(out), &list);
}

bool exports_floret_index_builder_build(exports_floret_index_builder_list_own_input_t *corpora,
                                        plugin_string_t *config, floret_types_io_own_sink_t out,
                                        exports_floret_index_builder_list_statistic_t *ret, error_t *err) {
  (void)config;  // the schema allows nothing but {}
  entries_t entries = {0};
  if (!parse_all(corpora->ptr, corpora->len, &entries)) return refuse(err);
  bytes_t corpus = encode(&entries);
  char header[64];
  int length = snprintf(header, sizeof header, HEADER "%zu %zu\n", entries.length, corpus.length);
  write(out, (uint8_t *)header, (size_t)length);
  write(out, corpus.data, corpus.length);
  floret_types_io_sink_drop_own(out);
  ret->len = 1;
  ret->ptr = take(sizeof *ret->ptr);
  plugin_string_dup(&ret->ptr->name, "word_count");
  ret->ptr->value.tag = FLORET_TYPES_TYPES_STATISTIC_VALUE_COUNT;
  ret->ptr->value.val.count = entries.length;
  return true;
}

// A decimal number at `*at`, which is moved behind it and the character `end`; false if there is none.
static bool number(const bytes_t *bytes, size_t *at, char end, size_t *value) {
  size_t begin = *at;
  for (*value = 0; *at < bytes->length && bytes->data[*at] >= '0' && bytes->data[*at] <= '9'; ++*at) {
    if (*at - begin >= 9) return false;  // more than an index of this format can have
    *value = *value * 10 + (size_t)(bytes->data[*at] - '0');
  }
  return *at > begin && *at < bytes->length && bytes->data[(*at)++] == (uint8_t)end;
}

static bool decode(searcher_t *searcher) {
  const bytes_t *bytes = &searcher->bytes;
  size_t at = strlen(HEADER), words, length;
  bool begun = bytes->length >= at && memcmp(bytes->data, HEADER, at) == 0;
  if (!begun || !number(bytes, &at, ' ', &words) || !number(bytes, &at, '\n', &length)) {
    snprintf(fault, sizeof fault, "index 0: it does not begin with the header of floret-sorted 1");
    return false;
  }
  if (length != bytes->length - at) {
    snprintf(fault, sizeof fault, "index 0: expected %zu bytes behind the header, got %zu", length,
             bytes->length - at);
    return false;
  }
  if (!parse(bytes, at, "index", 0, &searcher->entries)) return false;
  if (words != searcher->entries.length) {
    snprintf(fault, sizeof fault, "index 0: expected %zu words, got %zu", words, searcher->entries.length);
    return false;
  }
  return true;
}

void exports_floret_index_builder_searcher_destructor(searcher_t *searcher) {
  free(searcher->bytes.data);
  free(searcher->entries.items);
  free(searcher);
}

bool exports_floret_index_builder_static_searcher_open(floret_types_io_own_input_t index,
                                                       exports_floret_index_builder_own_searcher_t *ret,
                                                       error_t *err) {
  searcher_t *searcher = take(sizeof *searcher);
  *searcher = (searcher_t){.bytes = read_all(index)};
  if (!decode(searcher)) {
    exports_floret_index_builder_searcher_destructor(searcher);
    return refuse(err);
  }
  *ret = exports_floret_index_builder_searcher_new(searcher);
  return true;
}

// Most frequent first, then by bytes, which is by place.
static int by_count(const void *one, const void *two) {
  const entry_t *left = *(const entry_t *const *)one, *right = *(const entry_t *const *)two;
  if (left->count != right->count) return left->count < right->count ? 1 : -1;
  return (left > right) - (left < right);
}

bool exports_floret_index_builder_method_searcher_search(searcher_t *searcher,
                                                         exports_floret_index_builder_query_t *query,
                                                         uint32_t limit,
                                                         exports_floret_index_builder_list_hit_t *ret,
                                                         error_t *err) {
  bool exact = query->tag == EXPORTS_FLORET_INDEX_BUILDER_QUERY_EXACT;
  if (!exact && query->tag != EXPORTS_FLORET_INDEX_BUILDER_QUERY_PREFIX) {
    exports_floret_index_builder_query_free(query);
    err->tag = FLORET_TYPES_TYPES_ERROR_UNSUPPORTED;
    plugin_string_dup(&err->val.unsupported, "only exact and prefix are answered");
    return false;
  }
  plugin_string_t text = exact ? query->val.exact : query->val.prefix;
  entry_t *items = searcher->entries.items;
  size_t low = 0, high = searcher->entries.length;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (compare(items[middle].word, items[middle].length, text.ptr, text.len) < 0) low = middle + 1;
    else high = middle;
  }
  for (high = low; high < searcher->entries.length; high++) {
    const entry_t *entry = &items[high];
    if (entry->length < text.len || memcmp(entry->word, text.ptr, text.len) != 0) break;
    if (exact && entry->length != text.len) break;
  }
  size_t found = high - low;
  entry_t **order = take(found * sizeof *order);
  for (size_t at = 0; at < found; at++) order[at] = &items[low + at];
  qsort(order, found, sizeof *order, by_count);
  ret->len = found < limit ? found : limit;
  ret->ptr = take(ret->len * sizeof(hit_t));
  for (size_t at = 0; at < ret->len; at++) {
    hit_t *hit = &ret->ptr[at];
    plugin_string_dup_n(&hit->word, (const char *)order[at]->word, order[at]->length);
    hit->frequency = order[at]->count;
    hit->distance = 0;
    hit->score = (float)order[at]->count;
  }
  free(order);
  exports_floret_index_builder_query_free(query);  // what comes in is ours to free, what goes out the host's
  return true;
}
