import type { Readable } from 'node:stream';
import type { Streams } from './output.ts';

/** What a command gets of the process: read once in `main.ts`, so that tests can give their own. */
export interface ProcessContext extends Streams {
  readonly stdin: Readable & { readonly isTTY?: boolean };
  /** Aborted by SIGINT and SIGTERM; the reason is the signal's name. */
  readonly signal: AbortSignal;
  /** Milliseconds, monotonic. */
  readonly now: () => number;
}
