// {{name}}: a sorted list of words, searched by word and by prefix.
//
//   index = "floret-sorted 1 " words " " bytes LF corpus    ; decimal: lines and bytes of the corpus

import { Malformed, binary, bytesOf, decodeText, encode, encodeText, parse, readAll, refusing, u64, union } from "./corpus_format.js";

/** The place of the first word that is not before `text`. */
function lowerBound(words, text) {
  let [low, high] = [0, words.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (words[middle] < text) low = middle + 1;
    else high = middle;
  }
  return low;
}

class Searcher {
  constructor(words, counts, like) {
    this.words = words;
    this.counts = counts;
    this.like = like;
  }

  static open(index) {
    return refusing(() => {
      const bytes = readAll(index);
      const header = /^floret-sorted 1 (\d{1,15}) (\d{1,15})\n/.exec(binary(bytes, 0, Math.min(64, bytes.length)));
      if (header === null) throw new Malformed("index 0: it does not begin with the header of floret-sorted 1");
      const words = [];
      const counts = [];
      parse(bytes, header[0].length, "index 0", (word, count) => {
        words.push(word);
        counts.push(count);
      });
      const length = bytes.length - header[0].length;
      if (Number(header[1]) !== words.length || Number(header[2]) !== length) {
        throw new Malformed(`index 0: expected ${header[2]} bytes behind the header, got ${length}`);
      }
      return new Searcher(words, counts, index.size());
    });
  }

  search(query, limit) {
    const found = [];
    const text = query.tag === "exact" || query.tag === "prefix" ? encodeText(query.val) : "";
    let place = lowerBound(this.words, text);
    if (query.tag === "exact") {
      if (this.words[place] === text) found.push(place);
    } else if (query.tag === "prefix") {
      for (; place < this.words.length && this.words[place].startsWith(text); place++) found.push(place);
      found.sort((one, two) => {
        const [more, less] = [this.counts[two], this.counts[one]];
        return more > less ? 1 : more < less ? -1 : one - two;
      });
    } else {
      throw { tag: "unsupported", val: "only exact and prefix are answered" };
    }
    return found.slice(0, limit).map((place) => ({
      word: decodeText(this.words[place]),
      frequency: u64(this.counts[place], this.like),
      distance: 0,
      score: Number(this.counts[place]),
    }));
  }
}

export const builder = {
  Searcher,

  describe() {
    return {
      name: "{{name}}",
      version: "{{version}}",
      summary: "A sorted list of words, searched by word and by prefix",
      outputMediaType: "application/vnd.floret.sorted; version=1",
      configSchema: '{"type":"object","additionalProperties":false}',
    };
  },

  modes() {
    return ["exact", "prefix"];
  },

  build(corpora, config, out) {
    return refusing(() => {
      const counts = union(corpora);
      const corpus = encode(counts);
      out.write(bytesOf(`floret-sorted 1 ${counts.size} ${corpus.length}\n${corpus}`));
      return [{ name: "word_count", value: { tag: "count", val: u64(counts.size, corpora[0].size()) } }];
    });
  },
};
