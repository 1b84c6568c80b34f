import { closeSync } from 'node:fs';
import { errnoCodeOf, type FileStat, type SourceReader } from '../fs/index.ts';
import { encodeNodeHead, encodeNodeTail, flattened, parseTree, textOf, type ByteString, type Node } from '../format/index.ts';
import type { FileJob, FileResult } from '../pipeline/messages.ts';
import type { WorkerPool } from '../pipeline/worker-pool.ts';
import type { DirectoryFrame } from './directory-frame.ts';
import { LinkedFiles, type LinkedFile, type ReadOutcome } from './linked-files.ts';
import type { Statistics } from './statistics.ts';

/** Small files travel to the workers together: this many, or this many bytes. */
const batchFiles = 32;
const batchBytes = 4 * 1024 * 1024;
/** A larger file is cut at multiples of this, so that all workers can read it at once. Few chunks straddle such a cut. */
const stretchLength = 64 * 1024 * 1024;
/** A file that one read gets as a whole cannot change meanwhile; others are looked at again afterwards. */
const oneReadLength = 1024 * 1024;

/**
 * What is needed of a file once its content is known. Hundreds wait at any time, so it is little, and text instead of objects: what the
 * garbage collector finds alive it copies, again and again.
 */
interface WaitingFile {
  readonly frame: DirectoryFrame;
  readonly slot: number;
  readonly path: ByteString;
  /** Its node up to the value of `content`. */
  readonly head: string;
  readonly change: 'new' | 'changed';
}

interface OpenFile extends WaitingFile {
  /** What to hold a large file against when it was read. */
  readonly listed: Pick<FileStat, 'size' | 'mtime'> | undefined;
  /** For its other names. */
  readonly linked: LinkedFile | undefined;
  readonly descriptor: number;
  readonly stretches: (FileResult | undefined)[];
  left: number;
}

export interface QueuedFile {
  readonly frame: DirectoryFrame;
  readonly path: ByteString;
  readonly node: Node;
  readonly stat: FileStat;
  readonly change: 'new' | 'changed';
}

/** Files on their way through the workers. */
export class FileQueue {
  readonly #pool: WorkerPool;
  readonly #reader: SourceReader;
  readonly #statistics: Statistics;
  readonly #tickets = new Map<number, { readonly file: OpenFile; readonly stretch: number }>();
  readonly #linkedFiles = new LinkedFiles();
  #nextTicket = 0;
  #batch: FileJob[] = [];
  #batchBytes = 0;

  constructor(pool: WorkerPool, reader: SourceReader, statistics: Statistics) {
    this.#pool = pool;
    this.#reader = reader;
    this.#statistics = statistics;
  }

  get isBatchFull(): boolean {
    return this.#batch.length >= batchFiles || this.#batchBytes >= batchBytes;
  }

