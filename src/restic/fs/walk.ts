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

/** How many ancestors are held open. Deeper trees let go of the farthest ones and come back through `..`, which is checked. */
const openAncestors = 128;
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

  /** What stands behind a name. Directories come back as their stat, to be entered; everything else as the step that tells of it. */
  #look(frame: Frame, name: ByteString, path: ByteString): WalkStep | FileStat | undefined {
    let stat: FileStat;
    try {
      stat = this.#libc.statAt(frame.descriptor, name);
    } catch (error) {
      return problem(name, path, error);
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
    let descriptor: number;
    try {
      descriptor = openForReading(this.#libc, frame.descriptor, name, c.O_DIRECTORY | c.O_NOFOLLOW);
    } catch (error) {
      // It is still there, with its owner and mode: an empty directory, and the warning, say more than nothing.
      yield { step: 'enter', name, path, stat, details: (warn) => this.#details(frame.descriptor, name, stat, path, warn) };
      yield problem(name, path, error);
      yield { step: 'leave', name, path };
      return;
    }
    yield* this.#enter(descriptor, this.#libc.stat(descriptor), path, name);
  }

  *#enter(descriptor: number, stat: FileStat, path: ByteString, name: ByteString): Generator<WalkStep> {
    let names: ByteString[] = [];
    let failure: ProblemStep | undefined;
    try {
      names = this.#libc.namesIn(descriptor).sort();
    } catch (error) {
      failure = problem(name, path, error);
    }
    this.#frames.push({ descriptor, stat, path, name, names, next: 0 });
    const far = this.#frames.at(-1 - openAncestors);
    if (far !== undefined && far.descriptor >= 0) {
      this.#libc.close(far.descriptor);
      far.descriptor = -1;
    }
    yield { step: 'enter', name, path, stat, details: (warn) => this.#details(descriptor, self, stat, path, warn) } satisfies EnterStep;
    if (failure !== undefined) yield failure;
  }

  *#leave(frame: Frame): Generator<WalkStep> {
    this.#frames.pop();
    const above = this.#frames.at(-1);
    if (above !== undefined && above.descriptor < 0 && !this.#reopen(above, frame)) {
      above.next = above.names.length;
      const moved = 'the directory was moved while it was read; what follows in it is missing from this backup';
      yield { step: 'leave', name: frame.name, path: frame.path };
      yield { step: 'problem', name: above.name, path: above.path, warning: { path: textOf(above.path), kind: 'unreadable', message: moved } };
    } else {
      yield { step: 'leave', name: frame.name, path: frame.path };
    }
    if (frame.descriptor >= 0) this.#libc.close(frame.descriptor);
  }

  /** Comes back to a directory that was let go. False when `..` is another one: someone moved the child elsewhere. */
  #reopen(above: Frame, from: Frame): boolean {
    if (from.descriptor < 0) return false;
    const descriptor = openForReading(this.#libc, from.descriptor, parent, c.O_DIRECTORY);
    const stat = this.#libc.stat(descriptor);
    if (stat.inode !== above.stat.inode || stat.deviceId !== above.stat.deviceId) {
      this.#libc.close(descriptor);
      return false;
    }
    above.descriptor = descriptor;
    return true;
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

  open(): number {
    return openFile(this.#libc, this.#at, this.name, this.stat);
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

function openFile(libc: Libc, at: number, name: ByteString, expected: FileStat): number {
  // O_NONBLOCK: should a FIFO have taken the file's place, opening it must not wait for a writer.
  const descriptor = openForReading(libc, at, name, c.O_NOFOLLOW | c.O_NONBLOCK);
  const stat = libc.stat(descriptor);
  if (stat.type === 'file' && stat.inode === expected.inode) return descriptor;
  libc.close(descriptor);
  throw new LibcError('openat', staleErrno, name);
}

const staleErrno = 116;

function problem(name: ByteString, path: ByteString, error: unknown): ProblemStep {
  const code = errnoCodeOf(error);
  if (code === undefined) throw error;
  const shown = textOf(path);
  const warning: PathWarning =
    code === 'ENOENT'
      ? { path: shown, kind: 'vanished', message: `${shown} was removed while the backup ran` }
      : { path: shown, kind: 'unreadable', message: `${shown} cannot be read (${code}); it is missing from this backup` };
  return { step: 'problem', name, path, warning };
}
