import { endianness } from 'node:os';

const isLittleEndian = endianness() === 'LE';

/** Seeded, so that a seed always gives the same data: xorshift128, one state for each stream. */
export class Random {
  readonly #state: Uint32Array;

  constructor(seed: number) {
    this.#state = Uint32Array.from([seed, 0x9e3779b9, seed ^ 0x243f6a88, 0xb7e15162]);
    for (let i = 0; i < 16; i += 1) this.word();
  }

  /** 0 to 2^32 − 1 */
  word(): number {
    const state = this.#state;
    let t = state[3]!;
    const s = state[0]!;
    state[3] = state[2]!;
    state[2] = state[1]!;
    state[1] = s;
    t ^= t << 11;
    t ^= t >>> 8;
    state[0] = t ^ s ^ (s >>> 19);
    return state[0];
  }

  below(limit: number): number {
    return Math.floor((this.word() / 2 ** 32) * limit);
  }

  /** Small numbers far more often than large ones, as words are in texts. */
  skewed(limit: number): number {
    return Math.floor((this.word() / 2 ** 32) ** 3 * limit);
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)]!;
  }

  /** Whole words; up to three bytes at the end stay as they are. */
  fill(bytes: Buffer): Buffer {
    const words = Math.floor(bytes.length / 4);
    if (bytes.byteOffset % 4 === 0 && isLittleEndian) {
      const view = new Uint32Array(bytes.buffer, bytes.byteOffset, words);
      for (let i = 0; i < words; i += 1) view[i] = this.word();
    } else {
      for (let at = 0; at < words * 4; at += 4) bytes.writeUInt32LE(this.word(), at);
    }
    return bytes;
  }

  /** Around `median`, with the long tail that file sizes have. */
  size(median: number): number {
    let sum = 0;
    for (let i = 0; i < 6; i += 1) sum += this.word() / 2 ** 32;
    return Math.round(median * Math.exp((sum - 3) * 1.9));
  }
}
