import { wordsOfSlot } from './blob-slots.ts';
import type { SegmentMemory, TableSpace } from './table-space.ts';

/** Before the slots: how many are used. */
const headerBytes = 64;

/** A stretch of the table of blobs, which keeps its size. */
export class Segment {
  readonly memory: SegmentMemory;
  readonly words: Int32Array;
  readonly slots: number;
  readonly #used: Int32Array;

  constructor(memory: SegmentMemory, buffer: ArrayBufferLike) {
    this.memory = memory;
    this.#used = new Int32Array(buffer, 0, 1);
    this.words = new Int32Array(buffer, headerBytes);
    this.slots = this.words.length / wordsOfSlot;
  }

  /** @param inMemory - bytes of the table's other segments there */
  static ofSlots(space: TableSpace, slots: number, inMemory: number): Segment {
    const { memory, buffer } = space.allocate(headerBytes + slots * wordsOfSlot * 4, inMemory);
    return new Segment(memory, buffer);
  }

  get bytesInMemory(): number {
    return this.memory instanceof SharedArrayBuffer ? this.memory.byteLength : 0;
  }

  get used(): number {
    return Atomics.load(this.#used, 0);
  }

  count(): void {
    Atomics.add(this.#used, 0, 1);
  }
}
