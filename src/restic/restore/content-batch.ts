import { StorageError } from '../../storage/index.ts';
import { textOf } from '../format/index.ts';
import { splitPath } from '../fs/index.ts';
import { keyOf } from '../repository/index.ts';
import { failFileWithCode, type BatchContext } from './batch-context.ts';
import type { BlobUse, FilePart } from './file-state.ts';
import { finishFile, metadataWarning, openFile } from './finish-file.ts';
import type { CompareResult, FileMode, WriteResult } from './messages.ts';
import { planReads, type NeededBlob, type PackRead } from './read-plan.ts';
import { assertRecoverable, recoverUse, rescueFile } from './recover.ts';
import { buildTask, type TaskFile } from './write-task.ts';

/** Ranges that are being read or decoded, 2 MiB each. */
const readers = 8;
/** Less than this much data, and fewer files, are done before threads would have started. */
const largeBytes = 4 * 1024 * 1024;
const largeFiles = 256;

type Read = PackRead<BlobUse>;

/** Brings the content of some thousand files, or of a stretch of a large one, to its place. */
export class ContentBatch {
  readonly #context: BatchContext;
  readonly #parts: readonly FilePart[];
  readonly #isLarge: boolean;
  /** New files whose every blob comes in one task: the thread that decodes them makes, fills and finishes them. */
  readonly #inOneTask = new Set<FilePart>();

  constructor(context: BatchContext, parts: readonly FilePart[]) {
    this.#context = context;
    this.#parts = parts;
    let bytes = 0;
    for (const { lengths } of parts) for (const length of lengths) bytes += length;
    this.#isLarge = bytes >= largeBytes || parts.length >= largeFiles;
  }

  /** @throws {EngineError} `Damaged` (unless skipped), `NoSpace` */
  async run(): Promise<void> {
    const needed = await this.#needed();
    if (!this.#context.skipDamaged) await this.#verifyBeforeOverwriting(needed);
    const reads = planReads(needed);
    this.#findFilesInOneTask(reads);
    await this.#inParallel(reads, (read, bytes) => this.#write(read, bytes));
    for (const { file } of this.#parts) {
      if (file.left === 0 && file.partsLeft === 0 && !file.isFinished && !file.isFailed) finishFile(this.#context, file);
    }
  }

  /** What would be written; for a dry run. */
  async compareOnly(): Promise<void> {
    const { tally } = this.#context;
    for (const [part, different] of await this.#compareExisting()) {
      const { file } = part;
      file.partsLeft--;
      for (const index of different) tally.bytesWritten += part.lengths[index] ?? 0;
      if (different.size > 0 || file.existingSize !== file.size) file.isChanged = true;
      if (file.partsLeft > 0) continue;
      if (!file.isChanged) tally.identical++;
      tally.fileDone(file.size, textOf(file.location));
    }
  }

  /** Every blob that must be read, with all places that it goes to. What an existing file holds already is left out. */
  async #needed(): Promise<NeededBlob<BlobUse>[]> {
    const needed = new Map<string, NeededBlob<BlobUse>>();
    const different = await this.#compareExisting();
    for (const part of this.#parts) {
      part.file.partsLeft--;
      const wanted = different.get(part);
      let position = part.position;
      for (let index = 0; index < part.ids.length; index++) {
        const id = part.ids[index] ?? '';
        const use = { part, position };
        position += part.lengths[index] ?? 0;
        if (wanted?.has(index) === false) continue;
        part.file.left++;
        const known = needed.get(id);
        if (known !== undefined) {
          known.uses.push(use);
          continue;
        }
        const location = part.locations[index];
        if (location !== undefined) needed.set(id, { id, location, uses: [use] });
      }
    }
    return [...needed.values()];
  }

  async #compareExisting(): Promise<Map<FilePart, ReadonlySet<number>>> {
    const { workers, signal, nextTask } = this.#context;
    const different = new Map<FilePart, ReadonlySet<number>>();
    const queue = this.#parts.filter((part) => part.file.isExisting).values();
    const compare = async (): Promise<void> => {
      for (const part of queue) {
        signal.throwIfAborted();
        const { ids, lengths, position } = part;
        const result = (await workers.run({ kind: 'compare', number: nextTask(), ...splitPath(part.file.path), ids, lengths, position }, this.#isLarge)) as CompareResult;
        different.set(part, new Set(result.different));
      }
    };
    await Promise.all(Array.from({ length: readers * 4 }, compare));
    return different;
  }

  /** What is about to be written over a file that exists is decoded once before, so that damage shows while the file is still as it was. */
  async #verifyBeforeOverwriting(needed: readonly NeededBlob<BlobUse>[]): Promise<void> {
    const overwriting: NeededBlob<BlobUse>[] = [];
    for (const blob of needed) {
      const uses = blob.uses.filter(({ part: { file } }) => file.isExisting && file.blobCount > 1);
      if (uses.length > 0) overwriting.push({ ...blob, uses });
    }
    await this.#inParallel(planReads(overwriting), async (read, bytes) => {
      const result = bytes === undefined ? undefined : await this.#run(buildTask(this.#context.nextTask(), read, bytes, () => 'verify').task);
      for (const index of result?.damagedBlobs ?? read.blobs.keys()) {
        const blob = read.blobs[index];
        if (blob?.uses[0] !== undefined) await assertRecoverable(this.#context, blob.id, blob.uses[0]);
      }
    });
  }

