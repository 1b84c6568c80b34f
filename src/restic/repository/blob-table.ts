import type { BlobType } from '../format/blob.ts';

/**
 * The index as a flat open-addressing table in shared memory: 52 bytes a slot, readable and extendable by all worker
 * threads at once. Ids are SHA-256 and so their own hash. A slot is claimed with a compare-and-swap and never freed.
 *
 * It grows by segments: whoever owns the table adds one while a fifth of the last is free, and tells the others; a thread that has not
 * heard yet still fills the old one. Two threads may then store the same blob twice, which the format allows. A segment has a third as many
 * slots as there were before: doubling would leave a table of a million blobs with three slots for each.
 */
const wordsOfSlot = 13;
const stateWord = 8;
const packWord = 9;
const offsetWord = 10;
const lengthWord = 11;
const uncompressedWord = 12;

// The state word: 0 is free, 1 is being claimed, others tell type and whether the place is known.
const claiming = 1;
const pending = { data: 2, tree: 3 } as const;
const placed = { data: 4, tree: 5 } as const;

const headerBytes = 64;

/** Slots of the first segment: a fifth of them is enough for the new blobs of any batch until the next segment is there. */
const minSlots = 1 << 16;
const maxSlots = 1 << 24;
/** Of a full segment: 65 bytes a blob, a miss probes thirteen slots that lie side by side. */
const fullLoad = 0.8;
/** A table with more segments than this is made into one before it is only read. */
const fewSegments = 2;

/** For `forEachOf`: no segment has this many words, and no pack this many blobs. */
const slotSpan = 2 ** 32;
const blobSpan = 2 ** 20;

/** `words` hold the id from `at` on, as eight words. */
export type SlotVisitor = (type: BlobType, words: Int32Array, at: number, offset: number, length: number, uncompressedLength: number) => void;

export interface Place {
  /** Counted by the owner of the table. */
  readonly pack: number;
  readonly offset: number;
  readonly length: number;
  readonly uncompressedLength: number;
}

/** What `claim` found: the blob is new and the caller must store it; or some thread has it in hand; or it lies in a pack. */
export type Claim = { readonly state: 'new' | 'pending' } | { readonly state: 'placed'; readonly pack: number };

const isNew: Claim = { state: 'new' };
const isPending: Claim = { state: 'pending' };

class Segment {
  readonly buffer: SharedArrayBuffer;
  readonly words: Int32Array;
  readonly slots: number;
  readonly #used: Int32Array;

  constructor(buffer: SharedArrayBuffer) {
    this.buffer = buffer;
    this.#used = new Int32Array(buffer, 0, 1);
    this.words = new Int32Array(buffer, headerBytes);
    this.slots = this.words.length / wordsOfSlot;
  }

  static ofSlots(slots: number): Segment {
    return new Segment(new SharedArrayBuffer(headerBytes + slots * wordsOfSlot * 4));
  }

