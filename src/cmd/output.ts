import { once } from 'node:events';
import { Writable } from 'node:stream';
import type { PathWarning } from '../restic/contract.ts';
import { printable } from '../mover/printable.ts';
import { noProgress, progressBar, progressLines, type ProgressDisplay } from './progress-display.ts';
import { formatNumber } from './quantity.ts';

/** A stream that a person or a program reads. */
export interface Sink {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
}

/** A line for programs; its shapes are documented in `docs/cli.md` and only ever grow. */
export type JsonLine = { readonly type: string } & Readonly<Record<string, unknown>>;

/** Where a command says what it does: words for people, or, with `--json`, one object a line. */
export interface Output {
  readonly json: boolean;
  /** A result. */
  print(line: JsonLine, text: string): void;
  /** Something that went wrong although the work goes on. */
  warn(line: JsonLine, text: string): void;
  progress(): ProgressDisplay;
  /** Waits until the reader has taken most of what was printed: for what prints without end. @throws `AbortError`, or why nobody can read any more */
  room(signal: AbortSignal): Promise<void>;
}

export interface Streams {
  readonly stdout: Sink;
  readonly stderr: Sink;
}

const JSON_PROGRESS_MS = 1000;

/** Words on stdout, warnings and a progress bar on stderr; the bar only where that is a terminal. */
export function textOutput({ stdout, stderr }: Streams, now: () => number): Output {
  return {
    json: false,
    room: (signal) => roomIn(stdout, signal),
    print: (_line, text) => {
      if (text !== '') stdout.write(`${text}\n`);
    },
    warn: (_line, text) => void stderr.write(`${text}\n`),
    progress: () =>
      stderr.isTTY === true ? progressBar({ write: (text) => void stderr.write(text), columns: stderr.columns ?? 80, now }) : noProgress,
  };
}

/** One JSON object a line on stdout, warnings and progress (once a second) included. */
export function jsonOutput({ stdout }: Streams, now: () => number): Output {
  const write = (line: JsonLine): void => void stdout.write(`${JSON.stringify(line)}\n`);
  return {
    json: true,
    room: (signal) => roomIn(stdout, signal),
    print: write,
    warn: write,
    progress: () =>
      progressLines(
        ({ unit, filesDone, filesTotal, bytesDone, bytesTotal, bytesAdded }) =>
          write({ type: 'progress', unit, filesDone, filesTotal, bytesDone, bytesTotal, bytesAdded }),
        now,
        JSON_PROGRESS_MS,
      ),
  };
}

async function roomIn(stdout: Sink, signal: AbortSignal): Promise<void> {
  if (stdout instanceof Writable && stdout.writableNeedDrain) await once(stdout, 'drain', { signal });
}

/** The output that `--json` or its absence asks for. */
export function outputFor({ json }: { readonly json: boolean }, context: Streams & { readonly now: () => number }): Output {
  return json ? jsonOutput(context, context.now) : textOutput(context, context.now);
}

/** Prints the paths that something went wrong with; the engine keeps the first hundred and counts the rest. */
export function printWarnings({ warnings, warningCount }: { readonly warnings: readonly PathWarning[]; readonly warningCount: number }, output: Output): void {
  for (const { path, kind, message } of warnings) {
    output.warn({ type: 'warning', kind, path, message }, printable(`warning: ${path}: ${message}`));
  }
  const more = warningCount - warnings.length;
  if (more > 0) output.warn({ type: 'moreWarnings', count: more }, `warning: and ${formatNumber(more)} more like these`);
}
