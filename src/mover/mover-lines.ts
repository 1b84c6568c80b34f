import type { MoverLine } from '../api/index.ts';
import type { Progress } from '../restic/contract.ts';

/** What the mover prints while it works: one JSON object a line on stdout, which the operator follows. */
export interface MoverLines {
  /** At most one line a second, however often it is called. */
  readonly progress: (progress: Progress) => void;
  /** The work gets on, though there may be nothing to count. */
  readonly alive: () => void;
  /** Something goes wrong and is tried again; the same words are not repeated within ten seconds. */
  readonly trouble: (code: string, message: string) => void;
  /** Prints the last counts where they were held back. */
  readonly end: () => void;
}

const PROGRESS_MS = 1000;
const SAME_TROUBLE_MS = 10_000;

/** @param now milliseconds, monotonic */
export function moverLines(write: (line: string) => void, now: () => number): MoverLines {
  let printedAt = -Infinity;
  let heldBack: Progress | undefined;
  const troubles = new Map<string, number>();
  const print = (line: MoverLine): void => write(`${JSON.stringify(line)}\n`);
  const printProgress = (progress: Progress): void => {
    printedAt = now();
    heldBack = undefined;
    print(progressLine(progress));
  };
  return {
    progress(progress) {
      if (now() - printedAt >= PROGRESS_MS) printProgress(progress);
      else heldBack = progress;
    },
    alive() {
      print({ type: 'alive' });
    },
    trouble(code, message) {
      const key = `${code} ${message}`;
      if (now() - (troubles.get(key) ?? -Infinity) < SAME_TROUBLE_MS) return;
      troubles.set(key, now());
      print({ type: 'trouble', code, message });
    },
    end() {
      if (heldBack !== undefined) printProgress(heldBack);
    },
  };
}

function progressLine({ filesDone, filesTotal, bytesDone, bytesTotal, bytesAdded }: Progress): MoverLine {
  return {
    type: 'progress',
    filesDone,
    ...(filesTotal === undefined ? {} : { filesTotal }),
    bytesDone,
    ...(bytesTotal === undefined ? {} : { bytesTotal }),
    bytesAdded,
  };
}
