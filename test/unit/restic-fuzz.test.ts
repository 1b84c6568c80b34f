import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  CipherKey, decodeUnpacked, encodeConfig, encodeIndex, encodeKeyFile, encodeLock, encodePackHeader, encodeSnapshot, encodeTree, encodeUnpacked, newConfig,
  parseConfig, parseIndex, parseKeyFile, parseLock, parsePackHeader, parseSnapshot, parseTree, scanIndex, byteString, type Node, type PackedBlob,
} from '../../src/restic/format/index.ts';
import { contentIdsOf, ParentTree } from '../../src/restic/backup/parent-tree.ts';
import { EngineError } from '../../src/restic/index.ts';
import { hexOfKey } from '../../src/restic/repository/index.ts';

/** A short run each time; `FUZZ_RUNS=1000000` for the long one. */
const numRuns = Number(process.env['FUZZ_RUNS'] ?? 3000);
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
  ['indexes', index, (bytes) => parseIndex(bytes, 'x', () => undefined)],
  ['indexes, scanned', index, (bytes) => scanIndex(bytes, visitor)],
  ['pack headers', encodePackHeader(blobs), (bytes) => parsePackHeader(bytes, 110, 'x')],
  ['snapshots', encodeSnapshot({ time, tree: id, paths: ['/a'], hostname: 'h', tags: ['t'], summary: { files_new: 1 } }), (bytes) => parseSnapshot(bytes, 'x')],
  ['locks', encodeLock({ time, exclusive: true, hostname: 'h', username: 'u', pid: 1, uid: 2, gid: 3 }), (bytes) => parseLock(bytes, 'x')],
  ['configs', encodeConfig(newConfig()), (bytes) => parseConfig(bytes)],
  ['unpacked files', encodeUnpacked(index, 2), (bytes) => decodeUnpacked(bytes, 'x')],
  ['key files', await encodeKeyFile(CipherKey.generate(), Buffer.from('x'), new Date(0)), (bytes) => parseKeyFile(bytes, 'x')],
];

/** Bytes near to something valid: some replaced, cut, doubled or put in. */
function mutated(valid: Uint8Array): fc.Arbitrary<Uint8Array> {
  const change = fc.record({ at: fc.nat(valid.length), drop: fc.nat(8), put: fc.oneof(fc.uint8Array({ maxLength: 4 }), fc.constantFrom('null', '{', '[', '"', '-1', '1e999', '99999999999999999999', '\\u0000', ',,').map((text) => new Uint8Array(Buffer.from(text)))) });
  return fc.array(change, { minLength: 1, maxLength: 4 }).map((changes) => {
    let bytes = Buffer.from(valid);
    for (const { at, drop, put } of changes) bytes = Buffer.concat([bytes.subarray(0, at), put, bytes.subarray(Math.min(bytes.length, at + drop))]);
    return new Uint8Array(bytes);
  });
}

describe('reading what someone damaged or forged', () => {
  it.each(parsers)('%s: ends well or as Damaged, never otherwise', (_name, valid, parse) => {
    parse(valid);
    fc.assert(fc.property(fc.oneof(mutated(valid), fc.uint8Array({ maxLength: 300 })), (bytes) => {
      try {
        parse(bytes);
      } catch (error) {
        if (!(error instanceof EngineError) || (error.code !== 'Damaged' && error.code !== 'UnknownVersion')) throw error;
      }
    }), { numRuns });
  });

  it('the fast reader of indexes finds what the careful one finds, or says that it cannot', () => {
    fc.assert(fc.property(fc.oneof(fc.constant(new Uint8Array(index)), mutated(index)), (bytes) => {
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
    }), { numRuns });
  });

  it("the fast reader of a parent's tree never makes up a node", () => {
    const known = new Set([node, directory].map((one) => encodeTree({ nodes: [one] }).toString('latin1').slice(10, -3)));
    const heads = [...known].map((text) => text.slice(0, text.indexOf(',"content"')).replace(/,"extended_attributes.*/, ''));
    fc.assert(fc.property(fc.oneof(fc.constant(new Uint8Array(tree)), mutated(tree)), (bytes) => {
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
    }), { numRuns });
  });
});