  #findFilesInOneTask(reads: readonly Read[]): void {
    const taskOf = new Map<FilePart, Read>();
    for (const read of reads) {
      for (const blob of read.blobs) {
        for (const { part } of blob.uses) {
          const isFirst = !taskOf.has(part);
          if (isFirst && part.ids.length === part.file.blobCount) this.#inOneTask.add(part);
          else if (taskOf.get(part) !== read) this.#inOneTask.delete(part);
          if (isFirst) taskOf.set(part, read);
        }
      }
    }
  }

  #modeOf(part: FilePart): FileMode | undefined {
    const { file } = part;
    if (file.isFailed) return undefined;
    if (this.#inOneTask.has(part)) {
      if (!file.isExisting) return 'whole';
      if (file.blobCount === 1) return 'overwrite';
    }
    openFile(this.#context, file);
    return file.isOpen ? 'part' : undefined;
  }

  async #write(read: Read, bytes: Uint8Array | undefined): Promise<void> {
    if (bytes === undefined) {
      for (const { id, uses } of read.blobs) for (const use of uses) await recoverUse(this.#context, id, use);
      return;
    }
    const { task, files } = buildTask(this.#context.nextTask(), read, bytes, (part) => this.#modeOf(part));
    const result = await this.#run(task);
    this.#context.tally.bytesWritten += result.bytesWritten;
    const failures = new Map(result.failures.map((failure) => [failure.file, failure.code]));
    const problems = new Map(result.metadataProblems.map((entry) => [entry.file, entry.problems]));
    const damaged = new Set(result.damagedBlobs);
    for (const taskFile of files) {
      const { file } = taskFile.part;
      const code = failures.get(file.number);
      if (code !== undefined) failFileWithCode(this.#context, file, code);
      else await this.#settle(taskFile, damaged, problems.get(file.number));
    }
    if (damaged.size > 0) await this.#recoverParts(read, files, damaged);
  }

  /** What a task has done for one file. */
  async #settle({ part, mode, blobs }: TaskFile, damaged: ReadonlySet<number>, problems: readonly string[] | undefined): Promise<void> {
    const { file } = part;
    const bad = damaged.size === 0 ? 0 : blobs.filter((index) => damaged.has(index)).length;
    file.isChanged = true;
    if (mode === 'part') {
      file.left -= blobs.length - bad;
      return;
    }
    if (bad > 0) {
      await rescueFile(this.#context, part);
      return;
    }
    file.left = 0;
    file.isFinished = true;
    const shown = textOf(file.location);
    if (problems !== undefined) this.#context.tally.warn(metadataWarning(shown, problems));
    this.#context.tally.fileDone(file.size, shown);
  }

  async #recoverParts(read: Read, files: readonly TaskFile[], damaged: ReadonlySet<number>): Promise<void> {
    const inParts = new Set(files.filter(({ mode }) => mode === 'part').map(({ part }) => part));
    for (const index of damaged) {
      const blob = read.blobs[index];
      for (const use of blob?.uses ?? []) if (inParts.has(use.part)) await recoverUse(this.#context, blob?.id ?? '', use);
    }
  }

  async #run(task: ReturnType<typeof buildTask>['task']): Promise<WriteResult> {
    const result = await this.#context.workers.run(task, this.#isLarge);
    return result as WriteResult;
  }

  /** Each range is read once and handed to a thread. The first failure stops the others. */
  async #inParallel(reads: readonly Read[], action: (read: Read, bytes: Uint8Array | undefined) => Promise<void>): Promise<void> {
    const queue = reads.values();
    let failure: { readonly error: unknown } | undefined;
    const reader = async (): Promise<void> => {
      for (const read of queue) {
        if (failure !== undefined) return;
        try {
          this.#context.signal.throwIfAborted();
          await action(read, await this.#readRange(read));
        } catch (error) {
          failure ??= { error };
        }
      }
    };
    await Promise.all(Array.from({ length: readers }, reader));
    if (failure !== undefined) throw failure.error;
  }

  /** `undefined` where the pack is not there, or shorter than the index says. */
  async #readRange({ packId, offset, length }: Read): Promise<Uint8Array | undefined> {
    try {
      return await this.#context.repository.store.get(keyOf('data', packId), { range: { offset, length }, signal: this.#context.signal });
    } catch (error) {
      if (error instanceof StorageError && (error.code === 'NotFound' || error.code === 'Truncated')) return undefined;
      throw error;
    }
  }
}
