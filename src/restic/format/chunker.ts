/**
 * Content-defined chunking with a gear hash. The format takes any cut up to 8 MiB, so the hash is ours to choose; its table
 * comes from the master key (`CipherKey.derive`), so cuts are stable within a repository and unknown outside it.
 */
/**
 * Half of restic's: what changes in place takes half as much unchanged data with it, and the index of large files grows by a third.
 */
export const minChunkLength = 256 * 1024;
export const maxChunkLength = 8 * 1024 * 1024;

export const gearTableInfo = 'tenant-backup gear table 1';
export const gearTableLength = 1024;

/** The hash remembers this many bytes: it shifts by one bit a byte and has 32 bits. */
const windowLength = 32;
/** 19 bits: cuts come 512 KiB after the minimum on average, so that chunks have 768 KiB. The upper bits, for they see the whole window. */
const cutMask = 0xffffe000 | 0;

/**
 * A zero byte adds nothing, so a run of zeros is a cut: the free space in a database's pages then ends chunks soon after the
 * minimum, and a page that changes takes less with it (restic's own hash does the same).
 * @param derived - `gearTableLength` bytes
 */
export function gearTable(derived: Uint8Array): Int32Array {
  const view = new DataView(derived.buffer, derived.byteOffset, gearTableLength);
  return Int32Array.from({ length: 256 }, (_, i) => (i === 0 ? 0 : view.getInt32(i * 4, true)));
}

/** Finds cuts in a stream that comes in pieces; where the pieces end makes no difference. */
export class Chunker {
  readonly #gear: Int32Array;
  #scanned = 0;
  #hash = 0;

  constructor(gear: Int32Array) {
    this.#gear = gear;
  }

  /**
   * The length of the chunk that begins at `start`, or -1 when `end` comes before a cut: then call again with the same
   * chunk and more bytes behind it (it is not scanned twice), or take what is there as the last chunk and call `reset`.
   */
  next(bytes: Uint8Array, start: number, end: number): number {
    const limit = Math.min(end, start + maxChunkLength);
    const gear = this.#gear;
    let hash = this.#hash;
    let at = start + this.#scanned;
    const warm = start + minChunkLength - windowLength;
    if (at < warm) at = Math.min(warm, limit);
    // Within the first window after the minimum the hash is still filling; it must not cut there.
    const filled = Math.min(start + minChunkLength, limit);
    for (; at < filled; at += 1) hash = ((hash << 1) + (gear[bytes[at] as number] as number)) | 0;
    for (; at < limit; at += 1) {
      hash = ((hash << 1) + (gear[bytes[at] as number] as number)) | 0;
      if ((hash & cutMask) === 0) {
        this.reset();
        return at + 1 - start;
      }
    }
    if (at - start === maxChunkLength) {
      this.reset();
      return maxChunkLength;
    }
    this.#scanned = at - start;
    this.#hash = hash;
    return -1;
  }

  reset(): void {
    this.#scanned = 0;
    this.#hash = 0;
  }
}
