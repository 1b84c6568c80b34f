import type { BlobLocation, ByteString, Id } from '../format/index.ts';
import type { Metadata } from './messages.ts';

/** A regular file on its way. */
export interface FileState {
  readonly number: number;
  /** Relative to the target. */
  readonly path: ByteString;
  /** As the snapshot shows it. */
  readonly location: ByteString;
  readonly size: number;
  readonly metadata: Metadata;
  readonly blobCount: number;
  /** It was there before: what is identical is kept, and its name never goes away. */
  readonly isExisting: boolean;
  /** Its size before. */
  readonly existingSize?: number;
  /** It is there with its right size, and parts can be written. */
  isOpen: boolean;
  /** Blobs, by their places in the file, that are known to be needed and not written yet. */
  left: number;
  /** Parts that no batch has taken yet. */
  partsLeft: number;
  isChanged: boolean;
  isFailed: boolean;
  isFinished: boolean;
  /** What could not be restored, as `first–last byte`. */
  readonly damagedRanges: string[];
}

/** A run of a file's blobs, in order: all of a small file, a slice of a large one. */
export interface FilePart {
  readonly file: FileState;
  readonly ids: readonly Id[];
  readonly locations: readonly BlobLocation[];
  /** Of the plaintexts, bytes. */
  readonly lengths: readonly number[];
  /** Of the first blob, in the file. */
  readonly position: number;
}

/** Where a blob goes. */
export interface BlobUse {
  readonly part: FilePart;
  readonly position: number;
}
