import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { exportLayout } from '../../src/mover/export-layout.ts';
import { publishManifest, readManifest } from '../../src/mover/manifest-store.ts';
import type { Manifest } from '../../src/mover/manifest.ts';
import { reviseManifests } from '../../src/mover/revise-manifests.ts';
import { strayExports } from '../../src/mover/stray-exports.ts';
import * as engine from '../../src/restic/index.ts';
import { MemoryStore, type ObjectStore } from '../../src/storage/index.ts';
import { scratchDirectory, testPassword } from '../support/real-restic.ts';
import { seededRandom } from '../support/seeded-random.ts';

const HOUR = 3_600_000;
const start = new Date('2026-01-01T00:00:00Z');

describe('the index of a downloaded file', () => {
  let scratch: ReturnType<typeof scratchDirectory>;
  let store: MemoryStore;
  let repository: engine.Repository;
  let parent: string | undefined;

  beforeEach(async () => {
    scratch = scratchDirectory();
    store = new MemoryStore();
    repository = await engine.initRepository({ store, password: Buffer.from(testPassword) });
    parent = undefined;
    for (const folder of ['still', 'moving']) mkdirSync(join(scratch.path, folder));
    write('still/file', 1);
    write('moving/file', 2);
  });
  afterEach(async () => {
    await repository.close();
    scratch.remove();
  });

  function write(name: string, seed: number): void {
    writeFileSync(join(scratch.path, name), seededRandom(seed).bytes(400_000));
  }

  /** So the pack of trees that was written before is needed no more. */
  function changeEveryFolder(): void {
    write('moving/file', 3);
    write('still/other', 6);
  }

  async function backUp(): Promise<Manifest> {
    const { snapshotId, reach } = await engine.backup(repository, {
      hostname: 'h', sources: [{ directory: scratch.path, as: '/data' }], snapshotHostname: 'h', tags: [], ...(parent === undefined ? {} : { parent }),
    });
    const manifest = await publishManifest(engine, repository, { tenant: '0'.repeat(32), generation: 1, reach, complete: true, like: parent, createdAt: start });
    parent = snapshotId;
    const { packs } = await engine.reachOf(repository, snapshotId);
    expect(namesIn(manifest, 'data/')).toEqual(packs.map(({ id }) => `data/${id.slice(0, 2)}/${id}`).sort());
    return manifest;
  }

  async function forget({ snapshot }: Manifest, hours: number): Promise<void> {
    await engine.forget(repository, { hostname: 'h', snapshots: [snapshot] });
    await prune(hours);
  }

  async function prune(hours: number): Promise<void> {
    await engine.prune(repository, {
      hostname: 'h', graceMs: 48 * HOUR, now: new Date(start.getTime() + hours * HOUR),
      onReplace: (replacement) => reviseManifests(engine, repository, replacement),
      strayExports: () => strayExports(engine, repository),
    });
  }

  async function standing(snapshot: string): Promise<Manifest> {
    const manifest = await readManifest(store, snapshot, { mac: (json) => engine.manifestMac(repository, json) });
    if (manifest === undefined) throw new Error('it has no manifest');
    return manifest;
  }

  it('is the repository\'s own as long as every pack in it is needed', async () => {
    const manifest = await backUp();
    expect(namesIn(manifest, 'exports/')).toEqual([]);
    expect(await keysIn(store, 'exports/')).toEqual([]);
    expect(indexNames(manifest)).toEqual(await keysIn(store, 'index/'));
  });

  it('is written for what is needed of an index file with other packs, and serves again while the same is needed', async () => {
    await backUp();
    changeEveryFolder();
    const second = await backUp();
    // Only packs of the first night that still count are listed; those of the second night lie in an index file of their own.
    expect(namesIn(second, 'exports/')).toHaveLength(1);
    write('moving/another', 4);
    const third = await backUp();
    const kept = namesIn(second, 'exports/')[0]!;
    expect(namesIn(third, 'exports/')).toContain(kept);
    for (const { name, size } of third.files) expect({ name, size: (await store.head(name))?.size }).toEqual({ name, size });
  });

  it('goes when nothing names it any more, two days after that was seen, and comes back to nobody', async () => {
    await backUp();
    changeEveryFolder();
    const second = await backUp();
    const [name] = namesIn(second, 'exports/');
    write('still/file', 5);
    const third = await backUp();
    await forget(second, 0);
    expect(namesIn(await standing(third.snapshot), 'exports/')).not.toContain(name);
    expect(await keysIn(store, 'exports/')).toContain(name);
    await prune(47);
    expect(await keysIn(store, 'exports/')).toContain(name);
    // The mark is as old as the prune that made it was busy before.
    await prune(48.1);
    expect(await keysIn(store, 'exports/')).not.toContain(name);
    for (const { name: needed, size } of (await standing(third.snapshot)).files) expect({ needed, size: (await store.head(needed))?.size }).toEqual({ needed, size });
    expect((await engine.check(repository, { readData: 'all' })).problems).toEqual([]);
  });
});

function namesIn({ files }: Manifest, folder: string): string[] {
  return files.filter(({ name }) => name.startsWith(folder)).map(({ name }) => name);
}

/** What lies under `index/` in the downloaded file. */
function indexNames(manifest: Manifest): string[] {
  return exportLayout(manifest).segments.flatMap((segment) => (segment.kind === 'object' && /^(?:index|exports)\//.test(segment.name) ? [segment.name] : []));
}

async function keysIn(store: ObjectStore, folder: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of store.list(folder)) keys.push(key);
  return keys.sort();
}
