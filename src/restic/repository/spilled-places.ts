import { closeSync, readSync, writeSync } from 'node:fs';
import type { BlobType } from '../format/blob.ts';
import { openUnnamed } from '../fs/index.ts';
import type { Place } from './blob-slots.ts';

/** Parts that are filled one after the other: each is a 256th of a table, which memory has room for. A power of two. */
const parts = 256;
/** The words of a key, then type, pack, offset, length, length of the plaintext. */
const wordsOfPlace = 13;
const placesOfPage = 315;
const wordsOfPage = placesOfPage * wordsOfPlace;
const bytesOfPage = wordsOfPage * 4;

/** Where blobs lie, by what their ids begin with, in a file without a name, and 4 MiB of memory. */
export class SpilledPlaces {
  readonly #descriptor: number;
  readonly #open = new Int32Array(parts * wordsOfPage);
  /** Places in the open page of each part. */
  readonly #counts = new Uint16Array(parts);
  /** The pages of each part in the file. */
  readonly #pages: number[][] = Array.from({ length: parts }, () => []);
  #written = 0;
  #size = 0;

  /** @throws {Error} with a `code`, where the directory cannot have such a file */
  constructor(directory: string) {
    this.#descriptor = openUnnamed(directory);
  }

  get size(): number {
    return this.#size;
  }

  /** @throws {Error} with a `code`, where the disk is full: then this place is not in it, and all others are */
  add(type: BlobType, key: Int32Array, { pack, offset, length, uncompressedLength }: Place): void {
    const part = (key[0] ?? 0) >>> 24;
    if (this.#counts[part] === placesOfPage) this.#write(part);
    const count = this.#counts[part] ?? 0;
    const words = this.#open;
    const at = part * wordsOfPage + count * wordsOfPlace;
    words.set(key, at);
    words[at + 8] = type === 'tree' ? 1 : 0;
    words[at + 9] = pack;
    words[at + 10] = offset;
    words[at + 11] = length;
    words[at + 12] = uncompressedLength;
    this.#counts[part] = count + 1;
    this.#size += 1;
  }

  /** Every place, part by part. `key` is used again. Nothing can be added afterwards. */
  drain(visit: (type: BlobType, key: Int32Array, place: Place) => void): void {
    const page = new Int32Array(wordsOfPage);
    try {
      for (const [part, pages] of this.#pages.entries()) {
        for (const number of pages) {
          this.#read(number, page);
          visitPlaces(page, placesOfPage, visit);
        }
        visitPlaces(this.#open.subarray(part * wordsOfPage), this.#counts[part] ?? 0, visit);
      }
    } finally {
      this.close();
    }
  }

  close(): void {
    closeSync(this.#descriptor);
  }

  #write(part: number): void {
    const bytes = new Uint8Array(this.#open.buffer, part * bytesOfPage, bytesOfPage);
    for (let done = 0; done < bytesOfPage; ) done += writeSync(this.#descriptor, bytes, done, bytesOfPage - done, this.#written * bytesOfPage + done);
    this.#pages[part]?.push(this.#written);
    this.#written += 1;
    this.#counts[part] = 0;
  }

  #read(number: number, page: Int32Array): void {
    const bytes = new Uint8Array(page.buffer);
    for (let done = 0; done < bytesOfPage; ) {
      const length = readSync(this.#descriptor, bytes, done, bytesOfPage - done, number * bytesOfPage + done);
      if (length === 0) throw new Error('a temporary file without a name has become shorter');
      done += length;
    }
  }
}

function visitPlaces(words: Int32Array, count: number, visit: (type: BlobType, key: Int32Array, place: Place) => void): void {
  for (let at = 0; at < count * wordsOfPlace; at += wordsOfPlace) {
    visit(words[at + 8] === 1 ? 'tree' : 'data', words.subarray(at, at + 8), {
      pack: words[at + 9] ?? 0,
      offset: (words[at + 10] ?? 0) >>> 0,
      length: (words[at + 11] ?? 0) >>> 0,
      uncompressedLength: (words[at + 12] ?? 0) >>> 0,
    });
  }
}
