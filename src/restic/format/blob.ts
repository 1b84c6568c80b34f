import type { Id } from './node.ts';

export type BlobType = 'data' | 'tree';

/** Where a blob lies. */
export interface BlobLocation {
  readonly packId: Id;
  /** Of the encrypted blob in the pack, bytes. */
  readonly offset: number;
  /** Of the encrypted blob, bytes; 32 more than what it holds. */
  readonly length: number;
  /** Of the plaintext, bytes; 0 when the blob is not compressed (then `length − 32`). */
  readonly uncompressedLength: number;
}

export interface PackedBlob extends Omit<BlobLocation, 'packId'> {
  readonly type: BlobType;
  readonly id: Id;
}

/** One pack as the index, or its own header, describes it. Blobs are sorted by offset. */
export interface PackContents {
  readonly id: Id;
  readonly blobs: readonly PackedBlob[];
}
