import type { BlobLocation, Id } from '../format/index.ts';
import type { BatchContext } from './batch-context.ts';
import { ContentBatch } from './content-batch.ts';
import type { FilePart, FileState } from './file-state.ts';
import { finishDirectories, type FinishedDirectory } from './finished-directory.ts';

/** The first batch is small, so that the threads begin soon; each is twice the one before … */
const firstBatchFiles = 256;
/** … up to this: enough that packs are read in long ranges, few enough that a million files fit into memory. */
const batchFiles = 4096;
const batchBlobs = 16_384;

/** Gathers files into batches that are written together, two at a time: the threads have work while one ends. */
export class Batches {
  readonly #context: BatchContext;
  readonly #isDry: boolean;
  #parts: FilePart[] = [];
  #partBlobs = 0;
  #batchFiles = firstBatchFiles;
  #before: Promise<void> = Promise.resolve();
  #running: Promise<void> = Promise.resolve();
  #left: FinishedDirectory[] = [];

  constructor(context: BatchContext, isDry: boolean) {
    this.#context = context;
    this.#isDry = isDry;
  }

  get isFull(): boolean {
    return this.#parts.length >= this.#batchFiles || this.#partBlobs >= batchBlobs;
  }

  /** A file of a terabyte has a million blobs: it goes through several batches. */
  add(file: FileState, ids: readonly Id[], locations: readonly BlobLocation[], lengths: readonly number[]): void {
    let position = 0;
    for (let start = 0; start < ids.length; start += batchBlobs) {
      const end = start + batchBlobs;
      const part = ids.length <= batchBlobs ? { file, ids, locations, lengths, position } : { file, ids: ids.slice(start, end), locations: locations.slice(start, end), lengths: lengths.slice(start, end), position };
      for (const length of part.lengths) position += length;
      file.partsLeft++;
      this.#parts.push(part);
      this.#partBlobs += part.ids.length;
    }
  }

  /** The directory is finished with the batch that is being gathered. */
  finish(directory: FinishedDirectory): void {
    this.#left.push(directory);
  }

  /** Starts the batch that has been gathered, once the one before the last has ended: the next is gathered meanwhile. */
  async flush(): Promise<void> {
    await this.#before;
    this.#batchFiles = Math.min(batchFiles, this.#batchFiles * 2);
    const parts = this.#parts;
    const directories = this.#left;
    this.#parts = [];
    this.#partBlobs = 0;
    this.#left = [];
    this.#before = this.#running;
    this.#running = this.#run(parts, directories, this.#before);
    // Its failure shows where it is awaited.
    this.#running.catch(() => undefined);
  }

  /** Until everything that was started has ended. */
  async end(): Promise<void> {
    await this.#running;
  }

  /** The same where one has failed already, or will. */
  async settle(): Promise<void> {
    await Promise.allSettled([this.#before, this.#running]);
  }

  async #run(parts: readonly FilePart[], directories: readonly FinishedDirectory[], before: Promise<void>): Promise<void> {
    if (parts.length > 0) {
      const batch = new ContentBatch(this.#context, parts);
      await (this.#isDry ? batch.compareOnly() : batch.run());
    }
    await before;
    finishDirectories(this.#context, directories);
  }
}
