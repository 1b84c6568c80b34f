import { splitPath } from '../fs/index.ts';
import type { BlobUse, FilePart, FileState } from './file-state.ts';
import type { BlobJob, FileJob, FileMode, WriteTask } from './messages.ts';
import type { PackRead } from './read-plan.ts';

/** A file's share in a task. */
export interface TaskFile {
  readonly part: FilePart;
  readonly mode: FileMode;
  /** Indexes of the task's blobs that go into it; one twice where the file repeats itself. */
  readonly blobs: number[];
}

export interface BuiltTask {
  readonly task: WriteTask;
  readonly files: readonly TaskFile[];
}

/** @param modeOf - how a part is treated in this task; `undefined` leaves it out */
export function buildTask(number: number, read: PackRead<BlobUse>, bytes: Uint8Array, modeOf: (part: FilePart) => FileMode | undefined): BuiltTask {
  const files: TaskFile[] = [];
  const indexes = new Map<FileState, number>();
  const blobs: BlobJob[] = [];
  for (const [blobIndex, { id, location, uses }] of read.blobs.entries()) {
    const writes: number[] = [];
    for (const { part, position } of uses) {
      let index = indexes.get(part.file);
      if (index === undefined) {
        const mode = modeOf(part);
        if (mode === undefined) continue;
        index = files.push({ part, mode, blobs: [] }) - 1;
        indexes.set(part.file, index);
      }
      files[index]?.blobs.push(blobIndex);
      writes.push(index, position);
    }
    blobs.push({ id, offset: location.offset - read.offset, length: location.length, uncompressedLength: location.uncompressedLength, writes });
  }
  return { task: { kind: 'write', number, bytes, isPlain: false, files: files.map(jobOf), blobs }, files };
}

/** One decoded blob for one place. */
export function plainTask(number: number, use: BlobUse, id: string, bytes: Uint8Array): WriteTask {
  const blob = { id, offset: 0, length: bytes.length, uncompressedLength: 0, writes: [0, use.position] };
  return { kind: 'write', number, bytes, isPlain: true, files: [jobOf({ part: use.part, mode: 'part' })], blobs: [blob] };
}

function jobOf({ part: { file }, mode }: { readonly part: FilePart; readonly mode: FileMode }): FileJob {
  const { directory, name } = splitPath(file.path);
  const job = { number: file.number, mode, directory, name, size: file.size, isFresh: !file.isExisting };
  return mode === 'whole' || mode === 'overwrite' ? { ...job, metadata: file.metadata } : job;
}