  get used(): number {
    return Atomics.load(this.#used, 0);
  }

  count(): void {
    Atomics.add(this.#used, 0, 1);
  }
}

export class BlobTable {
  readonly #segments: Segment[];
  /** For the owner: hears of each new segment, to tell the other threads. */
  onSegment: ((buffer: SharedArrayBuffer) => void) | undefined;

  /** @param buffers - of another thread's table, or none for a new one */
  constructor(buffers: readonly SharedArrayBuffer[] = []) {
    this.#segments = buffers.length === 0 ? [Segment.ofSlots(minSlots)] : buffers.map((buffer) => new Segment(buffer));
  }

  get buffers(): SharedArrayBuffer[] {
    return this.#segments.map((segment) => segment.buffer);
  }

  /** What it takes, bytes. */
  get bytes(): number {
    return this.#segments.reduce((sum, { buffer }) => sum + buffer.byteLength, 0);
  }

  /** What it will take once the next segment is there, bytes. */
  get bytesAfterGrowth(): number {
    return this.bytes + this.#nextSlots() * wordsOfSlot * 4;
  }

  /** Blobs, duplicates included. */
  get size(): number {
    return this.#segments.reduce((sum, segment) => sum + segment.used, 0);
  }

  /** Takes over a segment that the owner has added. */
  addSegment(buffer: SharedArrayBuffer): void {
    this.#segments.push(new Segment(buffer));
  }

  /** For the owner: adds a segment when the last one is nearly full. */
  growIfNeeded(): void {
    const last = this.#last();
    if (last.used < last.slots * fullLoad) return;
    const segment = Segment.ofSlots(this.#nextSlots());
    this.#segments.push(segment);
    this.onSegment?.(segment.buffer);
  }

  /** For the owner, while no other thread has the table: room for so many blobs in one segment. */
  reserve(blobs: number): void {
    const slots = Math.ceil(blobs / fullLoad);
    if (slots > this.slots) this.#rebuild(slots);
  }

  /** For the owner, while no other thread has the table: few segments, so that look-ups probe little, and room for new blobs behind them. */
  consolidate(): void {
    if (this.#segments.length > fewSegments) this.#rebuild(Math.ceil(this.size / fullLoad));
    if (this.#last().used > 0 && this.#last().slots > minSlots) this.#segments.push(Segment.ofSlots(minSlots));
  }

  #rebuild(slots: number): void {
    const old = new BlobTable(this.buffers);
    const whole = Segment.ofSlots(Math.max(minSlots, slots));
    this.#segments.splice(0, this.#segments.length, whole);
    old.forEach((type, key, place) => {
      this.#insert(whole, type, key, place);
    });
  }

  /** Slots, free ones included: what `slotOf` gives is below. */
  get slots(): number {
    return this.#segments.reduce((sum, segment) => sum + segment.slots, 0);
  }

  /**
   * The number of the slot of a blob that lies in a pack, or -1: of several places it is always the same one. Slots keep their numbers while
   * the table grows, so a set of blobs is a bit for each (`SlotSet`).
   */
  slotOf(type: BlobType, key: Int32Array): number {
    let before = 0;
    for (const { words, slots } of this.#segments) {
      for (let slot = ((key[0] ?? 0) >>> 0) % slots; ; slot = (slot + 1) % slots) {
        const at = slot * wordsOfSlot;
        const state = settledState(words, at);
        if (state === 0) break;
        if (state === placed[type] && hasKey(words, at, key)) return before + slot;
      }
      before += slots;
    }
    return -1;
  }

  /** Whether a blob lies at exactly this place. */
  isPlacedAt(type: BlobType, key: Int32Array, place: Place): boolean {
    for (const found of this.findAll(type, key)) {
      if (found.pack === place.pack && found.offset === place.offset) return found.length === place.length && found.uncompressedLength === place.uncompressedLength;
    }
    return false;
  }

  /** Looks for a blob; `undefined` when it is unknown or not in a pack yet. `key`: the id as eight words. */
  find(type: BlobType, key: Int32Array): Place | undefined {
    const base = this.#findPlaced(type, key);
    return base === undefined ? undefined : placeAt(base.words, base.at);
  }

  /** The pack of a blob that lies in one, or -1. */
  packOf(type: BlobType, key: Int32Array): number {
    const base = this.#findPlaced(type, key);
    return base === undefined ? -1 : (base.words[base.at + packWord] ?? -1);
  }

  *findAll(type: BlobType, key: Int32Array): Generator<Place> {
    for (const segment of this.#segments) {
      for (let slot = firstSlot(segment, key); ; slot = (slot + 1) % segment.slots) {
        const base = slot * wordsOfSlot;
        const state = settledState(segment.words, base);
        if (state === 0) break;
        if (state === placed[type] && hasKey(segment.words, base, key)) yield placeAt(segment.words, base);
      }
    }
  }

  /** Whether the blob is known, also while it has no place yet. */
  has(type: BlobType, key: Int32Array): boolean {
    return this.#segments.some((segment) => findSlot(segment, type, key) >= 0);
  }

  /** Finds the blob or makes it this thread's to store, in one step that no other thread can come between. */
  claim(type: BlobType, key: Int32Array): Claim {
    const last = this.#last();
    for (const segment of this.#segments) {
      if (segment === last) break;
      const base = findSlot(segment, type, key);
      if (base >= 0) return claimOf(segment.words, base, type);
    }
    for (let slot = firstSlot(last, key); ; slot = (slot + 1) % last.slots) {
      const base = slot * wordsOfSlot;
      if (Atomics.compareExchange(last.words, base + stateWord, 0, claiming) === 0) {
        last.words.set(key, base);
        Atomics.store(last.words, base + stateWord, pending[type]);
        last.count();
        return isNew;
      }
      const state = settledState(last.words, base);
      if ((state === pending[type] || state === placed[type]) && hasKey(last.words, base, key)) return claimOf(last.words, base, type);
    }
  }

  /** For the owner: tells where a blob lies; fills the slot of its claim, or adds one for a blob from an index file. */
  place(type: BlobType, key: Int32Array, place: Place): void {
    for (const segment of this.#segments) {
      for (let slot = firstSlot(segment, key); ; slot = (slot + 1) % segment.slots) {
        const base = slot * wordsOfSlot;
        const state = settledState(segment.words, base);
        if (state === 0) break;
        if (!hasKey(segment.words, base, key)) continue;
        if (state === placed[type] && isAt(segment.words, base, place)) return;
        if (state === pending[type]) return writePlace(segment.words, base, type, place);
      }
    }
    this.growIfNeeded();
    this.#insert(this.#last(), type, key, place);
  }

  /**
   * Every blob of the wanted packs, pack by pack and by offset within each, without an object for a blob.
   * @param order - the packs' numbers, in the order in which they are visited
   */
  forEachOf(order: readonly number[], begin: (pack: number) => void, visit: SlotVisitor): void {
    const rankOf = new Map(order.map((pack, rank) => [pack, rank]));
    const starts = new Uint32Array(order.length + 1);
    this.#placedSlots((words, base) => {
      const rank = rankOf.get(words[base + packWord] ?? -1);
      if (rank !== undefined) starts[rank + 1] = (starts[rank + 1] ?? 0) + 1;
    });
    for (let rank = 0; rank < order.length; rank += 1) starts[rank + 1] = (starts[rank + 1] ?? 0) + (starts[rank] ?? 0);
    const count = starts[order.length] ?? 0;
    const next = starts.slice();
    const slots = new Float64Array(count);
    // The offset, and behind it the place in the pack's own list: both fit into a double, and sorting numbers is fast.
    const keys = new Float64Array(count);
    this.#placedSlots((words, base, segment) => {
      const rank = rankOf.get(words[base + packWord] ?? -1);
      if (rank === undefined) return;
      const at = next[rank] ?? 0;
      next[rank] = at + 1;
      slots[at] = segment * slotSpan + base;
      keys[at] = ((words[base + offsetWord] ?? 0) >>> 0) * blobSpan + at - (starts[rank] ?? 0);
    });
    for (const [rank, pack] of order.entries()) {
      begin(pack);
      const from = starts[rank] ?? 0;
      for (const key of keys.subarray(from, starts[rank + 1]).sort()) {
        const slot = slots[from + (key % blobSpan)] ?? 0;
        const words = this.#segments[Math.floor(slot / slotSpan)]?.words;
        const base = slot % slotSpan;
        if (words === undefined) throw new RangeError('a slot lies in a segment');
        const { offset, length, uncompressedLength } = placeAt(words, base);
        visit(typeAt(words, base), words, base, offset, length, uncompressedLength);
      }
    }
  }

