import { compress, decompress } from './compression.ts';
import { damaged } from './damaged.ts';

/**
 * The plaintext of snapshots, index and lock files (design.rst "Unpacked Data Format"): JSON as it is in version 1; in
 * version 2 a byte `2` and zstd-compressed JSON, while `[` and `{` still mark plain JSON.
 */
const compressedMark = 2;
/** restic aims at 8 MiB an index file; a frame that unpacks to more than this is an attack on our memory. */
const maxJsonLength = 512 * 1024 * 1024;

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
