import type { PathWarning } from '../contract.ts';
import { EngineError } from '../errors.ts';
import { byteString, byteStringFromText, textOf, type ByteString } from '../format/byte-string.ts';
import type { EnterStep, EntryStep, FileDetails, FileStat, ProblemStep, WalkOptions, WalkStep } from './contract.ts';
import { readDetails } from './details.ts';
import { errnoCodeOf, LibcError } from './libc-error.ts';
import * as c from './libc-constants.ts';
import type { Libc } from './libc.ts';
import type { OwnerNames } from './owner-names.ts';

/** What to do when a source cannot be opened. */
const adviceFor: Readonly<Partial<Record<string, string>>> = {
  EACCES: 'give this process the right to read it',
  ENOTDIR: 'it is no directory; name the directory that it lies in, and leave out the rest with excludes',
};

/** How many ancestors are held open, beside the root. Deeper trees let go of the farthest ones and come back through `..`, which is checked. */
const openAncestors = 128;
/** Problems that one entry may have by itself; any other may be the source's end. */
const ofOneEntry: ReadonlySet<string> = new Set(['ENOENT', 'EACCES', 'EPERM', 'ELOOP', 'ENOTDIR', 'ENAMETOOLONG']);
const self = byteString('.');
const parent = byteString('..');

interface Frame {
  /** -1 when let go, or when the directory could not be opened. */
  descriptor: number;
  readonly stat: FileStat;
  readonly path: ByteString;
  readonly name: ByteString;
  readonly names: readonly ByteString[];
  next: number;
}

/** See `WalkStep`. Synchronous: on a warm cache a step costs some microseconds, less than a turn of the event loop. */
export class Walk {
  readonly #libc: Libc;
  readonly #names: OwnerNames;
  readonly #options: WalkOptions;
  readonly #frames: Frame[] = [];

  constructor(libc: Libc, names: OwnerNames, options: WalkOptions) {
    this.#libc = libc;
    this.#names = names;
    this.#options = options;
  }

  *steps(): Generator<WalkStep> {
    try {
      yield* this.#root();
      for (let frame = this.#frames.at(-1); frame !== undefined; frame = this.#frames.at(-1)) {
        this.#options.signal?.throwIfAborted();
        const name = frame.names[frame.next++];
        if (name === undefined) {
          yield* this.#leave(frame);
          continue;
        }
        const path = byteString(`${frame.path}/${name}`);
        const found = this.#look(frame, name, path);
        if (found === undefined) continue;
        if ('step' in found) yield found;
        else yield* this.#directory(frame, found, path, name);
      }
    } finally {
      for (const frame of this.#frames) if (frame.descriptor >= 0) this.#libc.close(frame.descriptor);
    }
  }

  *#root(): Generator<WalkStep> {
    const { directory, as = directory } = this.#options;
    let descriptor: number;
    try {
      descriptor = openForReading(this.#libc, c.AT_FDCWD, byteStringFromText(directory), c.O_DIRECTORY);
    } catch (cause) {
      const code = errnoCodeOf(cause) ?? 'unknown';
      const message = `The source ${directory} cannot be opened (${code}): ${adviceFor[code] ?? 'check the path and whether its volume is mounted'}.`;
      throw new EngineError('SourceMissing', message, { context: { path: directory }, cause });
    }
    const path = byteStringFromText(as === '/' ? '' : as.replace(/\/+$/, ''));
    yield* this.#enter(descriptor, this.#libc.stat(descriptor), path, byteString(''));
  }

  /**
   * Without its root (a network share that went stale, a volume that was pulled, a directory that was removed) every entry seems to be gone, one by one:
   * such a backup must not pass for one of a small tree.
   */
  #assertRoot(): void {
    const [root] = this.#frames;
    if (root === undefined) return;
    let links: number;
    try {
      ({ links } = this.#libc.stat(root.descriptor, true));
    } catch (cause) {
      throw this.#lost(errnoCodeOf(cause) ?? 'unknown', cause);
    }
    // Some file systems count no links of directories at all.
    if (links === 0 && root.stat.links > 0) throw this.#lost('it was removed');
  }

  #lost(why: string, cause?: unknown): EngineError {
    const { directory } = this.#options;
    const message = `The source ${directory} was lost while it was read (${why}), so no snapshot was made. Bring its volume or network share back, then back up again: what was read is not read twice.`;
    return new EngineError('SourceLost', message, { retryable: true, context: { path: directory }, cause });
  }

