import { availableParallelism } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { SHARE_ENV, Worker } from 'node:worker_threads';
import type { SegmentMemory } from '../repository/index.ts';
import { unpackResults, type FileJob, type FileResult, type FromWorker, type ToWorker, type WorkerStart } from './messages.ts';
import { LentPackBuffers, makePackBuffers } from './pack-buffers.ts';
import type { OpenPack } from './pack-builder.ts';

/** Batches in a worker's hands: one being read, one that waits so that it never idles. */
const maxBatches = 3;
/** A worker's garbage is short-lived and small; left alone its heap would grow to many times what it needs, MiB. */
const resourceLimits = { maxYoungGenerationSizeMb: 4 };
/** How long a worker may take to let go, ms. */
const patience = 2_000;

export interface WorkerPoolOptions extends Omit<WorkerStart, 'packBuffers' | 'table'> {
  /** Each holds two packs and a read buffer; four of them saturate what one process should take. */
  readonly mostWorkers: number;
  /** Asked when a worker starts, for the table may have grown by then. */
  readonly tableMemories: () => readonly SegmentMemory[];
  readonly onResult: (result: FileResult) => void;
  /** After the results of a batch. */
  readonly onBatch: () => void;
  /** `release` gives the pack's buffer back to its worker. */
  readonly onPack: (pack: { readonly body: Buffer; readonly length: number; readonly sha256: Uint8Array; readonly header: Uint8Array }, release: () => void) => void;
  /** What a worker had open that ends before the others do. */
  readonly onLeft: (open: readonly OpenPack[]) => void;
  readonly onError: (error: unknown) => void;
}

interface Member {
  readonly worker: Worker;
  readonly buffers: LentPackBuffers;
  batches: number;
  readonly finished: PromiseWithResolvers<OpenPack[]>;
}

/** Worker threads, one for each core that this process may use. They start when the first files come. */
export class WorkerPool {
  readonly #options: WorkerPoolOptions;
  readonly #members: Member[] = [];
  /** Those that finish what they have and then end. */
  readonly #leaving = new Set<Member>();
  #size: number;
  #roomWaiters: (() => void)[] = [];
  #isStopped = false;

  constructor(options: WorkerPoolOptions, size = Math.min(options.mostWorkers, availableParallelism())) {
    this.#options = options;
    this.#size = size;
  }

  get hasRoom(): boolean {
    return this.#members.length < this.#size || this.#members.some(({ batches }) => batches < maxBatches);
  }

  /** Resolves when `submit` may be called, or something failed. */
  async room(): Promise<void> {
    while (!this.hasRoom) await this.nextResult();
  }

  /** Resolves after the next batch of results; rejects when the pool was stopped. */
  async nextResult(): Promise<void> {
    this.#assertRunning();
    await new Promise<void>((resolve) => this.#roomWaiters.push(resolve));
    this.#assertRunning();
  }

  /**
   * A worker that starts after `stop` would keep the process alive for good.
   * @throws {Error} when the pool was stopped; then the caller keeps the jobs
   */
  submit(jobs: readonly FileJob[]): void {
    this.#assertRunning();
    const member = this.#leastBusy();
    member.batches += 1;
    send(member, { kind: 'files', jobs });
  }

  addSegment(memory: SegmentMemory): void {
    for (const member of this.#members) send(member, { kind: 'segment', memory });
  }

  /**
   * Goes on with fewer workers, when the memory that they take is needed elsewhere. What they leave open goes to `onLeft`.
   * @param size - at least one stays
   */
  shrinkTo(size: number): void {
    this.#size = Math.max(1, Math.min(this.#size, size));
    for (const member of this.#members.splice(this.#size)) {
      this.#leaving.add(member);
      send(member, { kind: 'finish' });
      void member.finished.promise.then((open) => this.#leave(member, open)).catch(this.#options.onError);
    }
  }

  async #leave(member: Member, open: OpenPack[]): Promise<void> {
    this.#options.onLeft(open);
    await member.worker.terminate();
    this.#leaving.delete(member);
    this.#wake();
  }

  /** Ends the workers; resolves to the packs that they left open. All results have come by then. */
  async finish(): Promise<OpenPack[]> {
    for (const member of this.#members) send(member, { kind: 'finish' });
    const open = await Promise.all(this.#members.map(({ finished }) => finished.promise));
    const members = this.#members.splice(0);
    await Promise.all(members.map(({ worker }) => worker.terminate()));
    while (this.#leaving.size > 0) await this.nextResult();
    return open.flat();
  }

  /** Ends the workers without waiting for their work. They get a moment to close the files that they were given. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    const members = [...this.#members.splice(0), ...this.#leaving];
    for (const member of members) {
      member.buffers.stop();
      send(member, { kind: 'finish' });
    }
    const drained = Promise.allSettled(members.map(({ finished }) => finished.promise));
    await Promise.race([drained, delay(patience, undefined, { ref: false })]);
    await Promise.all(members.map(({ worker }) => worker.terminate()));
    this.#wake();
  }

  #assertRunning(): void {
    if (this.#isStopped) throw new Error('the workers were stopped');
  }

  #leastBusy(): Member {
    const idle = this.#members.find(({ batches }) => batches === 0);
    if (idle !== undefined) return idle;
    if (this.#members.length < this.#size) return this.#startMember();
    return this.#members.reduce((least, member) => (member.batches < least.batches ? member : least));
  }

  #startMember(): Member {
    const { material, gear, reached, compression, packTarget } = this.#options;
    const packBuffers = makePackBuffers(packTarget);
    const start: WorkerStart = { material, gear, table: this.#options.tableMemories(), reached, compression, packTarget, packBuffers };
    const worker = new Worker(workerUrl(), { workerData: start, env: SHARE_ENV, execArgv: [], trackUnmanagedFds: false, resourceLimits });
    const member: Member = { worker, buffers: new LentPackBuffers(packBuffers), batches: 0, finished: Promise.withResolvers() };
    worker.on('message', (message: FromWorker) => {
      this.#receive(member, message);
    });
    worker.on('error', (error) => {
      member.finished.reject(error);
      this.#options.onError(error);
      this.#wake();
    });
    member.finished.promise.catch(() => undefined);
    this.#members.push(member);
    return member;
  }

  #receive(member: Member, message: FromWorker): void {
    switch (message.kind) {
      case 'results':
        member.batches -= 1;
        for (const result of unpackResults(message)) this.#options.onResult(result);
        this.#options.onBatch();
        this.#wake();
        return;
      case 'pack':
        this.#options.onPack({ ...message.pack, body: member.buffers.bodyOf(message.pack.body) }, () => {
          member.buffers.giveBack(message.pack.body);
        });
        return;
      case 'finished':
        member.finished.resolve(
          message.open.map(({ body, header, ...pack }) => ({ ...pack, body: member.buffers.bodyOf(body), header: Buffer.from(header), headerLength: header.length })),
        );
        return;
      default:
        message satisfies never;
    }
  }

  #wake(): void {
    const waiters = this.#roomWaiters;
    this.#roomWaiters = [];
    for (const wake of waiters) wake();
  }
}

function send(member: Member, message: ToWorker): void {
  member.worker.postMessage(message);
}

/** In the source tree the TypeScript file, in a bundle the file that was built beside it. */
function workerUrl(): URL {
  return new URL(import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.mjs', import.meta.url);
}
