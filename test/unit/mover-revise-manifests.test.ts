import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { publishManifest, readManifest } from '../../src/mover/manifest-store.ts';
import { reviseManifests } from '../../src/mover/revise-manifests.ts';
import * as engine from '../../src/restic/index.ts';
import { MemoryStore } from '../../src/storage/index.ts';
import { scratchDirectory, testPassword } from '../support/real-restic.ts';
import { seededRandom } from '../support/seeded-random.ts';

const scratch = scratchDirectory();
beforeAll(() => {
  for (const number of [1, 2]) {
    mkdirSync(join(scratch.path, String(number)));
    for (let i = 0; i < 4; i++) writeFileSync(join(scratch.path, String(number), `file-${String(i)}`), seededRandom(i === 0 ? 0 : number * 10 + i).bytes(30_000));
  }
});
afterAll(() => scratch.remove());

it.each([undefined, 0])('after a prune the newest manifest names only what is there, and the one before lost nothing before it was replaced (repackAbove %p)', async (repackAbove) => {
  const store = new MemoryStore();
  const repository = await engine.initRepository({ store, password: Buffer.from(testPassword) });
  const ids: string[] = [];
  for (const number of [1, 2]) {
    const { snapshotId, reach } = await engine.backup(repository, {
      hostname: 'h', sources: [{ directory: join(scratch.path, String(number)), as: '/data' }], snapshotHostname: 'h', tags: [],
    });
    ids.push(snapshotId);
    await publishManifest(engine, repository, { tenant: '0'.repeat(32), generation: 1, reach, complete: true, createdAt: new Date('2024-01-01T00:00:00Z') });
  }
  const [gone = '', kept = ''] = ids;
  await engine.forget(repository, { hostname: 'h', snapshots: [gone] });
  // The kept snapshot shares a file with the one that is gone, so it needs the index file that is replaced.
  await engine.prune(repository, { hostname: 'h', graceMs: 0, now: new Date(), repackAbove: repackAbove ?? 1, onReplace: (replacement) => reviseManifests(engine, repository, replacement) });
  const manifest = await readManifest(store, kept, { mac: (json) => engine.manifestMac(repository, json) });
  for (const { name, size } of manifest?.files ?? []) expect({ name, size: (await store.head(name))?.size }).toEqual({ name, size });
  expect(manifest?.files.length).toBeGreaterThan(4);
  expect(manifest).toMatchObject({ complete: true, createdAt: '2024-01-01T00:00:00.000Z' });
  await repository.close();
});
