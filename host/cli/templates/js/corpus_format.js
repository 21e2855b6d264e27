// Corpora as bytes: lines `word TAB count`, sorted by the bytes of the word, each word once.
// QuickJS has neither TextEncoder nor TextDecoder, so UTF-8 is done here.

export const COUNT_MAX = 2n ** 64n - 1n;
const WORD_BYTES_MAX = 1024;
const PIECE_BYTES = 1 << 20;
const TAB = 9;
const LINE_FEED = 10;

export class Malformed extends Error {}

/** The bytes of an input, read in the largest pieces that the host gives. */
export function readAll(source) {
  const bytes = new Uint8Array(Number(source.size()));
  // u64 is a Number in QuickJS and a BigInt in SpiderMonkey; answer in kind.
  const offsetOf = typeof source.size() === "bigint" ? BigInt : Number;
  let length = 0;
  for (;;) {
    const piece = source.read(offsetOf(length), PIECE_BYTES);
    if (piece.length === 0) return bytes;
    bytes.set(piece, length);
    length += piece.length;
  }
}

/** A u64 for the host, as its values are. */
export function u64(value, like) {
  return typeof like === "bigint" ? BigInt(value) : Number(value);
}

/** Fail with Malformed at the first byte that is not UTF-8. */
export function checkUtf8(bytes, name) {
  const bad = (at) => {
    throw new Malformed(`${name}: byte ${at} is not UTF-8`);
  };
  for (let at = 0; at < bytes.length; ) {
    const lead = bytes[at];
    if (lead < 0x80) {
      at += 1;
      continue;
    }
    const length = lead >= 0xc2 && lead < 0xe0 ? 2 : lead >= 0xe0 && lead < 0xf0 ? 3 : lead >= 0xf0 && lead < 0xf5 ? 4 : 0;
    if (length === 0 || at + length > bytes.length) bad(at);
    const second = bytes[at + 1];
    const low = lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80; // no overlong forms
    const high = lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf; // no surrogates, nothing beyond U+10FFFF
    if (second < low || second > high) bad(at);
    for (let next = at + 2; next < at + length; next++) {
      if ((bytes[next] & 0xc0) !== 0x80) bad(at);
    }
    at += length;
  }
}

// Words are kept as strings of one character a byte: they sort, compare and slice as their bytes do.

/** Bytes `from .. to` as such a string. */
export function binary(bytes, from, to) {
  let text = "";
  for (let at = from; at < to; at += 4096) {
    text += String.fromCharCode.apply(null, bytes.subarray(at, Math.min(at + 4096, to)));
  }
  return text;
}

/** Such a string as bytes. */
export function bytesOf(text) {
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at++) bytes[at] = text.charCodeAt(at);
  return bytes;
}

/** An ordinary string as such a string of its UTF-8. */
export function encodeText(text) {
  let bytes = "";
  for (const character of text) {
    const code = character.codePointAt(0);
    const tail = (shift) => String.fromCharCode(0x80 | ((code >> shift) & 0x3f));
    if (code < 0x80) bytes += character;
    else if (code < 0x800) bytes += String.fromCharCode(0xc0 | (code >> 6)) + tail(0);
    else if (code < 0x10000) bytes += String.fromCharCode(0xe0 | (code >> 12)) + tail(6) + tail(0);
    else bytes += String.fromCharCode(0xf0 | (code >> 18)) + tail(12) + tail(6) + tail(0);
  }
  return bytes;
}

/** The ordinary string of valid UTF-8. */
export function decodeText(bytes) {
  let text = "";
  for (let at = 0; at < bytes.length; ) {
    const lead = bytes.charCodeAt(at);
    const length = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    let code = length === 1 ? lead : lead & (0x7f >> length);
    for (let next = at + 1; next < at + length; next++) code = (code << 6) | (bytes.charCodeAt(next) & 0x3f);
    text += String.fromCodePoint(code);
    at += length;
  }
  return text;
}

/** Call `each(word, count)` for the lines of a corpus from `from` on; Malformed names the first bad one. */
export function parse(bytes, from, name, each) {
  checkUtf8(bytes, name);
  let previous = "";
  let number = 0;
  for (let at = from; at < bytes.length; ) {
    number += 1;
    const bad = (expected) => new Malformed(`${name}: line ${number}: expected ${expected}`);
    const end = bytes.indexOf(LINE_FEED, at);
    if (end < 0) throw bad("a line feed at its end");
    const line = binary(bytes, at, end);
    const tab = line.indexOf("\t");
    const word = line.slice(0, Math.max(tab, 0));
    if (word.length === 0 || word.length > WORD_BYTES_MAX || word.includes("\r")) {
      throw bad(`a word of 1 to ${WORD_BYTES_MAX} bytes and a tab`);
    }
    const digits = line.slice(tab + 1);
    if (!/^[1-9][0-9]{0,19}$/.test(digits)) throw bad("a count of 1 to 2^64 - 1");
    // Numbers are quick and exact up to 2^53; beyond, BigInt is exact.
    const count = digits.length < 16 ? Number(digits) : BigInt(digits);
    if (count > COUNT_MAX) throw bad("a count of 1 to 2^64 - 1");
    if (word <= previous) throw bad("a word that comes after the one before it");
    each(word, count);
    previous = word;
    at = end + 1;
  }
}

/** One count more than another, exact, at most 2^64 - 1. */
export function sum(one, two) {
  if (typeof one === "number" && typeof two === "number" && one + two <= Number.MAX_SAFE_INTEGER) return one + two;
  const exact = BigInt(one) + BigInt(two);
  return exact > COUNT_MAX ? COUNT_MAX : exact;
}

/** Counts of the words of all inputs, summed. */
export function union(corpora) {
  const counts = new Map();
  corpora.forEach((corpus, index) => {
    parse(readAll(corpus), 0, `corpus ${index}`, (word, count) => {
      counts.set(word, sum(counts.get(word) ?? 0, count));
    });
  });
  return counts;
}

/** The corpus of these counts, as a string of one character a byte. */
export function encode(counts) {
  const words = [...counts.keys()].sort((one, two) => (one < two ? -1 : one > two ? 1 : 0));
  return words.map((word) => `${word}\t${counts.get(word)}\n`).join("");
}

/** Run it; what is malformed becomes the contract's `invalid-input`. Any other exception is a trap. */
export function refusing(work) {
  try {
    return work();
  } catch (error) {
    if (error instanceof Malformed) throw { tag: "invalid-input", val: error.message };
    throw error;
  }
}
