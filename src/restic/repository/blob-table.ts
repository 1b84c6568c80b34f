import type { BlobType } from '../format/blob.ts';
import {
  claimOf, firstSlot, hasKey, isAt, isNew, offsetAt, packAt, pending, placeAt, placed, setPending, settledState, take, typeAt, wordsOfSlot, writePlace, type Claim, type Place,
} from './blob-slots.ts';
import { Segment } from './table-segment.ts';
import { TableSpace, type SegmentMemory } from './table-space.ts';

export type { Claim, Place } from './blob-slots.ts';

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

/**
 * The index as a flat open-addressing table, readable and extendable by all worker threads at once: in shared memory, or beyond what a process may take in
 * mapped files (`TableSpace`). A slot is claimed with a compare-and-swap and never freed.
 *
 * It grows by segments: whoever owns the table adds one while a fifth of the last is free, and tells the others; a thread that has not
 * heard yet still fills the old one. Two threads may then store the same blob twice, which the format allows. A segment has a third as many
 * slots as there were before: doubling would leave a table of a million blobs with three slots for each.
 */
export class BlobTable {
  readonly #segments: Segment[];
  readonly #space: TableSpace;
  /** For the owner: hears of each new segment, to tell the other threads. */
  onSegment: ((memory: SegmentMemory) => void) | undefined;

  /** @param memories - of another thread's table, which has to outlive this one; or none for a new one */
  constructor(memories: readonly SegmentMemory[] = [], space = TableSpace.ofProcess()) {
    this.#space = space;
    this.#segments = memories.length === 0 ? [Segment.ofSlots(space, minSlots, 0)] : memories.map((memory) => new Segment(memory, space.open(memory)));
  }

  get memories(): SegmentMemory[] {
    return this.#segments.map(({ memory }) => memory);
  }

  /** What it takes of this process's memory, bytes. */
  get bytesInMemory(): number {
    return this.#segments.reduce((sum, { bytesInMemory }) => sum + bytesInMemory, 0);
  }

  /** What it will take of it, once the next segment is there, bytes; more than that it never takes while its space has files. */
  get bytesAfterGrowth(): number {
    const bytes = this.bytesInMemory + this.#nextSlots() * wordsOfSlot * 4;
    return this.#space.fitsIntoMemory(bytes) ? bytes : this.bytesInMemory;
  }

  /** Whether the blobs of one segment more would still be in memory. */
  get canGrowInMemory(): boolean {
    return this.#last().used < this.#last().slots * fullLoad || this.#space.fitsIntoMemory(this.bytesInMemory + this.#nextSlots() * wordsOfSlot * 4);
  }

  /** Whether so many blobs fit into memory. */
  fitsIntoMemory(blobs: number): boolean {
    return this.#space.fitsIntoMemory((blobs / fullLoad) * wordsOfSlot * 4);
  }

  /** Blobs, duplicates included. */
  get size(): number {
    return this.#segments.reduce((sum, segment) => sum + segment.used, 0);
  }

  /** Takes over a segment that the owner has added. */
  addSegment(memory: SegmentMemory): void {
    this.#segments.push(new Segment(memory, this.#space.open(memory)));
  }

  /** For the owner: adds a segment when the last one is nearly full. */
  growIfNeeded(): void {
    const last = this.#last();
    if (last.used < last.slots * fullLoad) return;
    const { memory } = this.#addSlots(this.#nextSlots());
    this.onSegment?.(memory);
  }

  /** For the owner, while no other thread has the table: room for so many blobs in one segment. */
  reserve(blobs: number): void {
    const slots = Math.ceil(blobs / fullLoad);
    if (slots > this.slots) this.#rebuild(slots);
  }

