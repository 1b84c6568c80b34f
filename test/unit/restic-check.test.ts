import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { join } from 'node:path';
import { backup, check, initRepository, openRepository, type CheckOutcome, type Repository } from '../../src/restic/index.ts';
import { choosePacks } from '../../src/restic/check/index.ts';
import { MemoryStore, type ObjectInfo } from '../../src/storage/index.ts';
import { flipBit, putBack } from '../support/crafted-repository.ts';
import { scratchDirectory, testPassword } from '../support/real-restic.ts';
import { seededRandom } from '../support/seeded-random.ts';
import { buildTree } from '../support/seeded-tree.ts';

const scratch = scratchDirectory();
const store = new MemoryStore();
let repository: Repository;

beforeAll(async () => {
  const source = join(scratch.path, 'source');
  buildTree(source, { seed: 1, files: 40, nasty: false, fileSize: 2000 });
  const written = await initRepository({ store, password: Buffer.from(testPassword) });
  for (let i = 0; i < 2; i++) await backup(written, { hostname: 'h', sources: [{ directory: source, as: '/data' }], snapshotHostname: 'h', tags: [] });
  await written.close();
  repository = await openRepository({ store, password: Buffer.from(testPassword), readOnly: true });
});
afterAll(async () => {
  await repository.close();
  scratch.remove();
});

async function objects(prefix = ''): Promise<ObjectInfo[]> {
  const all: ObjectInfo[] = [];
  for await (const object of store.list(prefix)) all.push(object);
  return all;
}

function checkAll(): Promise<CheckOutcome> {
  return check(repository, { readData: 'all' });
}

describe('check', () => {
  it('finds nothing wrong with a sound repository, whatever it reads', async () => {
    expect(await checkAll()).toMatchObject({ problems: [], snapshots: 2 });
    expect((await check(repository, {})).problems).toEqual([]);
    expect((await check(repository, { readData: { percent: 50, seed: 'monday' } })).problems).toEqual([]);
  });

  it('finds a flipped bit wherever it is: config, keys, snapshots, index, packs, and the length of a pack header that nothing authenticates', async () => {
    const random = seededRandom(99);
    for (const { key, size } of await objects()) {
      const bits = [0, size * 8 - 1, size * 8 - 9, size * 8 - 32, size * 8 - 33, ...Array.from({ length: 12 }, () => random.below(size * 8))];
      for (const bit of bits) {
        const original = await flipBit(store, key, bit);
        const { problems } = await checkAll();
        await putBack(store, key, original);
        expect({ key, bit, found: problems.length > 0 }).toEqual({ key, bit, found: true });
        expect(problems.map(({ object }) => object).join(' ')).toContain(key.split('/').at(-1) ?? '');
      }
    }
  }, 120_000);

  it.each(['keys/', 'snapshots/', 'index/', 'data/'])('says of each damaged object below %s which one it is and what to do', async (prefix) => {
    const [first] = await objects(prefix);
    const original = await flipBit(store, first?.key ?? '', 1000);
    const { problems } = await checkAll();
    await putBack(store, first?.key ?? '', original);
    const problem = problems.find(({ object }) => object === first?.key);
    expect(problem?.message).toMatch(/[Cc]opy .* back from the other data center/);
  });

  it('finds packs that are missing or cut short, without reading data', async () => {
    for (const { key } of await objects('data/')) {
      const original = await store.get(key);
      await store.delete(key);
      expect((await check(repository, {})).problems.map(({ object }) => object)).toContain(key);
      await store.put(key, original.subarray(0, original.length - 1));
      expect((await check(repository, {})).problems.map(({ object }) => object)).toContain(key);
      await putBack(store, key, original);
    }
  });

  it('finds what no index names, and says which file needs it', async () => {
    const [index] = await objects('index/');
    const original = await store.get(index?.key ?? '');
    await store.delete(index?.key ?? '');
    const { problems } = await check(repository, {});
    await store.put(index?.key ?? '', original);
    expect(problems.length).toBeGreaterThan(0);
    expect(problems[0]?.message).toMatch(/snapshot [0-9a-f]{8}/);
  });
});

describe('choosePacks', () => {
  const packs = Array.from({ length: 40 }, (_, number) => String(number));

  it('chooses a share that is the same with the same seed and another with another', () => {
    const monday = choosePacks(packs, { percent: 10, seed: 'monday' });
    expect(monday.size).toBe(4);
    expect(choosePacks([...packs].reverse(), { percent: 10, seed: 'monday' })).toEqual(monday);
    expect([...choosePacks(packs, { percent: 10, seed: 'tuesday' })].sort()).not.toEqual([...monday].sort());
  });

  it('rounds up, so that something is always read', () => {
    expect(choosePacks(packs, { percent: 0.1, seed: 'x' }).size).toBe(1);
    expect(choosePacks(packs, { percent: 0, seed: 'x' }).size).toBe(0);
    expect(choosePacks(packs, 'all').size).toBe(40);
  });
});
