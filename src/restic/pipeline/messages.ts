import type { Compression } from '../contract.ts';
import type { BlobType } from '../format/index.ts';
import type { SegmentMemory } from '../repository/index.ts';
import type { SharedPackBuffers } from './pack-buffers.ts';

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

/** Results of a batch in two values, for each object in a message costs microseconds on both sides. */
export interface PackedResults {
  /** `fieldsOfResult` numbers for each file. */
  readonly numbers: Float64Array<ArrayBuffer>;
  /** One line a file: its content, or `!` and the errno code of a read that failed. */
  readonly lines: string;
}

const fieldsOfResult = 6;

export function packResults(results: readonly FileResult[]): PackedResults {
  const numbers = new Float64Array(results.length * fieldsOfResult);
  const lines: string[] = [];
  for (const [i, { ticket, bytes, hasChanged, newBlobs, newBytes, bytesAdded, problem, content }] of results.entries()) {
    numbers.set([ticket, bytes, hasChanged ? 1 : 0, newBlobs, newBytes, bytesAdded], i * fieldsOfResult);
    lines.push(problem === undefined ? content : `!${problem}`);
  }
  return { numbers, lines: lines.join('\n') };
}

export function* unpackResults({ numbers, lines }: PackedResults): Generator<FileResult> {
  let at = 0;
  for (const line of lines.split('\n')) {
    const [ticket = 0, bytes = 0, changed = 0, newBlobs = 0, newBytes = 0, bytesAdded = 0] = numbers.subarray(at, at + fieldsOfResult);
    at += fieldsOfResult;
    const result = { ticket, bytes, hasChanged: changed === 1, newBlobs, newBytes, bytesAdded };
    yield line.startsWith('!') ? { ...result, content: '', problem: line.slice(1) } : { ...result, content: line };
  }
}

/**
 * `OpenPack` and `FinishedPack` as they travel. Which of the worker's shared buffers holds it, or, when it fits into none, a buffer of its
 * own, which is transferred.
 */
export interface PackMessage {
  readonly type: BlobType;
  readonly body: number | ArrayBuffer;
  readonly length: number;
  readonly header: Uint8Array;
}

export type ToWorker =
  | { readonly kind: 'files'; readonly jobs: readonly FileJob[] }
  /** The table of blobs has grown. */
  | { readonly kind: 'segment'; readonly memory: SegmentMemory }
  /** No more files will come: hand over what is open. */
  | { readonly kind: 'finish' };

export type FromWorker =
  | ({ readonly kind: 'results' } & PackedResults)
  | { readonly kind: 'pack'; readonly pack: PackMessage & { readonly sha256: Uint8Array } }
  | { readonly kind: 'finished'; readonly open: readonly (PackMessage & { readonly count: number })[] };

/** What a worker starts with. All buffers are shared. */
export interface WorkerStart {
  readonly material: SharedArrayBuffer;
  readonly gear: Int32Array;
  readonly table: readonly SegmentMemory[];
  /** One bit for each pack that there was at the start: set when a blob in it is used. */
  readonly reached: SharedArrayBuffer;
  readonly packBuffers: SharedPackBuffers;
  /** Packs are closed once they hold this much, bytes. */
  readonly packTarget: number;
  readonly compression: Compression;
}
