// Corpora as bytes: lines `word TAB count`, sorted by the bytes of the word, each word once.
#ifndef CORPUS_FORMAT_H
#define CORPUS_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "plugin.h"

#define WORD_BYTES_MAX 1024

typedef struct {
  uint8_t *data;
  size_t length;
} bytes_t;

// A word, which lies in somebody's bytes, and its count.
typedef struct {
  const uint8_t *word;
  size_t length;
  uint64_t count;
} entry_t;

typedef struct {
  entry_t *items;
  size_t length, capacity;
} entries_t;

// What is wrong with an input; set by the functions below that answer false.
extern char fault[256];

// The bytes of an input, read in the largest pieces that the host gives. Drops the handle.
bytes_t read_all(floret_types_io_own_input_t input);
// Whether all bytes from `from` on are UTF-8.
bool check_utf8(const bytes_t *bytes, size_t from, const char *name, size_t index);
// Append the lines of a corpus that begins at `from`; they must be sorted, unique and well formed.
bool parse(const bytes_t *bytes, size_t from, const char *name, size_t index, entries_t *into);
// Append the lines of every input; the words stay in memory that is never freed: an instance builds once.
bool parse_all(floret_types_io_own_input_t *inputs, size_t length, entries_t *into);
// Append an entry.
void add(entries_t *entries, const uint8_t *word, size_t length, uint64_t count);
// Sort by bytes and sum the counts of equal words, at most 2^64 - 1.
void sort_and_sum(entries_t *entries);
// Negative, zero or positive, as the bytes of one word and of another compare.
int compare(const uint8_t *one, size_t one_length, const uint8_t *two, size_t two_length);
// The corpus of sorted entries; the caller frees the data.
bytes_t encode(const entries_t *entries);
// Memory, or a trap.
void *take(size_t length);

#endif