  /** Every blob that lies in a pack, with the pack, in no order. */
  forEachSlot(visit: (type: BlobType, words: Int32Array, at: number, slot: number, place: Place) => void): void {
    const before: number[] = [];
    let sum = 0;
    for (const { slots } of this.#segments) {
      before.push(sum);
      sum += slots;
    }
    this.#placedSlots((words, base, segment) => {
      visit(typeAt(words, base), words, base, (before[segment] ?? 0) + base / wordsOfSlot, placeAt(words, base));
    });
  }

  /** Every placed blob, in no order. `key` is reused between calls. */
  forEach(visit: (type: BlobType, key: Int32Array, place: Place) => void): void {
    this.#placedSlots((words, base) => {
      visit(typeAt(words, base), words.subarray(base, base + 8), placeAt(words, base));
    });
  }

  #placedSlots(visit: (words: Int32Array, base: number, segment: number) => void): void {
    for (const [segment, { words, slots }] of this.#segments.entries()) {
      for (let base = 0; base < slots * wordsOfSlot; base += wordsOfSlot) {
        const state = settledState(words, base);
        if (state === placed.data || state === placed.tree) visit(words, base, segment);
      }
    }
  }

  #findPlaced(type: BlobType, key: Int32Array): { readonly words: Int32Array; readonly at: number } | undefined {
    for (const { words, slots } of this.#segments) {
      for (let slot = ((key[0] ?? 0) >>> 0) % slots; ; slot = (slot + 1) % slots) {
        const at = slot * wordsOfSlot;
        const state = settledState(words, at);
        if (state === 0) break;
        if (state === placed[type] && hasKey(words, at, key)) return { words, at };
      }
    }
    return undefined;
  }

  #insert(segment: Segment, type: BlobType, key: Int32Array, place: Place): void {
    for (let slot = firstSlot(segment, key); ; slot = (slot + 1) % segment.slots) {
      const base = slot * wordsOfSlot;
      if (Atomics.compareExchange(segment.words, base + stateWord, 0, claiming) !== 0) continue;
      segment.words.set(key, base);
      segment.count();
      return writePlace(segment.words, base, type, place);
    }
  }

  #nextSlots(): number {
    return Math.min(maxSlots, Math.max(minSlots, Math.floor(this.slots / 3)));
  }

  #last(): Segment {
    const last = this.#segments.at(-1);
    if (last === undefined) throw new Error('a table has a segment');
    return last;
  }
}

