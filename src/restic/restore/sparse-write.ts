import type { Libc } from '../fs/index.ts';

const pageSize = 4096;
/** Shorter runs of zeros are written: a hole for each would scatter the file over the disk. */
const shortestHole = 8 * pageSize;
const zeros = Buffer.alloc(pageSize);

/**
 * Writes bytes at a position of a file.
 * @param leaveHoles - skip long runs of zeros; right only where the file has none of its own content there yet
 * @returns the end of the last byte that was really written, 0 when none was
 */
export function writeAt(libc: Libc, descriptor: number, bytes: Uint8Array, position: number, leaveHoles: boolean): number {
  if (!leaveHoles) return writeAll(libc, descriptor, bytes, position);
  let end = 0;
  let from = 0;
  for (const [start, stop] of zeroRuns(bytes, position)) {
    if (start > from) end = writeAll(libc, descriptor, bytes.subarray(from, start), position + from);
    from = stop;
  }
  if (from < bytes.length) end = writeAll(libc, descriptor, bytes.subarray(from), position + from);
  return end;
}

function writeAll(libc: Libc, descriptor: number, bytes: Uint8Array, position: number): number {
  for (let written = 0; written < bytes.length; ) {
    written += libc.write(descriptor, written === 0 ? bytes : bytes.subarray(written), position + written);
  }
  return position + bytes.length;
}

/** Runs of zero pages that are worth a hole, `[start, end)` in `bytes`; pages as the file has them, so `position` counts. */
export function* zeroRuns(bytes: Uint8Array, position: number): Generator<readonly [start: number, end: number]> {
  let runStart = -1;
  for (let at = (pageSize - (position % pageSize)) % pageSize; at + pageSize <= bytes.length; at += pageSize) {
    const isZero = bytes[at] === 0 && bytes[at + pageSize - 1] === 0 && zeros.compare(bytes, at, at + pageSize) === 0;
    if (isZero && runStart < 0) runStart = at;
    if (isZero || runStart < 0) continue;
    if (at - runStart >= shortestHole) yield [runStart, at];
    runStart = -1;
  }
  if (runStart < 0) return;
  const end = runStart + Math.floor((bytes.length - runStart) / pageSize) * pageSize;
  if (end - runStart >= shortestHole) yield [runStart, end];
}
