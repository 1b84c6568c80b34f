// Index files as whole texts, for tests; the engine reads and writes them piece by piece.
import { IndexScanner, IndexWriter, keyOfHex, type IndexVisitor, type PackContents } from '../../src/restic/format/index.ts';

export function encodeIndex(packs: Iterable<PackContents>): Uint8Array {
  const writer = new IndexWriter();
  const key = new Int32Array(8);
  for (const pack of packs) {
    writer.beginPack(pack.id);
    for (const { type, id, offset, length, uncompressedLength } of pack.blobs) writer.blob(type, keyOfHex(id, key), 0, offset, length, uncompressedLength);
    writer.endPack();
  }
  return writer.finish();
}

/** @returns whether all of it was read */
export function scanIndex(json: Uint8Array, visitor: IndexVisitor): boolean {
  const scanner = new IndexScanner(visitor);
  scanner.push(json);
  return scanner.end();
}
