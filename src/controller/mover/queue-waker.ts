import type { WaitingMover } from '../../decide/index.ts';
import type { MoverContext } from './mover-context.ts';

/** Wakes whoever may have a mover now. Many signs in one turn of the event loop are one look. */
export class QueueWaker {
  readonly #context: MoverContext;
  readonly #wake: (mover: WaitingMover) => void;
  readonly #due = new Set<string>();

  constructor(context: MoverContext, wake: (mover: WaitingMover) => void) {
    this.#context = context;
    this.#wake = wake;
  }

  /** A place of this location may have become free. */
  freed(location: string): void {
    if (this.#due.has(location)) return;
    this.#due.add(location);
    setImmediate(() => this.#look(location));
  }

  #look(location: string): void {
    this.#due.delete(location);
    for (const mover of this.#context.queueOf(location)?.admitted() ?? []) this.#wake(mover);
  }
}
