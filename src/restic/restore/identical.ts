import type { ByteString, Id } from '../format/index.ts';
import { splitPath, type FileStat } from '../fs/index.ts';
import type { BatchContext } from './batch-context.ts';
import type { Metadata } from './messages.ts';
import { isAlreadySet } from './metadata.ts';

/** Blobs that one question to a thread names at most. */
const blobsAtOnce = 16_384;

/** What a file of the target has to be. */
export interface WantedFile {
  readonly path: ByteString;
  /** As the snapshot shows it. */
  readonly location: ByteString;
  readonly size: number;
  readonly ids: readonly Id[];
  /** Of its blobs, bytes of plaintext. */
  readonly lengths: readonly number[];
  /** How many names it has in the snapshot. */
  readonly links: number;
  readonly metadata: Metadata;
}

/** Whether a file with several names is already what it should be, metadata included, so that nothing at all is done to it. */
export async function isIdentical(context: BatchContext, existing: FileStat, wanted: WantedFile): Promise<boolean> {
  const { target, workers, nextTask, signal } = context;
  const { path, size, ids, lengths, links, metadata } = wanted;
  if (existing.size !== size || existing.links !== links) return false;
  const { directory, name } = splitPath(path);
  if (!isAlreadySet(target.libc, { at: target.beneath.directory(directory), name }, metadata)) return false;
  let position = 0;
  for (let start = 0; start < ids.length; start += blobsAtOnce) {
    signal.throwIfAborted();
    const part = lengths.slice(start, start + blobsAtOnce);
    const result = await workers.run({ kind: 'compare', number: nextTask(), directory, name, ids: ids.slice(start, start + blobsAtOnce), lengths: part, position }, part.length > 1);
    if (result.kind !== 'compare' || result.different.length > 0) return false;
    for (const length of part) position += length;
  }
  return true;
}
