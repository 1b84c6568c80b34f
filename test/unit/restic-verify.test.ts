import { chmodSync, readFileSync, utimesSync, writeFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { affectedBy, backup, check, compareFiles, initRepository, listSnapshots, literalPattern, openRepository, restore, sampleFiles, type Repository } from '../../src/restic/index.ts';
import { choosePacks } from '../../src/restic/check/index.ts';
import { MemoryStore } from '../../src/storage/index.ts';
import { flipBit, putBack } from '../support/crafted-repository.ts';
import { scratchDirectory, testPassword } from '../support/real-restic.ts';
import { buildTree } from '../support/seeded-tree.ts';

const scratch = scratchDirectory();
const store = new MemoryStore();
let repository: Repository;
let snapshot: string;

beforeAll(async () => {
  const source = join(scratch.path, 'source');
  buildTree(source, { seed: 3, files: 60, nasty: false, fileSize: 3000 });
  writeFileSync(join(source, 'odd [name]*?\\x'), 'odd');
  writeFileSync(join(source, 'odd n'), 'not asked for');
  writeFileSync(join(source, 'large'), Buffer.alloc(3_000_000, 7));
  const written = await initRepository({ store, password: Buffer.from(testPassword) });
  await backup(written, { hostname: 'h', sources: [{ directory: source, as: '/volumes/data' }], snapshotHostname: 'h', tags: [] });
  await written.close();
  repository = await openRepository({ store, password: Buffer.from(testPassword), readOnly: true });
  snapshot = (await listSnapshots(repository))[0]?.id ?? '';
});
afterAll(async () => {
  await repository.close();
  scratch.remove();
});

async function restored(paths: readonly string[], name: string): Promise<string> {
  const target = join(scratch.path, name);
  mkdirSync(target);
  await restore(repository, { snapshot, target, includes: paths.map(literalPattern) });
  return target;
}

describe('a sample', () => {
  it('is the same for a seed, another for another, and no larger than there is room for', async () => {
    const sample = (seed: string, maxBytes = 1_000_000) => sampleFiles(repository, { snapshot, seed, count: 10, maxBytes });
    const [one, again, other, small] = [await sample('a'), await sample('a'), await sample('b'), await sample('a', 9000)];
    expect(one.files.length).toBe(10);
    expect(again).toEqual(one);
    expect(other.files).not.toEqual(one.files);
    expect(one.tooLarge).toBe(1);
    expect(small.files.reduce((sum, { size }) => sum + size, 0)).toBeLessThanOrEqual(9000);
    expect(small.files.length).toBeGreaterThan(0);
  });

  it('is restored by patterns that match nothing else, and found to be as it was', async () => {
    const { files } = await sampleFiles(repository, { snapshot, seed: 'all', count: 1000, maxBytes: 1e9 });
    const paths = ['/volumes/data/odd [name]*?\\x', ...files.slice(0, 20).map(({ path }) => path)];
    const target = await restored(paths, 'some');
    expect((await compareFiles(repository, { snapshot, target, paths })).differences).toEqual([]);
    expect((await compareFiles(repository, { snapshot, target, paths: ['/volumes/data/odd n'] })).differences).toEqual([{ path: '/volumes/data/odd n', message: 'it cannot be read (ENOENT)' }]);
  });
});

describe('a comparison', () => {
  it.each([
    ['one changed byte', (file: string) => writeFileSync(file, readFileSync(file).fill(8, 1_500_000, 1_500_001)), /its content from byte \d+ on is not that of the backup|its time/],
    ['one byte less', (file: string) => writeFileSync(file, readFileSync(file).subarray(1)), /it has 2999999 bytes instead of 3000000/],
    ['another mode', (file: string) => chmodSync(file, 0o600), /its mode is 600 instead of 644/],
    ['another time', (file: string) => utimesSync(file, 1, 1), /its time is not /],
  ])('sees %s on the disk', async (what, spoil, says) => {
    const path = '/volumes/data/large';
    const target = await restored([path], `spoilt by ${what}`);
    expect((await compareFiles(repository, { snapshot, target, paths: [path] })).differences).toEqual([]);
    spoil(join(target, path));
    expect((await compareFiles(repository, { snapshot, target, paths: [path] })).differences).toEqual([{ path, message: expect.stringMatching(says) }]);
  });

  it('sees one changed byte although size, mode and time are right', async () => {
    const path = '/volumes/data/large';
    const target = await restored([path], 'forged');
    const file = join(target, path);
    const { differences } = await (async () => {
      const { mtimeNs } = (await import('node:fs')).statSync(file, { bigint: true });
      writeFileSync(file, readFileSync(file).fill(8, 1_500_000, 1_500_001));
      const { execFileSync } = await import('node:child_process');
      execFileSync('touch', ['-d', `@${mtimeNs / 1_000_000_000n}.${String(mtimeNs % 1_000_000_000n).padStart(9, '0')}`, file]);
      return compareFiles(repository, { snapshot, target, paths: [path] });
    })();
    expect(differences).toEqual([{ path, message: expect.stringMatching(/its content from byte \d+ on is not that of the backup/) }]);
  });
});

describe('parts of the data', () => {
  it('are all of it together, each pack in one, as restic has them', () => {
    const packs = Array.from({ length: 500 }, (_, index) => (index * 2_654_435_761 % 2 ** 32).toString(16).padStart(8, '0').padEnd(64, '0'));
    const parts = Array.from({ length: 10 }, (_, index) => choosePacks(packs, { part: index + 1, of: 10 }));
    expect(parts.reduce((sum, part) => sum + part.size, 0)).toBe(500);
    expect(new Set(parts.flatMap((part) => [...part])).size).toBe(500);
    for (const id of parts[3] ?? []) expect(Number.parseInt(id.slice(0, 2), 16) % 10).toBe(3);
  });

  it('take in besides what is named', () => {
    const packs = ['00', '01', '02'].map((start) => start.padEnd(64, '0'));
    expect([...choosePacks(packs, { part: 1, of: 3, also: [packs[2] ?? ''] })]).toEqual([packs[0], packs[2]]);
  });
});

describe('what damage means', () => {
  it('is told by snapshot and file, and nothing is affected in a sound repository', async () => {
    expect(await affectedBy(repository, { packs: [] })).toEqual([]);
    for await (const { key } of store.list('data/')) {
      const original = await flipBit(store, key, 4000);
      const { problems } = await check(repository, { readData: 'all' });
      const affected = await affectedBy(repository, { packs: problems.flatMap(({ object }) => object.split('/').at(-1) ?? []) });
      await putBack(store, key, original);
      expect(problems.length).toBeGreaterThan(0);
      expect(affected).toEqual([{ snapshotId: snapshot, files: expect.any(Number), paths: expect.arrayContaining([expect.stringMatching(/^\/(volumes|…)/)]) }]);
    }
  });
});
