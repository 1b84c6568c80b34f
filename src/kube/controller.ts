import { isKubeError } from './errors.ts';
import { WorkQueue, type QueueOptions } from './work-queue.ts';

/** What a reconciliation leaves to do: look again after a while, or only when something changes. */
export interface ReconcileResult {
  readonly requeueAfterMs?: number | undefined;
}

export interface ControllerOptions extends QueueOptions {
  /** For logs and metrics: the kind that it writes the status of. */
  readonly name: string;
  /** Keys in work at a time; one key never twice. */
  readonly workers: number;
  /** Brings one object nearer to what it should be. Must be safe to call at any time, and again after any crash. */
  readonly reconcile: (key: string, signal: AbortSignal) => Promise<ReconcileResult>;
  readonly observer: ControllerObserver;
}

/** Hears how reconciliations end, for logs and metrics. */
export interface ControllerObserver {
  reconciled(controller: string, seconds: number): void;
  failed(controller: string, key: string, error: unknown): void;
}

/** A queue of keys and the workers that reconcile them. */
export class Controller {
  readonly queue: WorkQueue;
  readonly #options: ControllerOptions;

  constructor(options: ControllerOptions) {
    this.#options = options;
    this.queue = new WorkQueue(options);
  }

  get name(): string {
    return this.#options.name;
  }

  /** Works until the signal fires and what is in work has ended. */
  async run(signal: AbortSignal): Promise<void> {
    signal.addEventListener('abort', () => this.queue.close(), { once: true });
    if (signal.aborted) this.queue.close();
    await Promise.all(Array.from({ length: this.#options.workers }, () => this.#work(signal)));
  }

  async #work(signal: AbortSignal): Promise<void> {
    for (;;) {
      const key = await this.queue.take();
      if (key === undefined) return;
      await this.#reconcile(key, signal);
      this.queue.done(key);
    }
  }

  async #reconcile(key: string, signal: AbortSignal): Promise<void> {
    const { name, reconcile, observer } = this.#options;
    const startedAt = performance.now();
    try {
      const { requeueAfterMs } = await reconcile(key, signal);
      this.queue.succeed(key);
      if (requeueAfterMs !== undefined) this.queue.addAfter(key, requeueAfterMs);
    } catch (error) {
      if (signal.aborted) return;
      // A conflict is news, not a fault: somebody wrote in between, and the next look sees it.
      if (!isKubeError(error, 'Conflict')) observer.failed(name, key, error);
      this.queue.addAfterFailure(key);
    } finally {
      observer.reconciled(name, (performance.now() - startedAt) / 1000);
    }
  }
}
