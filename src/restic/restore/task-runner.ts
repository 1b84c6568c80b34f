import { readSync } from 'node:fs';
import { joinPath, Beneath, errnoCodeOf, openLibc, type Libc } from '../fs/index.ts';
import * as c from '../fs/libc-constants.ts';
import { BlobOpener } from '../pipeline/blob-opener.ts';
import type { BlobJob, CompareResult, CompareTask, FileFailure, FileJob, Metadata, Result, Task, WorkerSetup, WriteResult, WriteTask } from './messages.ts';
import { applyMetadata } from './metadata.ts';
import { writeAt } from './sparse-write.ts';

/** Does tasks, one after the other, on the thread that owns it: a worker's, or the main one for small restores. */
export class TaskRunner {
  readonly #libc: Libc = openLibc();
  readonly #beneath: Beneath;
  readonly #opener: BlobOpener;
  readonly #umask: number;
  #compareBuffer = Buffer.alloc(0);

  constructor(setup: WorkerSetup) {
    this.#beneath = new Beneath(this.#libc, setup.root);
    this.#opener = new BlobOpener(setup.keyMaterial);
    this.#umask = setup.umask;
  }

  run(task: Task): Result {
    return task.kind === 'write' ? new WriteRun({ libc: this.#libc, beneath: this.#beneath, opener: this.#opener, umask: this.#umask }, task).run() : this.#compare(task);
  }

  close(): void {
    this.#beneath.close();
    this.#opener.free();
  }

  #compare(task: CompareTask): CompareResult {
    const different: number[] = [];
    const descriptor = this.#libc.openAt(this.#beneath.directory(task.directory), task.name, c.O_RDONLY | c.O_NOFOLLOW | c.O_NONBLOCK);
    try {
      let { position } = task;
      for (const [index, length] of task.lengths.entries()) {
        if (!this.#holds(descriptor, position, length, task.ids[index] ?? '')) different.push(index);
        position += length;
      }
    } finally {
      this.#libc.close(descriptor);
    }
    return { kind: 'compare', number: task.number, different };
  }

  #holds(descriptor: number, position: number, length: number, id: string): boolean {
    if (this.#compareBuffer.length < length) this.#compareBuffer = Buffer.allocUnsafeSlow(Math.max(length, 1 << 20));
    let have = 0;
    while (have < length) {
      const read = readSync(descriptor, this.#compareBuffer, have, length - have, position + have);
      if (read === 0) return false;
      have += read;
    }
    return this.#opener.isPlaintext(this.#compareBuffer.subarray(0, length), id);
  }
}

/** A file of the task while it is written. */
interface OpenFile {
  readonly job: FileJob;
  descriptor: number;
  /** Writes still to come. */
  left: number;
  /** End of the last byte written; the file may have to be longer, with a hole at its end. */
  end: number;
  isDone: boolean;
}

interface Tools {
  readonly libc: Libc;
  readonly beneath: Beneath;
  readonly opener: BlobOpener;
  readonly umask: number;
}

class WriteRun {
  readonly #umask: number;
  readonly #libc: Libc;
  readonly #beneath: Beneath;
  readonly #opener: BlobOpener;
  readonly #task: WriteTask;
  readonly #files: readonly OpenFile[];
  readonly #damaged: number[] = [];
  readonly #failures: FileFailure[] = [];
  readonly #problems: { file: number; problems: readonly string[] }[] = [];
  #bytesWritten = 0;

  constructor({ libc, beneath, opener, umask }: Tools, task: WriteTask) {
    this.#libc = libc;
    this.#beneath = beneath;
    this.#opener = opener;
    this.#umask = umask;
    this.#task = task;
    this.#files = task.files.map((job) => ({ job, descriptor: -1, left: 0, end: 0, isDone: false }));
    for (const blob of task.blobs) for (let i = 0; i < blob.writes.length; i += 2) this.#file(blob.writes[i]).left++;
  }

  run(): WriteResult {
    try {
      for (const [index, blob] of this.#task.blobs.entries()) this.#blob(index, blob);
    } finally {
      for (const file of this.#files) if (file.descriptor >= 0) this.#libc.close(file.descriptor);
    }
    return {
      kind: 'write',
      number: this.#task.number,
      bytesWritten: this.#bytesWritten,
      damagedBlobs: this.#damaged,
      failures: this.#failures,
      metadataProblems: this.#problems,
    };
  }

  #blob(index: number, blob: BlobJob): void {
    const sealed = this.#task.bytes.subarray(blob.offset, blob.offset + blob.length);
    const plain = this.#task.isPlain ? sealed : this.#opener.open(sealed, blob.uncompressedLength, blob.id);
    if (plain === undefined) this.#damaged.push(index);
    for (let i = 0; i < blob.writes.length; i += 2) {
      const file = this.#file(blob.writes[i]);
      if (file.isDone || file.job.mode === 'verify') continue;
      if (plain === undefined) {
        this.#abandon(file);
        continue;
      }
      try {
        this.#write(file, plain, blob.writes[i + 1] ?? 0);
      } catch (error) {
        this.#fail(file, error);
      }
    }
  }

  #write(file: OpenFile, plain: Uint8Array, position: number): void {
    const { job } = file;
    if (file.descriptor < 0) file.descriptor = this.#open(job);
    file.end = Math.max(file.end, writeAt(this.#libc, file.descriptor, plain, position, job.isFresh));
    this.#bytesWritten += plain.length;
    file.left--;
    if (file.left === 0) this.#finish(file);
  }

  #open(job: FileJob): number {
    const isNew = job.mode === 'whole';
    const flags = c.O_WRONLY | c.O_NOFOLLOW | c.O_NONBLOCK | (isNew ? c.O_CREAT | c.O_EXCL : 0);
    return this.#libc.openAt(this.#beneath.directory(job.directory), job.name, flags, this.#canHaveMode(job) ? job.metadata.permissions : 0o600);
  }

  /** A file that nothing is inherited by, and whose owner is right from the start, is made with its mode: two calls less for each. */
  #canHaveMode(job: FileJob): job is FileJob & { readonly metadata: Metadata } {
    const { metadata } = job;
    if (job.mode !== 'whole' || metadata?.isOwnerSet !== true || metadata.mayHaveOtherXattrs || metadata.xattrs.length > 0) return false;
    return (metadata.permissions & (this.#umask | 0o7000)) === 0;
  }

  #finish(file: OpenFile): void {
    const { job, descriptor } = file;
    if (job.mode === 'overwrite' || (job.mode === 'whole' && file.end < job.size)) this.#libc.truncate(descriptor, job.size);
    if (job.metadata !== undefined) {
      const place = { at: this.#beneath.directory(job.directory), name: job.name, descriptor, hasMode: this.#canHaveMode(job) };
      const problems = applyMetadata(this.#libc, place, job.metadata);
      if (problems.length > 0) this.#problems.push({ file: job.number, problems });
    }
    this.#libc.close(descriptor);
    file.descriptor = -1;
    file.isDone = true;
  }

  #fail(file: OpenFile, error: unknown): void {
    const code = errnoCodeOf(error);
    if (code === undefined) throw error;
    this.#abandon(file);
    this.#failures.push({ file: file.job.number, code, message: error instanceof Error ? error.message : joinPath(file.job.directory, file.job.name) });
  }

  /** Nothing half-written is left under a file's name; a file that others write parts of is theirs to remove. */
  #abandon(file: OpenFile): void {
    if (file.job.mode === 'part') return;
    file.isDone = true;
    if (file.descriptor < 0) return;
    this.#libc.close(file.descriptor);
    file.descriptor = -1;
    if (file.job.mode === 'whole') this.#libc.unlinkAt(this.#beneath.directory(file.job.directory), file.job.name);
  }

  #file(index: number | undefined): OpenFile {
    const file = this.#files[index ?? -1];
    if (file === undefined) throw new RangeError('a blob goes to a file that its task does not have');
    return file;
  }
}
