import type { FileStat } from '../fs/index.ts';

/** What came of reading a file. */
export interface ReadOutcome {
  /** The ids as a tree's `content` has them, without the brackets. */
  readonly content: string;
  /** bytes */
  readonly bytes: number;
  /** Not what was listed: it has one moment of a file that is being written. */
  readonly hasChanged: boolean;
  /** The errno code of a read that failed. */
  readonly problem?: string | undefined;
}

/** A file that is being read, or was, and has names that were not met yet. */
export interface LinkedFile {
  readonly key: string;
  /** Size and times as they were listed: another stat means another content. */
  readonly version: string;
  namesLeft: number;
  readonly waiting: ((outcome: ReadOutcome) => void)[];
  outcome?: ReadOutcome;
}

/** What all entries may take, bytes, roughly; what finds no room is read again, once for each of its names. */
const maxKeptBytes = 8 * 1024 * 1024;
/** An entry without its content, bytes. */
const entryBytes = 400;

/**
 * Hard links: the content of files with several names, so that a run reads each of them once. Files with one name are not held at all, others until
 * their last name was met (names outside of the source never are), and no more than a fixed number of bytes of them.
 */
export class LinkedFiles {
  readonly #known = new Map<string, LinkedFile>();
  readonly #maxKeptBytes: number;
  #keptBytes = 0;

  constructor(limit = maxKeptBytes) {
    this.#maxKeptBytes = limit;
  }

  /** The same file, of the same size and times, met under another name; `undefined` when it must be read. */
  find(stat: FileStat): LinkedFile | undefined {
    if (stat.links < 2) return undefined;
    const file = this.#known.get(keyOf(stat));
    return file?.version === versionOf(stat) ? file : undefined;
  }

  /** Counts a further name. `take` gets what came of reading the file, at once or later. */
  follow(file: LinkedFile, take: (outcome: ReadOutcome) => void): void {
    file.namesLeft -= 1;
    if (file.outcome === undefined) {
      file.waiting.push(take);
      return;
    }
    if (file.namesLeft === 0) this.#forget(file);
    take(file.outcome);
  }

  /** The file is read from now on. @returns what to `finish`; `undefined` when nobody can follow it */
  lead(stat: FileStat): LinkedFile | undefined {
    if (stat.links < 2) return undefined;
    const key = keyOf(stat);
    if (this.#known.has(key) || this.#keptBytes + entryBytes > this.#maxKeptBytes) return undefined;
    const file: LinkedFile = { key, version: versionOf(stat), namesLeft: stat.links - 1, waiting: [] };
    this.#known.set(key, file);
    this.#keptBytes += entryBytes;
    return file;
  }

  finish(file: LinkedFile, outcome: ReadOutcome): void {
    this.#keptBytes += outcome.content.length;
    file.outcome = outcome;
    if (file.namesLeft === 0 || this.#keptBytes > this.#maxKeptBytes) this.#forget(file);
    for (const take of file.waiting.splice(0)) take(outcome);
  }

  #forget(file: LinkedFile): void {
    this.#known.delete(file.key);
    this.#keptBytes -= entryBytes + (file.outcome?.content.length ?? 0);
  }
}

function keyOf({ deviceId, inode }: FileStat): string {
  return `${String(deviceId)}:${String(inode)}`;
}

function versionOf({ size, mtime, ctime }: FileStat): string {
  return [size, mtime.seconds, mtime.nanoseconds, ctime.seconds, ctime.nanoseconds].join();
}
