import type { BlobType, PackedBlob } from './blob.ts';
import { sealOverhead } from './crypto.ts';
import { damaged } from './damaged.ts';
import { isId, JsonReader, parseJson } from './json.ts';

/**
 * Calls `onBlob` for each blob of the file, pack by pack; nothing else is built, for an index may have millions.
 * Accepts restic's first form too, where the packs are the top-level list.
 * @throws {EngineError} `Damaged`
 */
export function parseIndex(json: Uint8Array, what: string, onBlob: (packId: string, blob: PackedBlob) => void): void {
  const top = parseJson(json, what);
  const packs = Array.isArray(top) ? (top as readonly unknown[]) : optionalList(new JsonReader(top, what), 'packs');
  for (const pack of packs) {
    const reader = new JsonReader(pack, what);
    const packId = reader.id('id');
    for (const blob of optionalList(reader, 'blobs')) onBlob(packId, parseBlob(blob, what));
  }
}

/** Go writes `null` for a list that is empty. */
function optionalList(reader: JsonReader, field: string): readonly unknown[] {
  return reader.has(field) ? reader.list(field) : [];
}

function parseBlob(value: unknown, what: string): PackedBlob {
  if (typeof value !== 'object' || value === null) throw damaged(what, 'a blob in it is no object');
  const { id, type, offset, length, uncompressed_length: uncompressedLength = 0 } = value as Readonly<Record<string, unknown>>;
  if (!isId(id)) throw damaged(what, 'a blob in it has no id of 64 hex digits');
  if (!isBlobType(type)) throw damaged(what, 'a blob in it is neither data nor tree');
  if (!isCount(offset) || !isCount(length) || !isCount(uncompressedLength) || length < sealOverhead) throw damaged(what, 'a blob in it has an impossible place');
  return { id, type, offset, length, uncompressedLength };
}

function isBlobType(value: unknown): value is BlobType {
  return value === 'data' || value === 'tree';
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 0xffffffff;
}