  #problem(name: ByteString, path: ByteString, error: unknown): ProblemStep {
    const code = errnoCodeOf(error);
    if (code === undefined) throw error;
    if (!ofOneEntry.has(code)) this.#assertRoot();
    return problem(name, path, code);
  }

  /** What stands behind a name. Directories come back as their stat, to be entered; everything else as the step that tells of it. */
  #look(frame: Frame, name: ByteString, path: ByteString): WalkStep | FileStat | undefined {
    let stat: FileStat;
    try {
      stat = this.#libc.statAt(frame.descriptor, name);
    } catch (error) {
      return this.#problem(name, path, error);
    }
    const isDirectory = stat.type === 'dir';
    if (this.#options.select?.(path, isDirectory) === false) return undefined;
    return isDirectory ? stat : new Entry(this.#libc, this.#names, { at: frame.descriptor, name, stat, path });
  }

  *#directory(frame: Frame, stat: FileStat, path: ByteString, name: ByteString): Generator<WalkStep> {
    const isMounted = stat.deviceId !== this.#frames[0]?.stat.deviceId;
    if (isMounted && this.#options.crossFileSystems !== true) {
      yield { step: 'enter', name, path, stat, details: (warn) => this.#details(frame.descriptor, name, stat, path, warn) };
      yield { step: 'leave', name, path };
      return;
    }
    let opened: { readonly descriptor: number; readonly stat: FileStat };
    try {
      opened = openDirectory(this.#libc, frame.descriptor, name);
    } catch (error) {
      // It is still there, with its owner and mode: an empty directory, and the warning, say more than nothing.
      yield { step: 'enter', name, path, stat, details: (warn) => this.#details(frame.descriptor, name, stat, path, warn) };
      yield this.#problem(name, path, error);
      yield { step: 'leave', name, path };
      return;
    }
    yield* this.#enter(opened.descriptor, opened.stat, path, name);
  }

  *#enter(descriptor: number, stat: FileStat, path: ByteString, name: ByteString): Generator<WalkStep> {
    let names: ByteString[] = [];
    let failure: ProblemStep | undefined;
    try {
      names = this.#libc.namesIn(descriptor).sort();
    } catch (error) {
      // The root's own list is all that there is.
      if (this.#frames.length === 0) throw this.#lost(errnoCodeOf(error) ?? 'unknown', error);
      failure = this.#problem(name, path, error);
    }
    this.#frames.push({ descriptor, stat, path, name, names, next: 0 });
    const far = this.#frames.at(-1 - openAncestors);
    if (far !== undefined && far !== this.#frames[0] && far.descriptor >= 0) {
      this.#libc.close(far.descriptor);
      far.descriptor = -1;
    }
    yield { step: 'enter', name, path, stat, details: (warn) => this.#details(descriptor, self, stat, path, warn) } satisfies EnterStep;
    if (failure !== undefined) yield failure;
  }

  *#leave(frame: Frame): Generator<WalkStep> {
    // Before the last step: what it completes is saved at once.
    if (this.#frames.length === 1) this.#assertRoot();
    this.#frames.pop();
    const above = this.#frames.at(-1);
    const why = above === undefined || above.descriptor >= 0 ? undefined : this.#reopen(above, frame);
    if (above !== undefined && why !== undefined) {
      above.next = above.names.length;
      const message = `the directory ${why} while it was read; what follows in it is missing from this backup`;
      yield { step: 'leave', name: frame.name, path: frame.path };
      yield { step: 'problem', name: above.name, path: above.path, warning: { path: textOf(above.path), kind: 'unreadable', message } };
    } else {
      yield { step: 'leave', name: frame.name, path: frame.path };
    }
    if (frame.descriptor >= 0) this.#libc.close(frame.descriptor);
  }

  /** Comes back to a directory that was let go. @returns why it cannot: `..` is another one when someone moved the child elsewhere */
  #reopen(above: Frame, from: Frame): string | undefined {
    if (from.descriptor < 0) return 'was moved';
    try {
      const { descriptor, stat } = openDirectory(this.#libc, from.descriptor, parent);
      if (stat.inode === above.stat.inode && stat.deviceId === above.stat.deviceId) {
        above.descriptor = descriptor;
        return undefined;
      }
      this.#libc.close(descriptor);
      return 'was moved';
    } catch (error) {
      const code = errnoCodeOf(error);
      if (code === undefined) throw error;
      return `was lost (${code})`;
    }
  }

  #details(at: number, name: ByteString, stat: FileStat, path: ByteString, warn: (warning: PathWarning) => void): ReturnType<typeof readDetails> {
    return readDetails(this.#libc, this.#names, { at, name, stat, path }, warn);
  }
}

/** One of many, so its functions are shared instead of made for each. */
class Entry implements EntryStep {
  readonly step = 'entry';
  readonly name: ByteString;
  readonly path: ByteString;
  readonly stat: FileStat;
  readonly #libc: Libc;
  readonly #names: OwnerNames;
  readonly #at: number;

  constructor(libc: Libc, names: OwnerNames, entry: { readonly at: number; readonly name: ByteString; readonly stat: FileStat; readonly path: ByteString }) {
    this.#libc = libc;
    this.#names = names;
    this.#at = entry.at;
    this.name = entry.name;
    this.path = entry.path;
    this.stat = entry.stat;
  }

  details(warn: (warning: PathWarning) => void): FileDetails {
    return readDetails(this.#libc, this.#names, { at: this.#at, name: this.name, stat: this.stat, path: this.path }, warn);
  }

  open(): { readonly descriptor: number; readonly found: EntryStep } {
    const { descriptor, stat } = openFile(this.#libc, this.#at, this.name);
    if (stat.inode === this.stat.inode && stat.deviceId === this.stat.deviceId) return { descriptor, found: this };
    return { descriptor, found: new Entry(this.#libc, this.#names, { at: this.#at, name: this.name, path: this.path, stat }) };
  }
}

/** Leaves the access time alone where the kernel lets us: reading a customer's files should not mark them as used. */
function openForReading(libc: Libc, at: number, name: ByteString, flags: number): number {
  try {
    return libc.openAt(at, name, c.O_RDONLY | c.O_NOATIME | flags);
  } catch (error) {
    if (errnoCodeOf(error) !== 'EPERM') throw error;
    return libc.openAt(at, name, c.O_RDONLY | flags);
  }
}

function openDirectory(libc: Libc, at: number, name: ByteString): { readonly descriptor: number; readonly stat: FileStat } {
  return withStat(libc, openForReading(libc, at, name, c.O_DIRECTORY | c.O_NOFOLLOW));
}

function openFile(libc: Libc, at: number, name: ByteString): { readonly descriptor: number; readonly stat: FileStat } {
  // O_NONBLOCK: should a FIFO have taken the file's place, opening it must not wait for a writer.
  const opened = withStat(libc, openForReading(libc, at, name, c.O_NOFOLLOW | c.O_NONBLOCK));
  if (opened.stat.type === 'file') return opened;
  libc.close(opened.descriptor);
  throw new LibcError('openat', staleErrno, name);
}

function withStat(libc: Libc, descriptor: number): { readonly descriptor: number; readonly stat: FileStat } {
  try {
    return { descriptor, stat: libc.stat(descriptor) };
  } catch (error) {
    libc.close(descriptor);
    throw error;
  }
}

const staleErrno = 116;

function problem(name: ByteString, path: ByteString, code: string): ProblemStep {
  const shown = textOf(path);
  const warning: PathWarning =
    code === 'ENOENT'
      ? { path: shown, kind: 'vanished', message: `${shown} was removed while the backup ran` }
      : { path: shown, kind: 'unreadable', message: `${shown} cannot be read (${code}); it is missing from this backup` };
  return { step: 'problem', name, path, warning };
}
