import { addressOf } from '../format/index.ts';
import { capacityFor } from './pack-builder.ts';

/** Two packs are open. While one is on its way to the store the other takes everything: a third buffer would only hold memory. */
const buffersOfWorker = 2;
/** What writing past the page cache (`O_DIRECT`) asks of a buffer's address. */
const alignment = 4096;

/** One worker's pack buffers, seen by both threads; nothing is copied or transferred, so the garbage collectors never hear of them. */
export interface SharedPackBuffers {
  readonly buffers: readonly { readonly memory: SharedArrayBuffer; readonly start: number }[];
  /** Word 0: how often a buffer came back, waited on when there is none; -1: stop. Then a word for each buffer: 1 when it is free. */
  readonly states: SharedArrayBuffer;
  /** Of each buffer, bytes. */
  readonly capacity: number;
}

export function makePackBuffers(packTarget: number): SharedPackBuffers {
  const capacity = capacityFor(packTarget);
  const buffers = Array.from({ length: buffersOfWorker }, () => {
    const memory = new SharedArrayBuffer(capacity + alignment);
    return { memory, start: alignedStart(Buffer.from(memory)) };
  });
  const states = new SharedArrayBuffer(4 * (1 + buffersOfWorker));
  new Int32Array(states).fill(1, 1);
  return { buffers, states, capacity };
}

/** As `allocUnsafeSlow`, at an address that allows to write past the page cache, where addresses can be known. */
export function alignedBuffer(length: number): Buffer {
  const memory = Buffer.allocUnsafeSlow(length + alignment);
  const start = alignedStart(memory);
  return memory.subarray(start, start + length);
}

function alignedStart(memory: Buffer): number {
  const address = addressOf(memory);
  return address === undefined ? 0 : Number(-address & BigInt(alignment - 1));
}

/** Frees the memory of a buffer that `alignedBuffer` gave; a shared one is its other thread's as well. */
export function freeBuffer({ buffer }: Buffer): void {
  if (buffer instanceof ArrayBuffer && !buffer.detached) buffer.transfer(0);
}

/** The main thread's side: reads what a worker packed, and gives buffers back. */
export class LentPackBuffers {
  readonly #bodies: readonly Buffer[];
  readonly #states: Int32Array;

  constructor({ buffers, states, capacity }: SharedPackBuffers) {
    this.#bodies = buffers.map(({ memory, start }) => Buffer.from(memory, start, capacity));
    this.#states = new Int32Array(states);
  }

  bodyOf(body: number | ArrayBuffer): Buffer {
    if (typeof body !== 'number') return Buffer.from(body);
    const found = this.#bodies[body];
    if (found === undefined) throw new Error(`a worker has no pack buffer ${body}`);
    return found;
  }

  giveBack(body: number | ArrayBuffer): void {
    if (typeof body !== 'number') return;
    Atomics.store(this.#states, 1 + body, 1);
    if (Atomics.load(this.#states, 0) >= 0) Atomics.add(this.#states, 0, 1);
    Atomics.notify(this.#states, 0);
  }

  /** A worker that waits for a buffer gives up. */
  stop(): void {
    Atomics.store(this.#states, 0, -1);
    Atomics.notify(this.#states, 0);
  }
}

/** The worker's side. When all buffers are on their way to the store, it waits: that is the pipeline's backpressure. */
export class PackBuffers {
  readonly #bodies: readonly Buffer[];
  readonly #states: Int32Array;
  readonly #capacity: number;

  constructor({ buffers, states, capacity }: SharedPackBuffers) {
    this.#bodies = buffers.map(({ memory, start }) => Buffer.from(memory, start, capacity));
    this.#states = new Int32Array(states);
    this.#capacity = capacity;
  }

  get isStopped(): boolean {
    return Atomics.load(this.#states, 0) < 0;
  }

  take(length: number): Buffer;
  take(length: number, mayWait: boolean): Buffer | undefined;
  take(length: number, mayWait = true): Buffer | undefined {
    // A header too large for its buffer is rare.
    if (length > this.#capacity) return Buffer.allocUnsafeSlow(length);
    for (;;) {
      const seen = Atomics.load(this.#states, 0);
      const free = this.#bodies.findIndex((_, i) => Atomics.compareExchange(this.#states, 1 + i, 1, 0) === 1);
      if (free >= 0) return this.#bodies[free];
      // What is packed now is thrown away; only nobody may wait for the store.
      if (seen < 0) return Buffer.allocUnsafeSlow(this.#capacity);
      if (!mayWait) return undefined;
      Atomics.wait(this.#states, 0, seen);
    }
  }

  give(buffer: Buffer): void {
    const at = this.#bodies.indexOf(buffer);
    if (at >= 0) Atomics.store(this.#states, 1 + at, 1);
  }

  /** How the buffer travels to the main thread, which has it from now on. */
  lend(buffer: Buffer): number | ArrayBuffer {
    const at = this.#bodies.indexOf(buffer);
    return at >= 0 ? at : (buffer.buffer as ArrayBuffer);
  }
}
