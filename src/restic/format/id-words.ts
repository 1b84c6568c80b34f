/**
 * Ids as eight words: what the table of blobs compares, and what index files are read into and written from without a string for each.
 */

/** An id's 64 hex digits, from `at` on in a text, as the eight words that the table compares. */
export function keyOfHex(text: string, key = new Int32Array(8), at = 0): Int32Array {
  for (let i = 0, from = at; i < 8; i += 1) {
    let word = 0;
    for (const end = from + 8; from < end; from += 1) {
      const unit = text.charCodeAt(from);
      word = (word << 4) | (unit - (unit > 57 ? 87 : 48));
    }
    key[i] = word;
  }
  return key;
}

/** An id's 32 bytes, from `from` on, as words in the same order as `keyOfHex`. */
export function keyOfBytes(bytes: Uint8Array, key = new Int32Array(8), from = 0): Int32Array {
  for (let i = 0, at = from; i < 8; i += 1, at += 4) {
    key[i] = ((bytes[at] ?? 0) << 24) | ((bytes[at + 1] ?? 0) << 16) | ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0);
  }
  return key;
}

export function hexOfKey(key: Int32Array): string {
  let id = '';
  for (const word of key) id += (word >>> 0).toString(16).padStart(8, '0');
  return id;
}
