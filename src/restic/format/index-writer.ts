import type { BlobType } from './blob.ts';

/** What a blob takes in the text at most, and a pack around its blobs, bytes. */
const longestBlob = 192;
const longestPack = 128;
/** Pieces that leave are this long; what is written between two of them fits behind. */
const pieceLength = 1024 * 1024;
const initialLength = 64 * 1024;

const packStart = Buffer.from('{"id":"');
const blobsStart = Buffer.from('","blobs":[');
const blobStart = Buffer.from('{"id":"');
const typeStart: Readonly<Record<BlobType, Buffer>> = {
  data: Buffer.from('","type":"data","offset":'),
  tree: Buffer.from('","type":"tree","offset":'),
};
const lengthMember = Buffer.from(',"length":');
const uncompressedMember = Buffer.from(',"uncompressed_length":');
const comma = 0x2c;
const hexDigits = Buffer.from('0123456789abcdef');

/**
 * Writes an index file (design.rst "Indexing") straight into bytes, with no object or string for a blob: an index may have millions,
 * and every backup writes one. `supersedes` is read by nobody any more and not written.
 */
export class IndexWriter {
  readonly #emit: ((piece: Uint8Array) => void) | undefined;
  #bytes = Buffer.allocUnsafeSlow(initialLength);
  #at = 0;
  #packs = 0;
  #blobs = 0;

  /** @param emit - takes the text piece by piece, each valid during the call only; without it, all of it comes from `finish` */
  constructor(emit?: (piece: Uint8Array) => void) {
    this.#emit = emit;
    this.#put(Buffer.from('{"packs":['));
  }

  /** @param id - 64 hex digits */
  beginPack(id: string): void {
    this.#reserve(longestPack);
    if (this.#packs > 0) this.#bytes[this.#at++] = comma;
    this.#packs += 1;
    this.#blobs = 0;
    this.#put(packStart);
    this.#at += this.#bytes.write(id, this.#at, 'latin1');
    this.#put(blobsStart);
  }

  /** @param key - the id as eight words, as the table of blobs has it, from `keyAt` on */
  blob(type: BlobType, key: Int32Array, keyAt: number, offset: number, length: number, uncompressedLength: number): void {
    this.#reserve(longestBlob);
    if (this.#blobs > 0) this.#bytes[this.#at++] = comma;
    this.#blobs += 1;
    this.#put(blobStart);
    for (let i = 0; i < 8; i += 1) this.#hexWord(key[keyAt + i] ?? 0);
    this.#put(typeStart[type]);
    this.#number(offset);
    this.#put(lengthMember);
    this.#number(length);
    if (uncompressedLength !== 0) {
      this.#put(uncompressedMember);
      this.#number(uncompressedLength);
    }
    this.#bytes[this.#at++] = 0x7d;
  }

  endPack(): void {
    this.#reserve(longestPack);
    this.#bytes[this.#at++] = 0x5d;
    this.#bytes[this.#at++] = 0x7d;
  }

  /** The file's JSON, or nothing when it went piece by piece; the writer is used up. */
  finish(): Uint8Array {
    this.#reserve(longestPack);
    this.#bytes[this.#at++] = 0x5d;
    this.#bytes[this.#at++] = 0x7d;
    if (this.#emit !== undefined) this.#flush(this.#emit);
    return this.#bytes.subarray(0, this.#at);
  }

  #flush(emit: (piece: Uint8Array) => void): void {
    emit(this.#bytes.subarray(0, this.#at));
    this.#at = 0;
  }

  #reserve(more: number): void {
    if (this.#emit !== undefined && this.#at >= pieceLength) this.#flush(this.#emit);
    if (this.#at + more <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafeSlow(this.#bytes.length * 2);
    larger.set(this.#bytes.subarray(0, this.#at));
    this.#bytes = larger;
  }

  #put(text: Buffer): void {
    for (let i = 0; i < text.length; i += 1) this.#bytes[this.#at + i] = text[i] ?? 0;
    this.#at += text.length;
  }

  #hexWord(word: number): void {
    for (let shift = 28; shift >= 0; shift -= 4) this.#bytes[this.#at++] = hexDigits[(word >>> shift) & 15] ?? 0;
  }

  /** Up to 2^32 − 1. */
  #number(value: number): void {
    let digits = 1;
    for (let limit = 10; value >= limit; limit *= 10) digits += 1;
    let rest = value;
    for (let at = this.#at + digits - 1; at >= this.#at; at -= 1) {
      const next = Math.floor(rest / 10);
      this.#bytes[at] = 48 + rest - next * 10;
      rest = next;
    }
    this.#at += digits;
  }
}
