/** What the restoring thread and its workers say to each other. Plain objects: they are cloned between threads. */
import type { ByteString } from '../format/byte-string.ts';
import type { ExtendedAttribute, Id } from '../format/node.ts';
import type { Timespec } from '../format/time.ts';

/** What is set on an entry once its content is there. */
export interface Metadata {
  /** The twelve permission bits. */
  readonly permissions: number;
  readonly uid: number;
  readonly gid: number;
  readonly atime: Timespec;
  readonly mtime: Timespec;
  readonly xattrs: readonly ExtendedAttribute[];
  /** Other attributes may have come from the directory (a default ACL) or from what was there before: remove them. */
  readonly mayHaveOtherXattrs: boolean;
  /** A file that is made here gets this owner without our doing. */
  readonly isOwnerSet: boolean;
}

/** How a file's data comes to its place. */
export type FileMode =
  /** All of its blobs are in this task: make it, fill it, finish it. */
  | 'whole'
  /** As `whole`, but over the content of a file that is there. */
  | 'overwrite'
  /** It is there with its right size: write these blobs; someone else finishes it. */
  | 'part'
  /** Decode and verify only. */
  | 'verify';

export interface FileJob {
  readonly number: number;
  readonly mode: FileMode;
  readonly directory: ByteString;
  readonly name: ByteString;
  readonly size: number;
  /** Zeros need not be written: the file is new. */
  readonly isFresh: boolean;
  /** Of `whole` and `overwrite`. */
  readonly metadata?: Metadata;
}

/** One blob inside a task's bytes, and where it goes. */
export interface BlobJob {
  readonly id: Id;
  /** In the task's bytes. */
  readonly offset: number;
  readonly length: number;
  /** 0 when not compressed. */
  readonly uncompressedLength: number;
  /** `[index into the task's files, position in the file]`, flat. */
  readonly writes: readonly number[];
}

export interface WriteTask {
  readonly kind: 'write';
  readonly number: number;
  readonly bytes: Uint8Array;
  /** The bytes are plaintext already: the damaged original was replaced from another place. */
  readonly isPlain: boolean;
  readonly files: readonly FileJob[];
  readonly blobs: readonly BlobJob[];
}

/** Which stretches of an existing file already hold what they should. */
export interface CompareTask {
  readonly kind: 'compare';
  readonly number: number;
  readonly directory: ByteString;
  readonly name: ByteString;
  readonly ids: readonly Id[];
  /** Where the first stretch starts. */
  readonly position: number;
  /** Plaintext lengths; the stretches follow each other. */
  readonly lengths: readonly number[];
}

export interface FileFailure {
  /** The job's number. */
  readonly file: number;
  /** errno's name */
  readonly code: string;
  readonly message: string;
}

export interface WriteResult {
  readonly kind: 'write';
  readonly number: number;
  readonly bytesWritten: number;
  /** Indexes into the task's blobs of what did not verify. Files of mode `whole` and `overwrite` that need them are untouched. */
  readonly damagedBlobs: readonly number[];
  readonly failures: readonly FileFailure[];
  /** What could not be set on files that were finished here. */
  readonly metadataProblems: readonly { readonly file: number; readonly problems: readonly string[] }[];
}

export interface CompareResult {
  readonly kind: 'compare';
  readonly number: number;
  /** Indexes of the stretches that differ. */
  readonly different: readonly number[];
}

export type Task = WriteTask | CompareTask;
export type Result = WriteResult | CompareResult;

/** What a worker gets when it starts. */
export interface WorkerSetup {
  /** Descriptor of the target's root; descriptors belong to the process, not to a thread. */
  readonly root: number;
  /** 64 bytes of the repository's key. */
  readonly keyMaterial: Uint8Array;
  /** The process's umask: threads cannot ask for it. */
  readonly umask: number;
}
