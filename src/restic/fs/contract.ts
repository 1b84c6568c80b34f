/** What walking and reading a source gives the pipeline. */
import type { PathWarning } from '../contract.ts';
import type { ByteString } from '../format/byte-string.ts';
import type { ExtendedAttribute, NodeType, Uint64 } from '../format/node.ts';
import type { Timespec } from '../format/time.ts';

/** What one `statx` told, never following a symlink. */
export interface FileStat {
  readonly type: NodeType;
  /** The whole `st_mode`, type bits and setuid, setgid, sticky included. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly inode: Uint64;
  /** The file system's `st_dev`, in the encoding of glibc (which is restic's too). */
  readonly deviceId: number;
  /** `st_rdev` of a device, 0 elsewhere. */
  readonly device: number;
  readonly links: number;
  /** bytes */
  readonly size: number;
  /** 512-byte blocks that are really allocated; below `size / 512` the file has holes (or is compressed by its file system). */
  readonly blocks: number;
  readonly mtime: Timespec;
  readonly atime: Timespec;
  readonly ctime: Timespec;
}

/** What a tree node says beside its stat. Costs further system calls, so it is asked for only where the parent's node is not reused. */
export interface FileDetails {
  /** Empty where the id has no name, as restic has it. */
  readonly user: string;
  readonly group: string;
  /** Of a symlink. */
  readonly linkTarget?: ByteString;
  readonly extendedAttributes: readonly ExtendedAttribute[];
}

/**
 * One step of a walk, depth first, the names of a directory in byte order (the order of a restic tree).
 * `enter` and `leave` come in pairs, the source's root included; between them lie the directory's entries.
 */
export type WalkStep = EnterStep | LeaveStep | EntryStep | ProblemStep;

interface StepBase {
  /** The last part of the path; empty for the source's root. */
  readonly name: ByteString;
  /** The path as the snapshot shows it: the walk's `as` and what lies below. */
  readonly path: ByteString;
}

export interface EnterStep extends StepBase {
  readonly step: 'enter';
  readonly stat: FileStat;
  /** As for an entry. */
  details(warn: (warning: PathWarning) => void): FileDetails;
}

export interface LeaveStep extends StepBase {
  readonly step: 'leave';
}

/** Everything but a directory. The functions are valid until the walk goes on: open or describe first, then ask for the next step. */
export interface EntryStep extends StepBase {
  readonly step: 'entry';
  readonly stat: FileStat;
  details(warn: (warning: PathWarning) => void): FileDetails;
  /**
   * Opens a regular file for reading (O_NOFOLLOW, relative to its directory, atime kept where allowed). The descriptor is the caller's,
   * also in another thread: read it with `fs.readSync`, close it with `fs.closeSync`.
   * @returns with `found`, the entry that was opened: this one, or the file that has taken its place since (as an editor saves: by renaming)
   * @throws {LibcError} `ENOENT` (vanished), `EACCES` (unreadable), …; also when something else than a file has taken its place.
   */
  open(): { readonly descriptor: number; readonly found: EntryStep };
}

/** A directory that could not be listed, an entry that vanished or could not be looked at. The walk goes on; the backup is incomplete. */
export interface ProblemStep extends StepBase {
  readonly step: 'problem';
  readonly warning: PathWarning;
}

export interface WalkOptions {
  /** Absolute path on this machine. */
  readonly directory: string;
  /** What the snapshot shows for it, absolute; `directory` itself where absent. */
  readonly as?: string;
  /** Entries for which this is false are left out, directories with all that lies below. Decides on the path that the snapshot shows. */
  readonly select?: (path: ByteString, isDirectory: boolean) => boolean;
  /** Enter other file systems mounted below; off: the mount point is an empty directory, as restic's `--one-file-system` has it. */
  readonly crossFileSystems?: boolean;
  readonly signal?: AbortSignal | undefined;
}

/** `fs/index.ts` exports functions of these shapes. */
export interface SourceReader {
  /** @throws {EngineError} `SourceMissing`; `SourceLost` when the source's root has gone while it was walked */
  walk(options: WalkOptions): Iterable<WalkStep>;
  /** A stat of an open descriptor, to see whether a file changed while it was read. */
  statDescriptor(descriptor: number): FileStat;
  /**
   * The stretches of an open file that hold data, in order: `[offset, length]`, in bytes; what lies between reads as zeros.
   * One stretch of the whole size where the file system knows no holes.
   */
  dataRanges(descriptor: number, size: number): Iterable<readonly [offset: number, length: number]>;
  /** The kind, owner, times of one path itself; for the directories above a source. */
  statPath(path: string): FileStat;
}
