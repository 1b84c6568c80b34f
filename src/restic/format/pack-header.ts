import type { BlobType, PackedBlob } from './blob.ts';
import { damaged } from './damaged.ts';
import { sealOverhead } from './crypto.ts';

/** The header at a pack's end (design.rst "Pack Format"): one entry a blob, in the order in which they lie. */
const plainEntryLength = 1 + 4 + 32;
const compressedEntryLength = 1 + 4 + 4 + 32;
export const headerLengthLength = 4;
/** restic's own limit, from which follows how many blobs a pack can have. */
export const maxHeaderLength = 16 * 1024 * 1024;
/** So that every entry of a full pack fits. */
export const maxBlobsOfPack = Math.floor((maxHeaderLength - sealOverhead) / compressedEntryLength);

type HeaderBlob = Omit<PackedBlob, 'offset'>;

export function entryLengthOf(uncompressedLength: number): number {
  return uncompressedLength === 0 ? plainEntryLength : compressedEntryLength;
}

/** The header's plaintext. The caller seals it and appends its sealed length as four bytes, little-endian. */
export function encodePackHeader(blobs: readonly HeaderBlob[]): Uint8Array {
  const length = blobs.reduce((sum, blob) => sum + entryLengthOf(blob.uncompressedLength), 0);
  const header = Buffer.allocUnsafe(length);
  let at = 0;
  for (const blob of blobs) {
    const isCompressed = blob.uncompressedLength !== 0;
    at = header.writeUInt8((blob.type === 'tree' ? 1 : 0) | (isCompressed ? 2 : 0), at);
    at = header.writeUInt32LE(blob.length, at);
    if (isCompressed) at = header.writeUInt32LE(blob.uncompressedLength, at);
    at += header.write(blob.id, at, 'hex');
  }
  return header;
}

/** Called for each blob of a pack, in the order in which they lie. `idAt`: where its 32 bytes stand in the header. */
export type HeaderVisitor = (type: BlobType, idAt: number, offset: number, length: number, uncompressedLength: number) => void;

/**
 * @param end - where the header begins in the pack, bytes: the blobs must fill exactly what lies before it
 * @throws {EngineError} `Damaged`; what was visited until then is not to be used
 */
export function scanPackHeader(header: Uint8Array, end: number, what: string, visit: HeaderVisitor): void {
  const view = Buffer.from(header.buffer, header.byteOffset, header.byteLength);
  let offset = 0;
  for (let at = 0; at < view.length; ) {
    const kind = view.readUInt8(at);
    if (kind > 3) throw damaged(what, `its header has a blob of unknown type ${kind}`);
    const isCompressed = kind >= 2;
    const entryLength = isCompressed ? compressedEntryLength : plainEntryLength;
    if (at + entryLength > view.length) throw damaged(what, 'its header ends within an entry');
    const length = view.readUInt32LE(at + 1);
    if (length < sealOverhead) throw damaged(what, 'its header names a blob that is too short');
    visit((kind & 1) === 1 ? 'tree' : 'data', at + entryLength - 32, offset, length, isCompressed ? view.readUInt32LE(at + 5) : 0);
    offset += length;
    at += entryLength;
  }
  if (offset !== end) throw damaged(what, 'its blobs do not fill it');
}

/** As `scanPackHeader`, as a list. */
export function parsePackHeader(header: Uint8Array, end: number, what: string): PackedBlob[] {
  const view = Buffer.from(header.buffer, header.byteOffset, header.byteLength);
  const blobs: PackedBlob[] = [];
  scanPackHeader(header, end, what, (type, idAt, offset, length, uncompressedLength) => {
    blobs.push({ type, id: view.toString('hex', idAt, idAt + 32), offset, length, uncompressedLength });
  });
  return blobs;
}
