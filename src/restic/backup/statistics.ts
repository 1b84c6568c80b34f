import type { PathWarning, Progress } from '../contract.ts';

const keptWarnings = 100;
/** ms */
const progressEvery = 250;

type Change = 'new' | 'changed' | 'unmodified';

/** Counts of one backup, for its progress, its outcome and the summary in its snapshot. */
export class Statistics {
  readonly files = { new: 0, changed: 0, unmodified: 0 };
  readonly directories = { new: 0, changed: 0, unmodified: 0 };
  readonly warnings: PathWarning[] = [];
  warningCount = 0;
  /** False once a file that is there could not be read. */
  isComplete = true;
  /** Of the files that are done. */
  bytesProcessed = 0;
  /** Read so far, or known not to have changed. */
  bytesDone = 0;
  filesListed = 0;
  bytesListed = 0;
  isListed = false;
  dataBlobs = 0;
  treeBlobs = 0;
  /** Of new blobs, bytes of plaintext. */
  dataAdded = 0;
  /** Of new blobs, bytes in the packs. */
  bytesAdded = 0;
  currentPath = '';
  readonly #onProgress: ((progress: Progress) => void) | undefined;
  #reportedAt = -Infinity;

  constructor(onProgress: ((progress: Progress) => void) | undefined) {
    this.#onProgress = onProgress;
  }

  get filesDone(): number {
    return this.files.new + this.files.changed + this.files.unmodified;
  }

  list(bytes: number): void {
    this.filesListed += 1;
    this.bytesListed += bytes;
  }

  file(change: Change, bytes: number): void {
    this.files[change] += 1;
    this.bytesProcessed += bytes;
    if (change === 'unmodified') this.bytesDone += bytes;
  }

  directory(change: Change): void {
    this.directories[change] += 1;
  }

  warn(warning: PathWarning): void {
    this.warningCount += 1;
    if (this.warnings.length < keptWarnings) this.warnings.push(warning);
    if (warning.kind === 'unreadable') this.isComplete = false;
  }

  /** Reports at most a few times a second, unless told to. */
  report(isDue = false): void {
    if (this.#onProgress === undefined) return;
    const now = performance.now();
    if (!isDue && now - this.#reportedAt < progressEvery) return;
    this.#reportedAt = now;
    this.#onProgress({
      filesDone: this.filesDone,
      bytesDone: this.bytesDone,
      bytesAdded: this.bytesAdded,
      ...(this.isListed ? { filesTotal: this.filesListed, bytesTotal: this.bytesListed } : {}),
      ...(this.currentPath === '' ? {} : { currentPath: this.currentPath }),
    });
  }
}
