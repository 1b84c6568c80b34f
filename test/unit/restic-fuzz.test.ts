import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  CipherKey, decodeUnpacked, hexOfKey, encodeConfig, encodeKeyFile, encodeLock, encodePackHeader, encodeSnapshot, encodeTree, encodeUnpacked, newConfig,
  parseConfig, parseIndex, parseKeyFile, parseLock, parsePackHeader, parseSnapshot, parseTree, byteString, type Node, type PackedBlob,
} from '../../src/restic/format/index.ts';
import { contentIdsOf, ParentTree } from '../../src/restic/backup/parent-tree.ts';
import { EngineError } from '../../src/restic/index.ts';
import { parseMark } from '../../src/restic/prune/marks.ts';
import { readReferences } from '../../src/restic/prune/used-blobs.ts';
import { canonicalJson } from '../../src/storage/index.ts';
import { assertInBatches, fuzz, fuzzTimeoutMs, inputsNear } from '../support/fuzz.ts';
import { encodeIndex, scanIndex } from '../support/index-text.ts';

const id = 'ab'.repeat(32);
const time = '2020-02-03T04:05:06.7Z';
const node: Node = { name: byteString('a\xff'), type: 'file', mode: 420, mtime: time, atime: time, ctime: time, uid: 1, gid: 2, user: 'u', size: 5, links: 1, inode: 7, content: [id, id], extendedAttributes: [{ name: byteString('user.a'), value: Buffer.from('x') }] };
const directory: Node = { ...node, name: byteString('d'), type: 'dir', content: null, subtree: id, size: undefined };
const tree = encodeTree({ nodes: [node, directory] });
const blobs: PackedBlob[] = [{ type: 'data', id, offset: 0, length: 50, uncompressedLength: 0 }, { type: 'tree', id, offset: 50, length: 60, uncompressedLength: 90 }];
const index = encodeIndex([{ id, blobs }, { id: 'cd'.repeat(32), blobs }]);
const visitor = { pack: () => 0, blob: () => undefined };

const parsers: [string, Uint8Array, (bytes: Uint8Array) => unknown][] = [
  ['trees', tree, (bytes) => parseTree(bytes, 'x')],
  ["trees, their references alone", tree, (bytes) => readReferences(bytes, id, () => undefined, () => undefined)],
  ['prune marks', canonicalJson({ version: 1, since: new Date(0).toISOString(), packs: [id] }), (bytes) => parseMark('prune/x.json', bytes)],
  ['indexes', index, (bytes) => parseIndex(bytes, 'x', () => undefined)],
  ['indexes, scanned', index, (bytes) => scanIndex(bytes, visitor)],
  ['pack headers', encodePackHeader(blobs), (bytes) => parsePackHeader(bytes, 110, 'x')],
  ['snapshots', encodeSnapshot({ time, tree: id, paths: ['/a'], hostname: 'h', tags: ['t'], summary: { files_new: 1 } }), (bytes) => parseSnapshot(bytes, 'x')],
  ['locks', encodeLock({ time, exclusive: true, hostname: 'h', username: 'u', pid: 1, uid: 2, gid: 3 }), (bytes) => parseLock(bytes, 'x')],
  ['configs', encodeConfig(newConfig()), (bytes) => parseConfig(bytes)],
  ['unpacked files', encodeUnpacked(index, 2), (bytes) => decodeUnpacked(bytes, 'x')],
  ['key files', await encodeKeyFile(CipherKey.generate(), Buffer.from('x'), new Date(0)), (bytes) => parseKeyFile(bytes, 'x')],
];

function accepts(error: unknown): boolean {
  return error instanceof EngineError && (error.code === 'Damaged' || error.code === 'UnknownVersion');
}

describe('reading what someone damaged or forged', () => {
  it.each(parsers)('%s: ends well or as Damaged, never otherwise', async (_name, valid, parse) => {
    parse(valid);
    await fuzz({ valid, parse, accepts });
  }, fuzzTimeoutMs);

  it('the fast reader of indexes finds what the careful one finds, or says that it cannot', async () => {
    await assertInBatches(fc.property(fc.oneof(fc.constant(new Uint8Array(index)), inputsNear(index)), (bytes) => {
      const fast: string[] = [];
      let pack = '';
      const isCanonical = scanIndex(bytes, {
        pack: (packId) => ((pack = packId), 0),
        blob: (_pack, type, key, offset, length, uncompressedLength) => void fast.push([pack, type, hexOfKey(key), offset, length, uncompressedLength].join(' ')),
      });
      if (!isCanonical) return;
      const careful: string[] = [];
      parseIndex(bytes, 'x', (packId, blob) => void careful.push([packId, blob.type, blob.id, blob.offset, blob.length, blob.uncompressedLength].join(' ')));
      expect(fast).toEqual(careful);
    }));
  }, fuzzTimeoutMs);

  it("the fast reader of a parent's tree never makes up a node", async () => {
    const known = new Set([node, directory].map((one) => encodeTree({ nodes: [one] }).toString('latin1').slice(10, -3)));
    const heads = [...known].map((text) => text.slice(0, text.indexOf(',"content"')).replace(/,"extended_attributes.*/, ''));
    await assertInBatches(fc.property(fc.oneof(fc.constant(new Uint8Array(tree)), inputsNear(tree)), (bytes) => {
      const parent = new ParentTree(id, bytes);
      for (const head of heads) {
        const taken = parent.takeIfUnchanged(head);
        if (taken === undefined) continue;
        for (const at of contentIdsOf(taken)) expect(at).toBeLessThan(taken.length);
      }
      try {
        parent.find(byteString('zz'));
      } catch (error) {
        expect(error).toMatchObject({ code: 'Damaged' });
      }
    }));
  }, fuzzTimeoutMs);
});
