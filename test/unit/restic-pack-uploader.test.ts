/** What a backup that is killed does not lose: packs are named in index files under way. */
import { describe, expect, it } from '@jest/globals';
import { hash, randomBytes } from 'node:crypto';
import { encodePackHeader, headerLengthLength, IndexWriter, sealOverhead, type PackedBlob } from '../../src/restic/format/index.ts';
import { PackUploader, type UploadablePack } from '../../src/restic/repository/pack-uploader.ts';
import { TableIndex } from '../../src/restic/repository/table-index.ts';
import { MemoryStore } from '../../src/storage/index.ts';

/** As a builder hands it over: blobs of 40 bytes, none of which anybody opens here. */
function packWith(count: number): UploadablePack {
  const blobs = Array.from({ length: count }, (_, i): PackedBlob => ({ type: 'data', id: randomBytes(32).toString('hex'), offset: i * 40, length: 40, uncompressedLength: 0 }));
  const header = encodePackHeader(blobs);
  const body = randomBytes(count * 40 + header.length + sealOverhead + headerLengthLength);
  return { body, length: body.length, sha256: hash('sha256', body, 'buffer'), header };
}

describe('packs that are stored', () => {
  it('are named in an index as soon as they hold 50,000 blobs, each after it is there, and the last of them at the end', async () => {
    const store = new MemoryStore();
    const index = new TableIndex();
    const order: string[] = [];
    const saveIndex = async (write: (writer: IndexWriter) => void) => {
      const writer = new IndexWriter();
      write(writer);
      const json = writer.finish();
      const named = [...Buffer.from(json).toString('latin1').matchAll(/"id":"([0-9a-f]{64})","blobs"/g)].map(([, id = '']) => id);
      for (const id of named) expect(await store.head(`data/${id.slice(0, 2)}/${id}`)).toBeDefined();
      order.push(`index of ${String(named.length)}`);
      return { id: hash('sha256', json, 'hex'), size: json.length };
    };
    const uploader = new PackUploader({ store, index, saveIndex });
    for (const count of [30_000, 20_001, 5]) {
      uploader.upload(packWith(count), () => order.push(`pack of ${String(count)}`));
      await uploader.settle(0);
    }
    expect(order).toEqual(['pack of 30000', 'index of 2', 'pack of 20001', 'pack of 5']);
    await uploader.finish();
    expect(order.at(-1)).toBe('index of 1');
    expect(uploader.packs).toHaveLength(3);
    expect(index.size).toBe(50_006);
  });
});
