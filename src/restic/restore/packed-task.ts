import { byteString } from '../format/index.ts';
import type { BlobJob, CompareTask, FileJob, FileMode, Metadata, WriteTask } from './messages.ts';

/**
 * A write task as a few flat arrays. Cloning an object to another thread names each of its members each time, which for the files of a task
 * takes longer than writing them.
 */
export interface PackedTask {
  readonly kind: 'packed';
  readonly number: number;
  readonly bytes: Uint8Array;
  readonly isPlain: boolean;
  /** Each directory once, then one name for each file. */
  readonly directories: readonly string[];
  readonly names: readonly string[];
  readonly fileNumbers: Float64Array;
  /** The few files that have any: index and list. */
  readonly xattrs: readonly (readonly [file: number, list: Metadata['xattrs']])[];
  readonly blobIds: string;
  readonly blobNumbers: Float64Array;
  readonly writes: Float64Array;
}

export type ThreadTask = PackedTask | CompareTask;

const modes: readonly FileMode[] = ['whole', 'overwrite', 'part', 'verify'];
const fileWidth = 13;
const blobWidth = 4;
const idLength = 64;

export function packTask(task: WriteTask): PackedTask {
  const { number, bytes, isPlain, files, blobs } = task;
  const directories = new Map<string, number>();
  const fileNumbers = new Float64Array(files.length * fileWidth);
  const xattrs: [number, Metadata['xattrs']][] = [];
  for (const [index, file] of files.entries()) {
    const directory = directories.get(file.directory) ?? directories.size;
    directories.set(file.directory, directory);
    const { metadata } = file;
    fileNumbers.set([file.number, modes.indexOf(file.mode), directory, file.size, Number(file.isFresh)], index * fileWidth);
    if (metadata === undefined) continue;
    const { permissions, uid, gid, atime, mtime } = metadata;
    const flags = 1 + 2 * Number(metadata.mayHaveOtherXattrs) + 4 * Number(metadata.isOwnerSet);
    fileNumbers.set([flags, permissions, uid, gid, atime.seconds, atime.nanoseconds, mtime.seconds, mtime.nanoseconds], index * fileWidth + 5);
    if (metadata.xattrs.length > 0) xattrs.push([index, metadata.xattrs]);
  }
  const blobNumbers = new Float64Array(blobs.length * blobWidth);
  const writes: number[] = [];
  let blobIds = '';
  for (const [index, blob] of blobs.entries()) {
    blobIds += blob.id;
    blobNumbers.set([blob.offset, blob.length, blob.uncompressedLength, blob.writes.length], index * blobWidth);
    for (const each of blob.writes) writes.push(each);
  }
  return {
    kind: 'packed', number, bytes, isPlain, directories: [...directories.keys()], names: files.map((file) => file.name),
    fileNumbers, xattrs, blobIds, blobNumbers, writes: Float64Array.from(writes),
  };
}

export function unpackTask(packed: PackedTask): WriteTask {
  const xattrs = new Map(packed.xattrs);
  const files = packed.names.map((name, index) => unpackFile(packed, name, index, xattrs.get(index) ?? []));
  const blobs: BlobJob[] = [];
  let write = 0;
  for (let index = 0; index * blobWidth < packed.blobNumbers.length; index++) {
    const [offset = 0, length = 0, uncompressedLength = 0, count = 0] = packed.blobNumbers.subarray(index * blobWidth, (index + 1) * blobWidth);
    const id = packed.blobIds.slice(index * idLength, (index + 1) * idLength);
    blobs.push({ id, offset, length, uncompressedLength, writes: Array.from(packed.writes.subarray(write, write + count)) });
    write += count;
  }
  return { kind: 'write', number: packed.number, bytes: packed.bytes, isPlain: packed.isPlain, files, blobs };
}

function unpackFile({ fileNumbers, directories }: PackedTask, name: string, index: number, xattrs: Metadata['xattrs']): FileJob {
  const at = (field: number): number => fileNumbers[index * fileWidth + field] ?? 0;
  const job = { number: at(0), mode: modes[at(1)] ?? 'verify', directory: byteString(directories[at(2)] ?? ''), name: byteString(name), size: at(3), isFresh: at(4) === 1 };
  const flags = at(5);
  if (flags === 0) return job;
  const metadata: Metadata = {
    permissions: at(6),
    uid: at(7),
    gid: at(8),
    atime: { seconds: at(9), nanoseconds: at(10) },
    mtime: { seconds: at(11), nanoseconds: at(12) },
    xattrs,
    mayHaveOtherXattrs: (flags & 2) !== 0,
    isOwnerSet: (flags & 4) !== 0,
  };
  return { ...job, metadata };
}
