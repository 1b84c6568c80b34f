import { compress, decompress } from './compression.ts';
import type { CipherKey } from './crypto.ts';
import { damaged } from './damaged.ts';
import { IndexWriter } from './index-writer.ts';
import { FrameCompressor, ZstdStream } from './zstd-stream.ts';

/**
 * The plaintext of snapshots, index and lock files (design.rst "Unpacked Data Format"): JSON as it is in version 1; in
 * version 2 a byte `2` and zstd-compressed JSON, while `[` and `{` still mark plain JSON.
 */
const compressedMark = 2;
/** restic aims at 8 MiB an index file; a frame that unpacks to more than this is an attack on our memory. */
const maxJsonLength = 512 * 1024 * 1024;
/** In pieces it takes no memory; this many blobs would be another matter. */
const maxStreamedLength = 8 * 1024 * 1024 * 1024;
/** What is decrypted at a time, bytes. */
const sealedPiece = 256 * 1024;

export function encodeUnpacked(json: Uint8Array, version: 1 | 2): Uint8Array {
  if (version === 1) return json;
  const frame = compress(json);
  const encoded = Buffer.allocUnsafe(frame.length + 1);
  encoded[0] = compressedMark;
  encoded.set(frame, 1);
  return encoded;
}

/** @throws {EngineError} `Damaged` */
export function decodeUnpacked(plaintext: Uint8Array, what: string): Uint8Array {
  const mark = plaintext[0];
  if (mark === 0x5b || mark === 0x7b) return plaintext;
  if (mark === compressedMark) return decompress(plaintext.subarray(1), maxJsonLength, what);
  throw damaged(what, 'it has an unknown encoding');
}

/** A sealed file as it is stored: several buffers, to be written one after the other. */
export interface SealedFile {
  readonly parts: readonly Uint8Array[];
  readonly size: number;
  readonly sha256: Buffer;
}

/**
 * Encodes and seals JSON that is written piece by piece, a zstd frame for each: decoders take frames that follow one another as one text
 * (RFC 8878, section 3.1). The index of a million blobs is 190 MB of JSON and 40 MB of this.
 */
export function sealUnpacked(key: CipherKey, version: 1 | 2, write: (emit: (json: Uint8Array) => void) => void): SealedFile {
  const sealing = key.sealing();
  if (version === 1) {
    write((json) => sealing.push(json));
    return sealing.finish();
  }
  sealing.push(Uint8Array.of(compressedMark));
  const frames = new FrameCompressor();
  try {
    write((json) => sealing.push(frames.compress(json)));
  } finally {
    frames.free();
  }
  return sealing.finish();
}

/** An index file, sealed while it is written. */
export function sealIndex(key: CipherKey, version: 1 | 2, write: (writer: IndexWriter) => void): SealedFile {
  return sealUnpacked(key, version, (emit) => {
    const writer = new IndexWriter(emit);
    write(writer);
    writer.finish();
  });
}

/**
 * Opens a sealed file and hands its JSON on piece by piece, each valid during the call only.
 * @throws {EngineError} `Damaged`
 */
export function openUnpacked(key: CipherKey, sealed: Uint8Array, what: string, emit: (json: Uint8Array) => void): void {
  const state: { stream?: ZstdStream; isPlain: boolean } = { isPlain: false };
  try {
    const isSound = key.openInPieces(sealed, sealedPiece, (piece) => {
      if (state.stream !== undefined) return state.stream.push(piece);
      if (state.isPlain) return emit(piece);
      const mark = piece[0];
      if (mark === compressedMark) {
        state.stream = new ZstdStream(what, maxStreamedLength, emit);
        return state.stream.push(piece.subarray(1));
      }
      if (mark !== 0x5b && mark !== 0x7b) throw damaged(what, 'it has an unknown encoding');
      state.isPlain = true;
      emit(piece);
    });
    if (!isSound) throw damaged(what, 'its MAC does not match');
    if (state.stream === undefined && !state.isPlain) throw damaged(what, 'it has an unknown encoding');
    state.stream?.end();
  } finally {
    state.stream?.free();
  }
}
