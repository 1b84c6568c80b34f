/** Any tree, backed up and restored, is the same tree; also when it was changed in between and backed up again. */
import { afterAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { chmodSync, linkSync, lutimesSync, mkdirSync, symlinkSync, truncateSync, writeFileSync, writeSync, openSync, closeSync } from 'node:fs';
import { backup, check, initRepository, listSnapshots, openRepository, restore, type Repository } from '../../src/restic/index.ts';
import { MemoryStore } from '../../src/storage/index.ts';
import { compareTrees } from '../support/compare-tree.ts';
import { scratchDirectory, testPassword } from '../support/real-restic.ts';

/** A few trees each time; `TREE_RUNS=500` for the long run. */
const numRuns = Number(process.env['TREE_RUNS'] ?? 6);
const scratch = scratchDirectory();
afterAll(() => scratch.remove());

type Entry =
  | { readonly kind: 'file'; readonly pieces: readonly { readonly byte: number; readonly length: number }[]; readonly mode: number }
  | { readonly kind: 'sparse'; readonly size: number; readonly at: number }
  | { readonly kind: 'link'; readonly to: Uint8Array }
  | { readonly kind: 'hard'; readonly of: number }
  | { readonly kind: 'directory'; readonly mode: number; readonly entries: Tree };
type Tree = readonly { readonly name: Uint8Array; readonly time: number; readonly entry: Entry }[];

/** Any bytes but the two that no name can have. */
const name = fc.uint8Array({ min: 1, minLength: 1, maxLength: 12 }).map((bytes) => bytes.map((byte) => (byte === 0x2f ? 0x5f : byte))).filter((bytes) => !['.', '..'].includes(Buffer.from(bytes).toString('latin1')));
const time = fc.oneof(fc.integer({ min: -(2 ** 31), max: 2 ** 33 }), fc.double({ min: 0, max: 2 ** 31, noNaN: true }).map((seconds) => Math.round(seconds * 1000) / 1000));
const pieces = fc.array(fc.record({ byte: fc.nat(255), length: fc.oneof({ weight: 8, arbitrary: fc.nat(5000) }, { weight: 1, arbitrary: fc.nat(3_000_000) }) }), { maxLength: 4 });

const { tree } = fc.letrec<{ tree: Tree; entry: Entry }>((tie) => ({
  entry: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.record({ kind: fc.constant('file' as const), pieces, mode: fc.nat(0o7777) }),
    fc.record({ kind: fc.constant('sparse' as const), size: fc.nat(4_000_000), at: fc.nat(4_000_000) }),
    fc.record({ kind: fc.constant('link' as const), to: fc.uint8Array({ min: 1, minLength: 1, maxLength: 30 }) }),
    fc.record({ kind: fc.constant('hard' as const), of: fc.nat(20) }),
    fc.record({ kind: fc.constant('directory' as const), mode: fc.nat(0o7777), entries: tie('tree') }),
  ),
  tree: fc.uniqueArray(fc.record({ name, time, entry: tie('entry') }), { maxLength: 8, selector: (each) => Buffer.from(each.name).toString('latin1') }),
}));

/** `files` are those made so far, for hard links. */
function write(at: Buffer, entries: Tree, files: Buffer[]): void {
  for (const { name: last, time: seconds, entry } of entries) {
    const path = Buffer.concat([at, Buffer.from('/'), last]);
    switch (entry.kind) {
      case 'file':
        writeFileSync(path, Buffer.concat(entry.pieces.map(({ byte, length }) => Buffer.alloc(length, byte))));
        chmodSync(path, entry.mode);
        files.push(path);
        break;
      case 'sparse': {
        const descriptor = openSync(path, 'w');
        writeSync(descriptor, 'island', entry.at);
        closeSync(descriptor);
        truncateSync(path, Math.max(entry.size, entry.at + 6));
        break;
      }
      case 'link':
        symlinkSync(Buffer.from(entry.to), path);
        break;
      case 'hard': {
        const first = files[entry.of % Math.max(1, files.length)];
        if (first === undefined) writeFileSync(path, 'no other');
        else linkSync(first, path);
        break;
      }
      case 'directory':
        mkdirSync(path);
        write(path, entry.entries, files);
        chmodSync(path, entry.mode);
    }
    lutimesSync(path, seconds, seconds);
  }
}

let run = 0;

async function backUp(repository: Repository, directory: string, parent?: string): Promise<string> {
  const { snapshotId, warnings } = await backup(repository, { hostname: 'h', sources: [{ directory, as: '/data' }], snapshotHostname: 'h', tags: [], parent });
  expect(warnings).toEqual([]);
  return snapshotId;
}

describe('any tree', () => {
  it('comes back the same, from each of two backups of which the second knows the first', async () => {
    if (process.getuid?.() !== 0) return; // Modes shut an ordinary user out of his own files.
    await fc.assert(
      fc.asyncProperty(tree, tree, async (one, more) => {
        const [source, first, second] = ['source', 'first', 'second'].map((part) => `${scratch.path}/${String(run)}-${part}`) as [string, string, string];
        run++;
        mkdirSync(source);
        write(Buffer.from(source), one, []);
        const store = new MemoryStore();
        const repository = await initRepository({ store, password: Buffer.from(testPassword) });
        const parent = await backUp(repository, source);
        await restore(repository, { snapshot: parent, subtree: '/data', target: first });
        expect(compareTrees(source, first)).toEqual([]);
        const names = new Set(one.map((each) => Buffer.from(each.name).toString('latin1')));
        write(Buffer.from(source), more.filter((each) => !names.has(Buffer.from(each.name).toString('latin1'))), []);
        const snapshot = await backUp(repository, source, parent);
        await repository.close();
        const again = await openRepository({ store, password: Buffer.from(testPassword), readOnly: true });
        // Over what is there already, as well.
        await restore(again, { snapshot, subtree: '/data', target: first });
        await restore(again, { snapshot, subtree: '/data', target: second });
        expect((await check(again, { readData: 'all' })).problems).toEqual([]);
        expect(await listSnapshots(again)).toHaveLength(2);
        await again.close();
        expect(compareTrees(source, second, { roots: true })).toEqual([]);
        expect(compareTrees(source, first, { roots: true })).toEqual([]);
      }),
      { numRuns, endOnFailure: true },
    );
  }, 60_000 + numRuns * 15_000);
});