function firstSlot(segment: Segment, key: Int32Array): number {
  return ((key[0] ?? 0) >>> 0) % segment.slots;
}

/** The state once no other thread is in the middle of claiming the slot, which takes it some nanoseconds. */
function settledState(words: Int32Array, base: number): number {
  for (;;) {
    const state = Atomics.load(words, base + stateWord);
    if (state !== claiming) return state;
  }
}

function hasKey(words: Int32Array, base: number, key: Int32Array): boolean {
  for (let i = 0; i < 8; i += 1) if (words[base + i] !== key[i]) return false;
  return true;
}

function findSlot(segment: Segment, type: BlobType, key: Int32Array): number {
  for (let slot = firstSlot(segment, key); ; slot = (slot + 1) % segment.slots) {
    const base = slot * wordsOfSlot;
    const state = settledState(segment.words, base);
    if (state === 0) return -1;
    if ((state === pending[type] || state === placed[type]) && hasKey(segment.words, base, key)) return base;
  }
}

function claimOf(words: Int32Array, base: number, type: BlobType): Claim {
  const isPlaced = Atomics.load(words, base + stateWord) === placed[type];
  return isPlaced ? { state: 'placed', pack: words[base + packWord] ?? 0 } : isPending;
}

/** Of a slot that is placed. */
function typeAt(words: Int32Array, base: number): BlobType {
  return words[base + stateWord] === placed.tree ? 'tree' : 'data';
}

function placeAt(words: Int32Array, base: number): Place {
  return {
    pack: words[base + packWord] ?? 0,
    offset: (words[base + offsetWord] ?? 0) >>> 0,
    length: (words[base + lengthWord] ?? 0) >>> 0,
    uncompressedLength: (words[base + uncompressedWord] ?? 0) >>> 0,
  };
}

function isAt(words: Int32Array, base: number, place: Place): boolean {
  return words[base + packWord] === place.pack && (words[base + offsetWord] ?? 0) >>> 0 === place.offset;
}

function writePlace(words: Int32Array, base: number, type: BlobType, place: Place): void {
  words[base + packWord] = place.pack;
  words[base + offsetWord] = place.offset;
  words[base + lengthWord] = place.length;
  words[base + uncompressedWord] = place.uncompressedLength;
  Atomics.store(words, base + stateWord, placed[type]);
}
