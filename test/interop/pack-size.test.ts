/** Packs grow with the repository (decision 20): restic reads the larger ones, and ours are checked, restored and repacked in memory that is bounded. */
import { afterAll, describe, expect, it } from '@jest/globals';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { backup, check, forget, initRepository, prune, restore } from '../../src/restic/index.ts';
import { openedOf } from '../../src/restic/repository/index.ts';
import { FileStore } from '../../src/storage/index.ts';
import { compareTrees } from '../support/compare-tree.ts';
import { RealRestic, scratchDirectory, testPassword } from '../support/real-restic.ts';
import { seededRandom } from '../support/seeded-random.ts';
import { encodeIndex } from '../support/index-text.ts';

const MiB = 1024 * 1024;
const scratch = scratchDirectory();
const source = join(scratch.path, 'source');
afterAll(() => scratch.remove());

async function sizesOf(store: FileStore): Promise<number[]> {
  const sizes: number[] = [];
  for await (const { size } of store.list('data/')) sizes.push(size);
  return sizes.sort((a, b) => b - a);
}

describe('a repository that says it has more than 64 GiB', () => {
  it('gets larger packs, which restic checks and restores, and which can be checked and repacked', async () => {
    mkdirSync(source);
    writeFileSync(join(source, 'large'), seededRandom(1).bytes(150 * MiB));
    const restic = new RealRestic(join(scratch.path, 'repository'), scratch.path);
    const store = new FileStore(restic.repository);
    const repository = openedOf(await initRepository({ store, password: Buffer.from(testPassword) }));
    const request = { hostname: 'h', sources: [{ directory: source, as: '/data' }], snapshotHostname: 'h', tags: [] };

    const first = await backup(repository, request);
    expect(Math.max(...(await sizesOf(store)))).toBeLessThan(26 * MiB);
    await forget(repository, { hostname: 'h', snapshots: [first.snapshotId] });
    await prune(repository, { hostname: 'h', graceMs: 0, now: new Date() });
    expect(await sizesOf(store)).toEqual([]);

    // Packs that nobody has; no snapshot needs them, and a backup does not look for what an index names.
    const claims = Array.from({ length: 40 }, (_, i) => ({ id: i.toString(16).padStart(64, 'a'), blobs: [{ type: 'data' as const, id: i.toString(16).padStart(64, 'b'), offset: 0, length: 2 ** 31, uncompressedLength: 0 }] }));
    const claim = await repository.saveUnpacked('index', encodeIndex(claims));
    await backup(repository, { ...request });
    await repository.removeFiles('index', [claim.id]);
    const [largest = 0] = await sizesOf(store);
    expect(largest).toBeGreaterThan(26 * MiB);
    expect(largest).toBeLessThan(42 * MiB);

    expect(await restic.run(['check', '--read-data'])).toContain('no errors were found');
    await restic.run(['restore', 'latest', '--target', join(scratch.path, 'theirs')]);
    expect(compareTrees(source, join(scratch.path, 'theirs', 'data'))).toEqual([]);
    expect((await check(repository, { readData: 'all' })).problems).toEqual([]);
    await restore(repository, { snapshot: 'latest', subtree: '/data', target: join(scratch.path, 'ours') });
    expect(compareTrees(source, join(scratch.path, 'ours'))).toEqual([]);
    await repository.close();
  }, 240_000);
});