  /** For the owner, while no other thread has the table: few segments, so that look-ups probe little, and room for new blobs behind them. */
  consolidate(): void {
    if (this.#segments.length > fewSegments) this.#rebuild(Math.ceil(this.size / fullLoad));
    if (this.#last().used > 0 && this.#last().slots > minSlots) this.#addSlots(minSlots);
  }

  /** For the owner, while no other thread has the table. */
  clear(): void {
    this.#segments.length = 0;
    this.#addSlots(minSlots);
  }

  #rebuild(slots: number): void {
    const old = new BlobTable([], this.#space);
    old.#segments.splice(0, 1, ...this.#segments);
    this.#segments.length = 0;
    const whole = this.#addSlots(Math.max(minSlots, slots));
    old.forEach((type, key, place) => {
      this.#insert(whole, type, key, place);
    });
  }

  #addSlots(slots: number): Segment {
    const segment = Segment.ofSlots(this.#space, slots, this.bytesInMemory);
    this.#segments.push(segment);
    return segment;
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
      for (let slot = firstSlot(slots, key); ; slot = (slot + 1) % slots) {
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
    return base === undefined ? -1 : packAt(base.words, base.at);
  }

  *findAll(type: BlobType, key: Int32Array): Generator<Place> {
    for (const segment of this.#segments) {
      for (let slot = firstSlot(segment.slots, key); ; slot = (slot + 1) % segment.slots) {
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
    for (let slot = firstSlot(last.slots, key); ; slot = (slot + 1) % last.slots) {
      const base = slot * wordsOfSlot;
      if (take(last.words, base, key)) {
        setPending(last.words, base, type);
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
      for (let slot = firstSlot(segment.slots, key); ; slot = (slot + 1) % segment.slots) {
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
      const rank = rankOf.get(packAt(words, base));
      if (rank !== undefined) starts[rank + 1] = (starts[rank + 1] ?? 0) + 1;
    });
    for (let rank = 0; rank < order.length; rank += 1) starts[rank + 1] = (starts[rank + 1] ?? 0) + (starts[rank] ?? 0);
    const count = starts[order.length] ?? 0;
    const next = starts.slice();
    const slots = new Float64Array(count);
    // The offset, and behind it the place in the pack's own list: both fit into a double, and sorting numbers is fast.
    const keys = new Float64Array(count);
    this.#placedSlots((words, base, segment) => {
      const rank = rankOf.get(packAt(words, base));
      if (rank === undefined) return;
      const at = next[rank] ?? 0;
      next[rank] = at + 1;
      slots[at] = segment * slotSpan + base;
      keys[at] = offsetAt(words, base) * blobSpan + at - (starts[rank] ?? 0);
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
    for (const [segment, { memory, words, slots }] of this.#segments.entries()) {
      this.#space.advise(memory, 'scan');
      for (let base = 0; base < slots * wordsOfSlot; base += wordsOfSlot) {
        const state = settledState(words, base);
        if (state === placed.data || state === placed.tree) visit(words, base, segment);
      }
      this.#space.advise(memory, 'random');
    }
  }

  #findPlaced(type: BlobType, key: Int32Array): { readonly words: Int32Array; readonly at: number } | undefined {
    for (const { words, slots } of this.#segments) {
      for (let slot = firstSlot(slots, key); ; slot = (slot + 1) % slots) {
        const at = slot * wordsOfSlot;
        const state = settledState(words, at);
        if (state === 0) break;
        if (state === placed[type] && hasKey(words, at, key)) return { words, at };
      }
    }
    return undefined;
  }

  #insert(segment: Segment, type: BlobType, key: Int32Array, place: Place): void {
    for (let slot = firstSlot(segment.slots, key); ; slot = (slot + 1) % segment.slots) {
      const base = slot * wordsOfSlot;
      if (!take(segment.words, base, key)) continue;
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

function findSlot(segment: Segment, type: BlobType, key: Int32Array): number {
  for (let slot = firstSlot(segment.slots, key); ; slot = (slot + 1) % segment.slots) {
    const base = slot * wordsOfSlot;
    const state = settledState(segment.words, base);
    if (state === 0) return -1;
    if ((state === pending[type] || state === placed[type]) && hasKey(segment.words, base, key)) return base;
  }
}
