import type { ByteString } from './byte-string.ts';

/** 64 lower-case hex digits: the SHA-256 of a blob's plaintext, or of a file's bytes in the repository. */
export type Id = string;

/** Exact: a number up to 2^53 − 1, a bigint beyond. */
export type Uint64 = number | bigint;

export type NodeType = 'file' | 'dir' | 'symlink' | 'dev' | 'chardev' | 'fifo' | 'socket' | 'irregular';

export interface ExtendedAttribute {
  readonly name: ByteString;
  readonly value: Uint8Array;
}

/**
 * One entry of a restic tree (doc/design.rst "Trees and Data", and restic's own node encoding where that is silent).
 * Absent optional fields and zeroes are left out of the JSON, as Go's `omitempty` does.
 */
export interface Node {
  readonly name: ByteString;
  readonly type: NodeType;
  /** Go's `fs.FileMode`: permission bits and Go's own type, setuid, setgid and sticky bits; see `file-mode.ts`. */
  readonly mode: number;
  /** RFC 3339 with up to nine digits of a second and any offset; see `time.ts`. */
  readonly mtime: string;
  readonly atime: string;
  readonly ctime: string;
  readonly uid: number;
  readonly gid: number;
  readonly user?: string | undefined;
  readonly group?: string | undefined;
  readonly inode?: Uint64 | undefined;
  /** `st_dev`; only for hard-linked files (restic leaves it out elsewhere, for it changes with each mounted snapshot). */
  readonly deviceId?: Uint64 | undefined;
  /** bytes; files only */
  readonly size?: number | undefined;
  /** `st_nlink`; files that are no directories. */
  readonly links?: Uint64 | undefined;
  readonly linkTarget?: ByteString | undefined;
  readonly extendedAttributes?: readonly ExtendedAttribute[] | undefined;
  /** Written by restic on Windows; kept as it is. */
  readonly genericAttributes?: Readonly<Record<string, unknown>> | undefined;
  /** `st_rdev`; devices only */
  readonly device?: Uint64 | undefined;
  /** The data blobs in order; `null` for everything that is not a file. */
  readonly content: readonly Id[] | null;
  /** The tree of a directory. */
  readonly subtree?: Id | undefined;
  readonly error?: string | undefined;
}

/** A directory's entries, sorted by the bytes of their names. */
export interface Tree {
  readonly nodes: readonly Node[];
}
