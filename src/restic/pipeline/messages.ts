import type { BlobType } from '../format/index.ts';

/** A file, or a stretch of a large one, for a worker to read, cut, seal and pack. */
export interface FileJob {
  /** Comes back in the result. */
  readonly ticket: number;
  readonly descriptor: number;
  readonly offset: number;
  /** bytes */
  readonly length: number;
  /** The worker closes the descriptor, and looks whether the file is longer than `length` by now. */
  readonly isWholeFile: boolean;
  /** It has holes: ask where, and do not read them. */
  readonly isSparse: boolean;
}

export interface FileResult {
  readonly ticket: number;
  /** The ids as a tree's `content` has them, without the brackets: `"…","…"`. */
  readonly content: string;
  /** Bytes read; fewer than asked for when the file shrank. */
  readonly bytes: number;
  /** Longer or shorter than it was when it was listed. */
  readonly hasChanged: boolean;
  readonly newBlobs: number;
  /** Of the new blobs: bytes of plaintext, and in the packs. */
  readonly newBytes: number;
  readonly bytesAdded: number;
  /** The errno code of a read that failed; then the file is left out. */
  readonly problem?: string;
}

/** `OpenPack` and `FinishedPack` as they travel: the buffers are transferred. */
export interface PackMessage {
  readonly type: BlobType;
  readonly body: ArrayBuffer;
  readonly length: number;
  readonly header: Uint8Array;
}

export type ToWorker =
  | { readonly kind: 'files'; readonly jobs: readonly FileJob[] }
  /** The table of blobs has grown. */
  | { readonly kind: 'segment'; readonly buffer: SharedArrayBuffer }
  /** No more files will come: hand over what is open. */
  | { readonly kind: 'finish' };

export type FromWorker =
  | { readonly kind: 'results'; readonly results: readonly FileResult[] }
  | { readonly kind: 'pack'; readonly pack: PackMessage & { readonly sha256: Uint8Array } }
  | { readonly kind: 'finished'; readonly open: readonly (PackMessage & { readonly count: number })[] };

/** What a worker starts with. Buffers that are shared stay so; the port brings pack buffers back. */
export interface WorkerStart {
  readonly material: SharedArrayBuffer;
  readonly gear: Int32Array;
  readonly table: readonly SharedArrayBuffer[];
  /** One bit for each pack that there was at the start: set when a blob in it is used. */
  readonly reached: SharedArrayBuffer;
  /** One word: how often a pack buffer came back; waited on when there is none. -1: stop. */
  readonly wakeUps: SharedArrayBuffer;
  readonly bufferPort: import('node:worker_threads').MessagePort;
  readonly canCompress: boolean;
}
