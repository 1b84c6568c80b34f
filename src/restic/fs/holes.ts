import { errnoCodeOf } from './libc-error.ts';
import { SEEK_DATA, SEEK_HOLE } from './libc-constants.ts';
import type { Libc } from './libc.ts';

/** See `SourceReader.dataRanges`. Moves the descriptor's position: read with explicit positions. */
export function* dataRanges(libc: Libc, descriptor: number, size: number): Generator<readonly [offset: number, length: number]> {
  let position = 0;
  while (position < size) {
    const start = seekOrAll(libc, descriptor, position, SEEK_DATA, position);
    if (start === undefined || start >= size) return;
    const end = Math.min(seekOrAll(libc, descriptor, start, SEEK_HOLE, size) ?? size, size);
    if (end <= start) return; // It shrank in between.
    yield [start, end - start];
    position = end;
  }
}

/** Where the file system knows no holes, everything is data. */
function seekOrAll(libc: Libc, descriptor: number, offset: number, whence: number, otherwise: number): number | undefined {
  try {
    return libc.seek(descriptor, offset, whence);
  } catch (error) {
    if (errnoCodeOf(error) === 'EINVAL') return otherwise;
    throw error;
  }
}
