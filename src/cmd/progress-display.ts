import type { Progress } from '../restic/contract.ts';
import { formatBytes, formatCount, formatDuration } from './quantity.ts';

/** Shows how far a piece of work is, until `end`. */
export interface ProgressDisplay {
  readonly update: (progress: Progress) => void;
  end(): void;
}

export interface ProgressTarget {
  write(text: string): void;
  /** Columns of the terminal. */
  readonly columns: number;
  /** Milliseconds, monotonic. */
  now(): number;
}

const REDRAW_MS = 200;
const ERASE_LINE = '\r\u001b[K';

/** A bar on a terminal, redrawn at most five times a second. */
export function progressBar(target: ProgressTarget): ProgressDisplay {
  const started = target.now();
  let drawn = -Infinity;
  let shown = false;
  return {
    update(progress) {
      const now = target.now();
      if (now - drawn < REDRAW_MS) return;
      drawn = now;
      shown = true;
      target.write(ERASE_LINE + progressText(progress, now - started, target.columns));
    },
    end() {
      if (shown) target.write(ERASE_LINE);
    },
  };
}

/** Calls `write` at most once in `everyMs`, with the counts so far. */
export function progressLines(write: (progress: Progress) => void, now: () => number, everyMs: number): ProgressDisplay {
  let written = now();
  return {
    update(progress) {
      if (now() - written < everyMs) return;
      written = now();
      write(progress);
    },
    end() {
      // The summary that follows says all that a last line could.
    },
  };
}

export const noProgress: ProgressDisplay = { update: () => undefined, end: () => undefined };

/** One line: bar, percent, counts, rate, time left. Without totals: counts and rate. Never wider than `columns`. */
export function progressText(progress: Progress, elapsedMs: number, columns: number): string {
  const rate = elapsedMs > 0 ? (progress.bytesDone * 1000) / elapsedMs : 0;
  // One large file, or an export, which counts none.
  const { unit = 'file' } = progress;
  const counted = formatCount(progress.filesDone, unit, unit === 'directory' ? 'directories' : `${unit}s`);
  // Directories are looked through before anything has a size.
  if (unit === 'directory') return fit(counted, columns);
  const counts = (progress.filesDone === 0 ? '' : `${counted}  `) + formatBytes(progress.bytesDone);
  const speed = `${formatBytes(rate)}/s`;
  if (progress.bytesTotal === undefined) return fit(`${counts}  ${speed}`, columns);
  const share = progress.bytesTotal === 0 ? 1 : Math.min(1, progress.bytesDone / progress.bytesTotal);
  const left = rate > 0 ? formatDuration(((progress.bytesTotal - progress.bytesDone) * 1000) / rate) : '–';
  const text = `${String(Math.floor(share * 100)).padStart(3)}%  ${counts} of ${formatBytes(progress.bytesTotal)}  ${speed}  ${left} left`;
  const room = Math.min(30, columns - text.length - 4);
  return fit(room < 5 ? text : `[${'#'.repeat(Math.round(share * room)).padEnd(room, '-')}] ${text}`, columns);
}

function fit(text: string, columns: number): string {
  return text.slice(0, Math.max(0, columns - 1));
}
