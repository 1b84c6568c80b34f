import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { damaged } from './damaged.ts';

/** zstd's own default; a third of the CPU of level 4 upwards for nearly the same size on source code. */
export const zstdLevel = 3;

/**
 * For who wants it small: about what restic's `max` takes, five times the CPU for a sixth less of source code. Beyond it zstd's tables for a chunk of
 * 8 MiB outgrow 24 MiB a thread.
 */
export const zstdMaxLevel = 11;

/** Large index files are mostly ids, which are random: the fastest level leaves them as small as any other. */
const fastFrom = 1024 * 1024;

/** For what is one text: an index, a tree. */
export function levelFor(length: number): number {
  return length >= fastFrom ? 1 : zstdLevel;
}

export function compress(plaintext: Uint8Array): Uint8Array {
  return zstdCompressSync(plaintext, { params: { [constants.ZSTD_c_compressionLevel]: levelFor(plaintext.length) } });
}

/**
 * One zstd frame.
 * @param maxLength - never allocates more than this, whatever the frame claims
 * @throws {EngineError} `Damaged`
 */
export function decompress(frame: Uint8Array, maxLength: number, what: string): Uint8Array {
  try {
    return zstdDecompressSync(frame, { maxOutputLength: Math.max(1, maxLength) });
  } catch (cause) {
    throw damaged(what, 'it does not decompress', cause);
  }
}
