import type { MoverLines } from './mover-lines.ts';

/** How often a mover says that it gets on, where it does not tell its progress. */
const BEAT_MS = 30_000;
/** What a program that waits reads by itself, bytes in that time. */
const IDLE_BYTES = 65_536;

/**
 * Says that the mover gets on, as long as it does: the store's answers count, and what the process reads (volumes, bodies of answers), so that
 * comparing a file of a terabyte is work, and waiting for a volume that does not answer is none.
 */
export class Pulse {
  readonly #lines: Pick<MoverLines, 'alive'>;
  readonly #bytesRead: () => number | undefined;
  readonly #timer: NodeJS.Timeout;
  #came = true;
  #waits = 0;
  #read: number;

  /** @param bytesRead - by this process so far, from files and sockets; undefined where the system does not tell */
  constructor(lines: Pick<MoverLines, 'alive'>, bytesRead: () => number | undefined) {
    this.#lines = lines;
    this.#bytesRead = bytesRead;
    this.#read = bytesRead() ?? 0;
    this.#timer = setInterval(() => {
      this.#look();
    }, BEAT_MS);
    this.#timer.unref();
  }

  /** The store answered about the object `key`. A lock is kept up by itself, also beside a volume that does not answer. */
  readonly answered = (key: string): void => {
    if (!key.split('/').includes('locks')) this.#came = true;
  };

  /** What is awaited from `source` may take as long as it likes: something else ends it when that is too long. */
  async *waitingFor<T>(source: AsyncIterable<T>): AsyncIterable<T> {
    this.#waits++;
    try {
      yield* source;
    } finally {
      this.#waits--;
    }
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    const read = this.#bytesRead() ?? 0;
    const isAlive = this.#came || this.#waits > 0 || read - this.#read >= IDLE_BYTES;
    this.#came = false;
    this.#read = read;
    if (isAlive) this.#lines.alive();
  }
}
