import type { PathWarning, Progress, RestoreOutcome, RestoreRequest } from '../contract.ts';

const warningsKept = 100;
const progressEveryMs = 200;

/** Counts what was done and what was not. */
export class Tally {
  files = 0;
  directories = 0;
  identical = 0;
  deleted = 0;
  bytesWritten = 0;
  bytesDone = 0;
  complete = true;
  #totals: { readonly filesTotal: number; readonly bytesTotal: number } | undefined;
  readonly #warnings: PathWarning[] = [];
  #warningCount = 0;
  #lastProgress = 0;
  readonly #started = performance.now();
  readonly #onProgress: RestoreRequest['onProgress'];

  constructor(onProgress: RestoreRequest['onProgress']) {
    this.#onProgress = onProgress;
  }

  /** Known once the whole tree has been read, or from the snapshot's own summary. */
  setTotals(filesTotal: number, bytesTotal: number): void {
    this.#totals = { filesTotal, bytesTotal };
  }

  /** Something of the snapshot is not there now. */
  missed(warning: PathWarning): void {
    this.complete = false;
    this.warn(warning);
  }

  /** The content is there, something else is not. */
  warn(warning: PathWarning): void {
    this.#warningCount++;
    if (this.#warnings.length < warningsKept) this.#warnings.push(warning);
  }

  fileDone(bytes: number, currentPath: string): void {
    this.files++;
    this.bytesDone += bytes;
    this.report(currentPath);
  }

  report(currentPath?: string, isLast = false): void {
    if (this.#onProgress === undefined) return;
    const now = performance.now();
    if (!isLast && now - this.#lastProgress < progressEveryMs) return;
    this.#lastProgress = now;
    const progress: Progress = { filesDone: this.files, bytesDone: this.bytesDone, bytesAdded: this.bytesWritten, ...this.#totals };
    this.#onProgress(currentPath === undefined ? progress : { ...progress, currentPath });
  }

  outcome(): RestoreOutcome {
    return {
      files: this.files,
      directories: this.directories,
      filesSkippedIdentical: this.identical,
      bytesWritten: this.bytesWritten,
      deleted: this.deleted,
      complete: this.complete,
      warnings: this.#warnings,
      warningCount: this.#warningCount,
      durationMs: performance.now() - this.#started,
    };
  }
}
