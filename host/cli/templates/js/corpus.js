// {{name}}: counts the words of texts.

import { binary, bytesOf, checkUtf8, encode, readAll, refusing, sum, u64, union } from "./corpus_format.js";

const WORD_BYTES_MAX = 1024;
// ASCII letters and digits and whatever is beyond ASCII make a word.
const WORD = /[0-9A-Za-z\x80-\xff]+/g;

/** Add the words of a text, ASCII letters in lower case. Words too long for a corpus are passed over. */
function countWords(bytes, counts) {
  for (const [word] of binary(bytes, 0, bytes.length).matchAll(WORD)) {
    if (word.length > WORD_BYTES_MAX) continue;
    const folded = word.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
    counts.set(folded, sum(counts.get(folded) ?? 0, 1));
  }
}

function write(counts, out, like) {
  out.write(bytesOf(encode(counts)));
  let total = 0;
  for (const count of counts.values()) total = sum(total, count);
  return { vocabularySize: u64(counts.size, like), totalTokens: u64(total, like) };
}

export const builder = {
  describe() {
    return {
      name: "{{name}}",
      version: "{{version}}",
      summary: "Counts the words of texts",
      outputMediaType: "text/vnd.floret.corpus; version=1",
      configSchema: '{"type":"object","additionalProperties":false}',
    };
  },

  build(documents, config, out) {
    return refusing(() => {
      const counts = new Map();
      documents.forEach((document, index) => {
        const bytes = readAll(document);
        checkUtf8(bytes, `document ${index}`);
        countWords(bytes, counts);
      });
      return write(counts, out, documents[0].size());
    });
  },

  merge(corpora, out) {
    return refusing(() => write(union(corpora), out, corpora[0].size()));
  },

  analyze(document, config) {
    throw { tag: "unsupported", val: "{{name}} does not judge texts" };
  },
};
