#include "corpus_format.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PIECE_BYTES (1 << 20)

char fault[256];

void *take(size_t length) {
  void *memory = malloc(length == 0 ? 1 : length);
  if (memory == NULL) abort();
  return memory;
}

bytes_t read_all(floret_types_io_own_input_t input) {
  floret_types_io_borrow_input_t borrowed = floret_types_io_borrow_input(input);
  size_t size = (size_t)floret_types_io_method_input_size(borrowed);
  bytes_t bytes = {take(size), 0};
  plugin_list_u8_t piece;
  do {
    floret_types_io_method_input_read(borrowed, bytes.length, PIECE_BYTES, &piece);
    if (piece.len > size - bytes.length) abort();
    memcpy(bytes.data + bytes.length, piece.ptr, piece.len);
    bytes.length += piece.len;
    plugin_list_u8_free(&piece);
  } while (piece.len > 0);
  floret_types_io_input_drop_own(input);
  return bytes;
}

bool check_utf8(const bytes_t *bytes, size_t from, const char *name, size_t index) {
  const uint8_t *data = bytes->data;
  for (size_t at = from; at < bytes->length;) {
    uint8_t lead = data[at];
    size_t length = lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
    bool good = length > 0 && length <= bytes->length - at;
    if (good && length > 1) {
      uint8_t low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;   // no overlong forms
      uint8_t high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;  // no surrogates, nothing beyond U+10FFFF
      good = data[at + 1] >= low && data[at + 1] <= high;
      for (size_t next = at + 2; next < at + length; next++) good = good && (data[next] & 0xc0) == 0x80;
    }
    if (!good) {
      snprintf(fault, sizeof fault, "%s %zu: byte %zu is not UTF-8", name, index, at);
      return false;
    }
    at += length;
  }
  return true;
}

// The count of decimal digits, or 0 if they are none from 1 to 2^64 - 1.
static uint64_t count_of(const uint8_t *digits, size_t length) {
  uint64_t count = 0;
  if (length == 0 || digits[0] == '0') return 0;
  for (size_t at = 0; at < length; at++) {
    uint64_t digit = (uint64_t)digits[at] - '0';
    if (digit > 9 || count > (UINT64_MAX - digit) / 10) return 0;
    count = count * 10 + digit;
  }
  return count;
}

bool parse(const bytes_t *bytes, size_t from, const char *name, size_t index, entries_t *into) {
  if (!check_utf8(bytes, from, name, index)) return false;
  const uint8_t *before = NULL;
  size_t before_length = 0, number = 0;
  for (size_t at = from; at < bytes->length;) {
    const uint8_t *line = bytes->data + at;
    const uint8_t *end = memchr(line, '\n', bytes->length - at);
    const uint8_t *tab = end == NULL ? NULL : memchr(line, '\t', (size_t)(end - line));
    const char *expected = NULL;
    size_t length = tab == NULL ? 0 : (size_t)(tab - line);
    uint64_t count = tab == NULL ? 0 : count_of(tab + 1, (size_t)(end - tab - 1));
    number++;
    if (end == NULL) expected = "a line feed at its end";
    else if (length == 0 || length > WORD_BYTES_MAX || memchr(line, '\r', length) != NULL)
      expected = "a word of 1 to 1,024 bytes and a tab";
    else if (count == 0) expected = "a count of 1 to 2^64 - 1";
    else if (before != NULL && compare(before, before_length, line, length) >= 0)
      expected = "a word that comes after the one before it";
    if (expected != NULL) {
      snprintf(fault, sizeof fault, "%s %zu: line %zu: expected %s", name, index, number, expected);
      return false;
    }
    add(into, line, length, count);
    before = line;
    before_length = length;
    at = (size_t)(end + 1 - bytes->data);
  }
  return true;
}

bool parse_all(floret_types_io_own_input_t *inputs, size_t length, entries_t *into) {
  for (size_t index = 0; index < length; index++) {
    bytes_t bytes = read_all(inputs[index]);
    if (!parse(&bytes, 0, "corpus", index, into)) return false;
  }
  sort_and_sum(into);
  return true;
}

void add(entries_t *entries, const uint8_t *word, size_t length, uint64_t count) {
  if (entries->length == entries->capacity) {
    // Text repeats its words: summing now keeps memory near the number of distinct ones.
    sort_and_sum(entries);
    if (entries->length * 2 >= entries->capacity) {
      entries->capacity = entries->capacity == 0 ? 4096 : entries->capacity * 2;
      entries->items = realloc(entries->items, entries->capacity * sizeof(entry_t));
      if (entries->items == NULL) abort();
    }
  }
  entries->items[entries->length++] = (entry_t){word, length, count};
}

int compare(const uint8_t *one, size_t one_length, const uint8_t *two, size_t two_length) {
  int order = memcmp(one, two, one_length < two_length ? one_length : two_length);
  return order != 0 ? order : (one_length > two_length) - (one_length < two_length);
}

static int by_word(const void *one, const void *two) {
  const entry_t *left = one, *right = two;
  return compare(left->word, left->length, right->word, right->length);
}

void sort_and_sum(entries_t *entries) {
  if (entries->length == 0) return;
  qsort(entries->items, entries->length, sizeof(entry_t), by_word);
  size_t last = 0;
  for (size_t at = 1; at < entries->length; at++) {
    entry_t *kept = &entries->items[last], *next = &entries->items[at];
    if (by_word(kept, next) != 0) entries->items[++last] = *next;
    else kept->count = next->count > UINT64_MAX - kept->count ? UINT64_MAX : kept->count + next->count;
  }
  entries->length = last + 1;
}

bytes_t encode(const entries_t *entries) {
  size_t length = 0;
  for (size_t at = 0; at < entries->length; at++) length += entries->items[at].length + 22;
  bytes_t bytes = {take(length), 0};
  for (size_t at = 0; at < entries->length; at++) {
    const entry_t *entry = &entries->items[at];
    char digits[20];
    size_t place = sizeof digits;
    for (uint64_t rest = entry->count; rest > 0; rest /= 10) digits[--place] = (char)('0' + rest % 10);
    memcpy(bytes.data + bytes.length, entry->word, entry->length);
    bytes.length += entry->length;
    bytes.data[bytes.length++] = '\t';
    memcpy(bytes.data + bytes.length, digits + place, sizeof digits - place);
    bytes.length += sizeof digits - place;
    bytes.data[bytes.length++] = '\n';
  }
  return bytes;
}
