import { availableParallelism } from 'node:os';
import { SHARE_ENV, Worker } from 'node:worker_threads';
import { EngineError } from '../errors.ts';
import type { Result, Task, WorkerSetup } from './messages.ts';
import { packTask } from './packed-task.ts';
import { TaskRunner } from './task-runner.ts';

/** Beyond this many, the main thread cannot feed them. */
const mostWorkers = 8;

interface Pending {
  readonly resolve: (result: Result) => void;
  readonly reject: (error: Error) => void;
}

interface Thread {
  readonly worker: Worker;
  readonly pending: Map<number, Pending>;
}

/** Threads that do tasks. Starts them with the first task that is worth it; small restores stay on this thread. */
export class RestoreWorkers {
  readonly #setup: WorkerSetup;
  readonly #count: number;
  #inline: TaskRunner | undefined;
  #threads: Thread[] = [];
  #isClosing = false;

  constructor(setup: WorkerSetup, count = Math.min(availableParallelism(), mostWorkers)) {
    this.#setup = setup;
    this.#count = count;
  }

  /** @param isLarge - there is enough to do that starting threads (some 50 ms) pays */
  async run(task: Task, isLarge: boolean): Promise<Result> {
    if (!isLarge && this.#threads.length === 0) return this.#runHere(task);
    const thread = this.#leastBusy();
    const { promise, resolve, reject } = Promise.withResolvers<Result>();
    thread.pending.set(task.number, { resolve, reject });
    thread.worker.postMessage(task.kind === 'write' ? packTask(task) : task, transferOf(task));
    return promise;
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    this.#inline?.close();
    const exits = this.#threads.map(async ({ worker }) => {
      const exited = new Promise((resolve) => worker.once('exit', resolve));
      worker.postMessage('close');
      await exited;
    });
    await Promise.all(exits);
  }

  #runHere(task: Task): Result {
    this.#inline ??= new TaskRunner(this.#setup);
    return this.#inline.run(task);
  }

  #leastBusy(): Thread {
    if (this.#threads.length === 0) this.#threads = Array.from({ length: this.#count }, () => this.#start());
    let least = this.#threads[0];
    for (const thread of this.#threads) if (thread.pending.size < (least?.pending.size ?? Infinity)) least = thread;
    if (least === undefined) throw new RangeError('restore needs at least one thread');
    return least;
  }

  #start(): Thread {
    // What a thread allocates is short-lived: a small nursery does, and two threads' worth of it is tens of megabytes.
    const resourceLimits = { maxYoungGenerationSizeMb: 8, maxOldGenerationSizeMb: 1024 };
    const worker = new Worker(workerUrl(), { workerData: this.#setup, name: 'restore', env: SHARE_ENV, execArgv: [], trackUnmanagedFds: false, resourceLimits });
    const thread: Thread = { worker, pending: new Map() };
    const failAll = (cause: unknown): void => {
      const error = new EngineError('Unexpected', 'A restoring thread ended before its work was done; run the restore again: what is there already is skipped.', { retryable: true, cause });
      for (const { reject } of thread.pending.values()) reject(error);
      thread.pending.clear();
    };
    worker.on('message', (result: Result) => {
      thread.pending.get(result.number)?.resolve(result);
      thread.pending.delete(result.number);
    });
    worker.on('error', failAll);
    worker.on('exit', () => {
      if (!this.#isClosing) failAll(undefined);
    });
    return thread;
  }
}

/** The bytes move over where nothing else lies in their buffer. */
function transferOf(task: Task): ArrayBuffer[] {
  if (task.kind !== 'write') return [];
  const { buffer, byteLength } = task.bytes;
  return buffer instanceof ArrayBuffer && buffer.byteLength === byteLength ? [buffer] : [];
}

/** From source Node strips the types itself; the bundle has one file for each worker beside the program. */
function workerUrl(): URL {
  return new URL(import.meta.url.endsWith('.ts') ? './worker.ts' : './restore-worker.mjs', import.meta.url);
}