  /** Whether the file is on its way under another of its names, or was: then it need not be read again. */
  follow(queued: QueuedFile): boolean {
    const linked = this.#linkedFiles.find(queued.stat);
    if (linked === undefined) return false;
    const file = waiting(queued);
    this.#linkedFiles.follow(linked, (outcome) => {
      this.#statistics.bytesDone += outcome.bytes;
      this.#settle(file, outcome);
    });
    return true;
  }

  /** Queues an open file; wait for `flush` when the batch is full. */
  add(queued: QueuedFile, descriptor: number): void {
    const { stat } = queued;
    const count = Math.max(1, Math.ceil(stat.size / stretchLength));
    const isHandedOver = stat.size <= oneReadLength;
    const listed = isHandedOver ? undefined : { size: stat.size, mtime: stat.mtime };
    const file: OpenFile = { ...waiting(queued), listed, linked: this.#linkedFiles.lead(stat), descriptor, stretches: new Array<undefined>(count).fill(undefined), left: count };
    const isSparse = stat.size > oneReadLength && stat.blocks * 512 < stat.size;
    for (let stretch = 0; stretch < count; stretch += 1) {
      const offset = stretch * stretchLength;
      const ticket = this.#nextTicket++;
      this.#tickets.set(ticket, { file, stretch });
      this.#batch.push({ ticket, descriptor, offset, length: Math.min(stretchLength, stat.size - offset), isWholeFile: isHandedOver, isSparse });
    }
    this.#batchBytes += stat.size;
  }

  /** Hands the batch to the workers as they have room. */
  async flush(): Promise<void> {
    while (this.#batch.length > 0) {
      await this.#pool.room();
      const count = partOf(this.#batch);
      this.#pool.submit(this.#batch.slice(0, count));
      this.#batch.splice(0, count);
    }
    this.#batchBytes = 0;
  }

  /** Flushes, and waits until every file has come back. */
  async drain(): Promise<void> {
    await this.flush();
    while (this.#tickets.size > 0) await this.#pool.nextResult();
  }

  receive(result: FileResult): void {
    const ticket = this.#tickets.get(result.ticket);
    if (ticket === undefined) return;
    this.#tickets.delete(result.ticket);
    const { file, stretch } = ticket;
    const statistics = this.#statistics;
    statistics.dataBlobs += result.newBlobs;
    statistics.dataAdded += result.newBytes;
    statistics.bytesAdded += result.bytesAdded;
    statistics.bytesDone += result.bytes;
    file.stretches[stretch] = result;
    file.left -= 1;
    if (file.left === 0) this.#finish(file);
  }

  /** Closes what this thread has open; after a failure. */
  abandon(): void {
    const open = new Set([...this.#tickets.values()].filter(({ file }) => file.listed !== undefined).map(({ file }) => file.descriptor));
    const unsent = this.#batch.filter(({ isWholeFile }) => isWholeFile).map(({ descriptor }) => descriptor);
    for (const descriptor of [...open, ...unsent]) closeSync(descriptor);
    this.#tickets.clear();
    this.#batch = [];
  }

  #finish(file: OpenFile): void {
    const results = file.stretches.filter((result) => result !== undefined);
    const after = this.#lookAgain(file);
    const problem = results.find((result) => result.problem !== undefined)?.problem ?? after.problem;
    const hasChanged = !after.isAsListed || results.some((result) => result.hasChanged);
    const { content, bytes } = joined(results);
    const outcome = { content, bytes, hasChanged, problem };
    if (file.linked !== undefined) this.#linkedFiles.finish(file.linked, outcome);
    this.#settle(file, outcome);
  }

  #settle({ frame, slot, path, head, change }: WaitingFile, { content, bytes, hasChanged, problem }: ReadOutcome): void {
    const shown = hasChanged || problem !== undefined ? textOf(path) : '';
    if (problem !== undefined) {
      this.#statistics.warn({ path: shown, kind: 'unreadable', message: `${shown} cannot be read (${problem}); it is missing from this backup` });
      frame.fill(slot, undefined, false);
      return;
    }
    if (hasChanged) {
      this.#statistics.warn({ path: shown, kind: 'changed', message: `${shown} changed while it was read; this backup has it as it was found. Quiesce its writer to get one moment of it` });
    }
    this.#statistics.file(change, bytes);
    const node = hasChanged ? nodeAsFound(head, content, bytes) : `${head}[${content}]}`;
    frame.fill(slot, flattened(node), false);
  }

  /** Whether a file that was read has stayed what it was; where a network file system has lost it since, nobody knows. */
  #lookAgain({ listed, descriptor }: OpenFile): { readonly isAsListed: boolean; readonly problem?: string } {
    // The worker has closed it.
    if (listed === undefined) return { isAsListed: true };
    try {
      const { size, mtime } = this.#reader.statDescriptor(descriptor);
      return { isAsListed: size === listed.size && mtime.seconds === listed.mtime.seconds && mtime.nanoseconds === listed.mtime.nanoseconds };
    } catch (error) {
      const problem = errnoCodeOf(error);
      if (problem === undefined) throw error;
      return { isAsListed: false, problem };
    } finally {
      closeSync(descriptor);
    }
  }
}

function waiting({ frame, path, node, change }: QueuedFile): WaitingFile {
  return { frame, slot: frame.reserve(), path, head: flattened(encodeNodeHead(node)), change };
}

/** The node of a file whose length is another than was listed. */
function nodeAsFound(head: string, content: string, bytes: number): string {
  const [listed] = parseTree(Buffer.from(`{"nodes":[${head}[]}]}`), 'a node of this backup').nodes;
  if (listed === undefined) throw new Error('a tree of one node has one node');
  const found = { ...listed, size: bytes, error: 'changed while it was read' };
  return `${encodeNodeHead(found)}[${content}]${encodeNodeTail(found)}`;
}

/** How many jobs of a batch go to one worker: all while they are small, a stretch of a large file alone. */
function partOf(batch: readonly FileJob[]): number {
  let bytes = 0;
  const end = batch.findIndex((job, index) => {
    bytes += job.length;
    return index > 0 && bytes > batchBytes;
  });
  return end < 0 ? batch.length : end;
}

/** The content up to the first stretch that came back short: what the file shrank to. */
function joined(results: readonly FileResult[]): { readonly content: string; readonly bytes: number } {
  if (results.length === 1 && results[0] !== undefined) return results[0];
  const contents: string[] = [];
  let bytes = 0;
  for (const result of results) {
    if (result.content !== '') contents.push(result.content);
    bytes += result.bytes;
    if (result.bytes < stretchLength) break;
  }
  return { content: contents.join(','), bytes };
}
