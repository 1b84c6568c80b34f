/** Time, so that tests can hold it. */
export interface Timers {
  now(): number;
  /** Runs `callback` after `ms`; the answer cancels it. */
  after(ms: number, callback: () => void): () => void;
}

export const systemTimers: Timers = {
  now: () => Date.now(),
  after(ms, callback) {
    // setTimeout fires at once beyond 2^31 ms; a key that waits longer is looked at again on the way.
    const timer = setTimeout(callback, Math.min(ms, 2_000_000_000));
    return () => clearTimeout(timer);
  },
};

export interface QueueOptions {
  readonly timers?: Timers;
  /** First and longest pause after a failure of one key. */
  readonly backoffMs?: { readonly first: number; readonly most: number };
}

interface Delayed {
  readonly dueAt: number;
  readonly cancel: () => void;
}

/**
 * Keys that wait to be worked on: each at most once in line, never twice at a time, and again afterwards when it was added while it was
 * in work. As client-go's rate-limiting work queue.
 */
export class WorkQueue {
  readonly #timers: Timers;
  readonly #backoff: { readonly first: number; readonly most: number };
  readonly #ready = new Set<string>();
  readonly #working = new Set<string>();
  readonly #dirty = new Set<string>();
  readonly #delayed = new Map<string, Delayed>();
  readonly #failures = new Map<string, number>();
  readonly #waiters: ((key: string | undefined) => void)[] = [];
  #closed = false;

  constructor(options: QueueOptions = {}) {
    this.#timers = options.timers ?? systemTimers;
    this.#backoff = options.backoffMs ?? { first: 100, most: 60_000 };
  }

  /** Keys that are ready, not those that wait for their time. */
  get depth(): number {
    return this.#ready.size;
  }

  /** Whether nothing is ready or in work; keys that wait for their time do not count. */
  get isIdle(): boolean {
    return this.#ready.size === 0 && this.#working.size === 0;
  }

  add(key: string): void {
    if (this.#closed) return;
    if (this.#working.has(key)) {
      this.#dirty.add(key);
      return;
    }
    const waiter = this.#ready.has(key) ? undefined : this.#waiters.shift();
    if (waiter) {
      this.#working.add(key);
      waiter(key);
    } else {
      this.#ready.add(key);
    }
  }

  /** After `ms`; of two times for one key the earlier stands. */
  addAfter(key: string, ms: number): void {
    if (this.#closed) return;
    if (ms <= 0) {
      this.add(key);
      return;
    }
    const dueAt = this.#timers.now() + ms;
    const waiting = this.#delayed.get(key);
    if (waiting && waiting.dueAt <= dueAt) return;
    waiting?.cancel();
    const cancel = this.#timers.after(ms, () => {
      this.#delayed.delete(key);
      this.add(key);
    });
    this.#delayed.set(key, { dueAt, cancel });
  }

  /** After a pause that doubles with each failure of this key since the last `succeed`. */
  addAfterFailure(key: string): void {
    const failures = this.#failures.get(key) ?? 0;
    this.#failures.set(key, failures + 1);
    this.addAfter(key, Math.min(this.#backoff.most, this.#backoff.first * 2 ** failures));
  }

  succeed(key: string): void {
    this.#failures.delete(key);
  }

  /** The next key, once there is one; `undefined` when the queue was closed. The caller owes `done`. */
  take(): Promise<string | undefined> {
    if (this.#closed) return Promise.resolve(undefined);
    for (const key of this.#ready) {
      this.#ready.delete(key);
      this.#working.add(key);
      return Promise.resolve(key);
    }
    return new Promise((resolve) => this.#waiters.push(resolve));
  }

  done(key: string): void {
    this.#working.delete(key);
    if (this.#dirty.delete(key)) this.add(key);
  }

  close(): void {
    this.#closed = true;
    for (const { cancel } of this.#delayed.values()) cancel();
    this.#delayed.clear();
    for (const waiter of this.#waiters.splice(0)) waiter(undefined);
  }
}
