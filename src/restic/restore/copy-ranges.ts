import { read, write } from 'node:fs';
import { promisify } from 'node:util';

const copyLength = 4 * 1024 * 1024;
const readFrom = promisify(read);
const writeTo = promisify(write);

/** Copies stretches of one open file to the same places of another. A source that shrinks meanwhile ends its stretch. @returns bytes copied */
export async function copyRanges(source: number, target: number, ranges: Iterable<readonly [offset: number, length: number]>, signal: AbortSignal): Promise<number> {
  const buffer = Buffer.allocUnsafeSlow(copyLength);
  let copied = 0;
  for (const [offset, length] of ranges) {
    const end = offset + length;
    for (let position = offset; position < end; ) {
      signal.throwIfAborted();
      const { bytesRead } = await readFrom(source, buffer, 0, Math.min(copyLength, end - position), position);
      if (bytesRead === 0) break;
      for (let done = 0; done < bytesRead; ) done += (await writeTo(target, buffer, done, bytesRead - done, position + done)).bytesWritten;
      position += bytesRead;
      copied += bytesRead;
    }
  }
  return copied;
}
