import type { BlobType } from '../format/blob.ts';

/**
 * Slots of the table of blobs: 52 bytes each, in memory that all threads have. Ids are SHA-256 and so their own hash; the higher an id, the further behind is its slot, so that
 * what is sorted goes into neighbouring ones.
 */
export const wordsOfSlot = 13;
const stateWord = 8;
const packWord = 9;
const offsetWord = 10;
const lengthWord = 11;
const uncompressedWord = 12;

// The state word: 0 is free, 1 is being claimed, others tell type and whether the place is known.
export const claiming = 1;
export const pending = { data: 2, tree: 3 } as const;
export const placed = { data: 4, tree: 5 } as const;

/** Ids' first words go from 0 to this. */
const wordSpan = 2 ** 32;

export interface Place {
  /** Counted by the owner of the table. */
  readonly pack: number;
  readonly offset: number;
  readonly length: number;
  readonly uncompressedLength: number;
}

/** What `claim` found: the blob is new and the caller must store it; or some thread has it in hand; or it lies in a pack. */
export type Claim = { readonly state: 'new' | 'pending' } | { readonly state: 'placed'; readonly pack: number };

export const isNew: Claim = { state: 'new' };
const isPending: Claim = { state: 'pending' };

/** Where to look first for an id, of so many slots. */
export function firstSlot(slots: number, key: Int32Array): number {
  return (((key[0] ?? 0) >>> 0) * (slots / wordSpan)) >>> 0;
}

/** The state once no other thread is in the middle of claiming the slot, which takes it some nanoseconds. */
export function settledState(words: Int32Array, base: number): number {
  for (;;) {
    const state = Atomics.load(words, base + stateWord);
    if (state !== claiming) return state;
  }
}

export function hasKey(words: Int32Array, base: number, key: Int32Array): boolean {
  for (let i = 0; i < 8; i += 1) if (words[base + i] !== key[i]) return false;
  return true;
}

export function claimOf(words: Int32Array, base: number, type: BlobType): Claim {
  const isPlaced = Atomics.load(words, base + stateWord) === placed[type];
  return isPlaced ? { state: 'placed', pack: words[base + packWord] ?? 0 } : isPending;
}

/** Of a slot that is placed. */
export function typeAt(words: Int32Array, base: number): BlobType {
  return words[base + stateWord] === placed.tree ? 'tree' : 'data';
}

export function placeAt(words: Int32Array, base: number): Place {
  return {
    pack: words[base + packWord] ?? 0,
    offset: (words[base + offsetWord] ?? 0) >>> 0,
    length: (words[base + lengthWord] ?? 0) >>> 0,
    uncompressedLength: (words[base + uncompressedWord] ?? 0) >>> 0,
  };
}

export function isAt(words: Int32Array, base: number, place: Place): boolean {
  return words[base + packWord] === place.pack && (words[base + offsetWord] ?? 0) >>> 0 === place.offset;
}

export function writePlace(words: Int32Array, base: number, type: BlobType, place: Place): void {
  words[base + packWord] = place.pack;
  words[base + offsetWord] = place.offset;
  words[base + lengthWord] = place.length;
  words[base + uncompressedWord] = place.uncompressedLength;
  Atomics.store(words, base + stateWord, placed[type]);
}

/** Makes a free slot the caller's; false where it is taken. */
export function take(words: Int32Array, base: number, key: Int32Array): boolean {
  if (Atomics.compareExchange(words, base + stateWord, 0, claiming) !== 0) return false;
  words.set(key, base);
  return true;
}

/** Lets the others go on that wait for a slot that was taken. */
export function setPending(words: Int32Array, base: number, type: BlobType): void {
  Atomics.store(words, base + stateWord, pending[type]);
}

/** The pack of a slot that is placed. */
export function packAt(words: Int32Array, base: number): number {
  return words[base + packWord] ?? -1;
}

export function offsetAt(words: Int32Array, base: number): number {
  return (words[base + offsetWord] ?? 0) >>> 0;
}
