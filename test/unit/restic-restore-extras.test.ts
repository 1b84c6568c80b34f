import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { backup, initRepository, resolveSnapshot, restore } from '../../src/restic/index.ts';
import { byteString } from '../../src/restic/format/index.ts';
import { openedOf } from '../../src/restic/repository/index.ts';
import { leftOutBy } from '../../src/restic/restore/extras.ts';
import { MemoryStore } from '../../src/storage/index.ts';
import { craftRepository, flipBit } from '../support/crafted-repository.ts';
import { scratchDirectory, testPassword } from '../support/real-restic.ts';

let scratch: ReturnType<typeof scratchDirectory>;
let store: MemoryStore;
let target: string;

beforeEach(() => {
  scratch = scratchDirectory();
  store = new MemoryStore();
  target = join(scratch.path, 'target');
});
afterEach(() => scratch.remove());

function put(path: string): void {
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, 'live');
}

/** Nobody for the time of the work, where the test runs as root, who may read everything. */
async function withoutRights<T>(work: () => Promise<T>): Promise<T> {
  if (process.getuid?.() !== 0) return work();
  process.seteuid?.(65_534);
  try {
    return await work();
  } finally {
    process.seteuid?.(0);
  }
}

describe('what the snapshot does not have, and is to be deleted', () => {
  it('stays in a directory of which the snapshot cannot say what it had', async () => {
    const repository = await craftRepository(store, [{ name: 'lost', entries: [{ name: 'file', data: 'x' }] }, { name: 'sound', entries: [{ name: 'file', data: 'y' }] }]);
    const opened = openedOf(repository);
    const { tree } = await resolveSnapshot(repository, 'latest');
    const lost = (await opened.loadTree(tree)).nodes.find(({ name }) => name === 'lost')?.subtree ?? '';
    const place = (await opened.loadIndex()).lookup('tree', lost);
    await flipBit(store, `data/${place?.packId.slice(0, 2)}/${place?.packId}`, ((place?.offset ?? 0) + 20) * 8);
    for (const name of ['lost/live', 'lost/deep/live', 'sound/extra']) put(join(target, name));
    const outcome = await restore(repository, { snapshot: 'latest', target, skipDamaged: true, deleteExtra: true });
    await repository.close();
    expect(outcome).toMatchObject({ complete: false, deleted: 1, warnings: [{ path: '/lost', kind: 'damaged' }, { path: '/lost', kind: 'undeletable', message: expect.stringMatching(/2 entries .* were left there/) }] });
    expect(readdirSync(join(target, 'lost')).sort()).toEqual(['deep', 'live']);
    expect(readdirSync(join(target, 'sound'))).toEqual(['file']);
  });

  it('stays in directories that could not be read whole when they were backed up, and goes from the others', async () => {
    const source = join(scratch.path, 'source');
    for (const name of ['closed/file', 'half/secret', 'half/open', 'sound/file']) put(join(source, name));
    chmodSync(scratch.path, 0o755);
    chmodSync(join(source, 'closed'), 0);
    chmodSync(join(source, 'half/secret'), 0);
    const repository = await initRepository({ store, password: Buffer.from(testPassword) });
    const request = { hostname: 'h', sources: [{ directory: source, as: '/volumes/data' }], snapshotHostname: 'h', tags: [] };
    const first = await withoutRights(() => backup(repository, request));
    const again = await withoutRights(() => backup(repository, { ...request, parent: first.snapshotId }));
    expect([first.complete, again.complete]).toEqual([false, false]);
    for (const name of ['closed/live', 'half/live', 'sound/extra', 'extra']) put(join(target, name));
    const outcome = await restore(repository, { snapshot: again.snapshotId, subtree: '/volumes/data', target, deleteExtra: true });
    expect(outcome).toMatchObject({ complete: false, deleted: 2, warnings: [{ path: '/volumes/data/closed', kind: 'undeletable' }, { path: '/volumes/data/half', kind: 'undeletable' }] });
    expect(['closed', 'half', 'sound'].map((name) => readdirSync(join(target, name)))).toEqual([['live'], ['live', 'open'], ['file']]);
    // Once everything can be read the directories are as any other.
    chmodSync(join(source, 'closed'), 0o755);
    chmodSync(join(source, 'half/secret'), 0o600);
    const whole = await backup(repository, { ...request, parent: again.snapshotId });
    expect(await restore(repository, { snapshot: whole.snapshotId, subtree: '/volumes/data', target, deleteExtra: true })).toMatchObject({ complete: true, deleted: 2, warnings: [] });
    await repository.close();
  });

  it('stays where the backup was told to leave it out, also when another program told it in a way that means nothing here', async () => {
    const source = join(scratch.path, 'source');
    put(join(source, 'file'));
    const repository = await initRepository({ store, password: Buffer.from(testPassword) });
    const request = { hostname: 'h', sources: [{ directory: source, as: '/volumes/data' }], snapshotHostname: 'h', tags: [] };
    await backup(repository, { ...request, excludes: ['*.log', '/volumes/data/cache'] });
    for (const name of ['a.log', 'cache/file', 'other/cache', 'extra']) put(join(target, name));
    const outcome = await restore(repository, { snapshot: 'latest', subtree: '/volumes/data', target, deleteExtra: true });
    await repository.close();
    expect(outcome).toMatchObject({ complete: true, deleted: 3, warnings: [] });
    expect(readdirSync(target).sort()).toEqual(['a.log', 'cache', 'file']);
    expect(leftOutBy(['[', 'b']).matches(byteString('/b'))).toBe(true);
  });

  it('stays on another file system that is mounted in the target, where the snapshot has nothing of it', async () => {
    if (process.getuid?.() !== 0) return;
    const repository = await craftRepository(store, [{ name: 'media', entries: [] }, { name: 'crossed', entries: [{ name: 'file', data: 'x' }] }]);
    const mounts = ['media', 'crossed'].map((name) => join(target, name));
    for (const mount of mounts) {
      mkdirSync(mount, { recursive: true });
      execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', mount]);
      put(join(mount, 'live'));
    }
    try {
      const outcome = await restore(repository, { snapshot: 'latest', target, deleteExtra: true });
      expect(outcome).toMatchObject({ complete: false, deleted: 1, warnings: [{ path: '/media', kind: 'undeletable', message: expect.stringContaining('another file system') }] });
      expect(mounts.map((mount) => readdirSync(mount))).toEqual([['live'], ['file']]);
    } finally {
      for (const mount of mounts) execFileSync('umount', [mount]);
      await repository.close();
    }
  });
});
