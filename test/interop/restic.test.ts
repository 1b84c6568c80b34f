/**
 * Both ways between this engine and the real restic (as Debian packages it): each reads, checks and restores what the other wrote, without a
 * difference in content or metadata. As root, so that owners, devices and capabilities are part of it.
 */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { backup, check, exportIndex, forget, initRepository, openRepository, prune, reachOf, restore, type Repository } from '../../src/restic/index.ts';
import { FileStore } from '../../src/storage/index.ts';
import { compareTrees } from '../support/compare-tree.ts';
import { RealRestic, scratchDirectory, testPassword } from '../support/real-restic.ts';
import { buildTree } from '../support/seeded-tree.ts';

const password = (): Uint8Array => Buffer.from(testPassword);
const scratch = scratchDirectory();
const source = join(scratch.path, 'source');

beforeAll(() => {
  buildTree(source, { seed: 11, files: 1500, crowd: 12_000 });
});
afterAll(() => scratch.remove());

function place(name: string): { readonly repository: string; readonly target: string; readonly restic: RealRestic } {
  const base = join(scratch.path, name);
  mkdirSync(base);
  const repository = join(base, 'repository');
  return { repository, target: join(base, 'target'), restic: new RealRestic(repository, base) };
}

async function backUp(repository: Repository, directory = source): Promise<string> {
  const outcome = await backup(repository, { hostname: 'here', sources: [{ directory, as: '/volumes/data' }], snapshotHostname: 'tenant', tags: ['policy=a'] });
  expect(outcome.warnings).toEqual([]);
  return outcome.snapshotId;
}

describe('what this engine wrote', () => {
  const { repository: path, target, restic } = place('ours');
  let snapshot: string;

  beforeAll(async () => {
    const repository = await initRepository({ store: new FileStore(path), password: password() });
    snapshot = await backUp(repository);
    await repository.close();
  });

  it('passes restic check --read-data', async () => {
    expect(await restic.run(['check', '--read-data'])).toContain('no errors were found');
  });

  it('is restored by restic without a difference', async () => {
    await restic.run(['restore', snapshot, '--target', target]);
    // Debian's restic (0.14) cannot write holes yet.
    expect(compareTrees(source, join(target, 'volumes/data'), { roots: true, holes: false })).toEqual([]);
    rmSync(target, { recursive: true });
  });

  it('is restored by ourselves without a difference', async () => {
    const repository = await openRepository({ store: new FileStore(path), password: password(), readOnly: true });
    const outcome = await restore(repository, { snapshot: 'latest', subtree: '/volumes/data', target });
    await repository.close();
    expect(outcome).toMatchObject({ complete: true, warnings: [] });
    expect(compareTrees(source, target, { roots: true })).toEqual([]);
  });

  it('passes our own check of every bit', async () => {
    const repository = await openRepository({ store: new FileStore(path), password: password(), readOnly: true });
    const outcome = await check(repository, { readData: 'all' });
    await repository.close();
    expect(outcome.problems).toEqual([]);
    expect(outcome.packsRead).toBe(outcome.packsChecked);
    expect(outcome.packsRead).toBeGreaterThan(1);
  });

  it('can be exported: with only the packs it reaches and the export index, restic finds nothing wrong', async () => {
    const store = new FileStore(path);
    const repository = await openRepository({ store, password: password() });
    const extra = join(scratch.path, 'extra');
    buildTree(extra, { seed: 12, files: 50, nasty: false });
    await backUp(repository, extra);
    const reach = await reachOf(repository, snapshot);
    const index = await exportIndex(repository, reach.packs.map(({ id }) => id));
    const exported = place('exported');
    const copy = new FileStore(exported.repository);
    for await (const { key } of store.list('keys/')) await copy.put(key, await store.get(key));
    await copy.put('config', await store.get('config'));
    for (const { id } of reach.packs) await copy.put(`data/${id.slice(0, 2)}/${id}`, await store.get(`data/${id.slice(0, 2)}/${id}`));
    await copy.put(`index/${Buffer.from(index.sha256).toString('hex')}`, index.parts, { sha256: index.sha256 });
    await copy.put(`snapshots/${snapshot}`, await store.get(`snapshots/${snapshot}`));
    await repository.close();
    expect(await exported.restic.run(['--no-lock', 'check', '--read-data'])).toContain('no errors were found');
    await exported.restic.run(['--no-lock', 'restore', 'latest', '--target', exported.target]);
    expect(compareTrees(source, join(exported.target, 'volumes/data'), { holes: false })).toEqual([]);
  });
});

describe.each([
  { version: 1, name: 'format 1' },
  { version: 2, name: 'format 2, compressed' },
  { version: 2, name: 'format 2, not compressed', options: ['--compression', 'off'] },
])('what restic wrote: $name', ({ version, name, options = [] }) => {
  const { repository: path, target, restic } = place(name.replaceAll(/[ ,]+/g, '-'));

  beforeAll(async () => {
    await restic.run(['init', '--repository-version', String(version)]);
    await restic.run([...options, 'backup', '--with-atime', '.'], source);
    await restic.run(['key', 'list']);
  });

  it('passes our check of every bit', async () => {
    const repository = await openRepository({ store: new FileStore(path), password: password(), readOnly: true });
    const { problems, packsRead } = await check(repository, { readData: 'all' });
    await repository.close();
    expect(problems).toEqual([]);
    expect(packsRead).toBeGreaterThan(1);
  });

  it('is restored by us without a difference', async () => {
    const repository = await openRepository({ store: new FileStore(path), password: password(), readOnly: true });
    const outcome = await restore(repository, { snapshot: 'latest', target });
    await repository.close();
    expect(outcome).toMatchObject({ complete: true, warnings: [] });
    expect(compareTrees(source, target)).toEqual([]);
  });

  it('stays sound when both write to it in turn', async () => {
    const repository = await openRepository({ store: new FileStore(path), password: password() });
    const ours = await backUp(repository);
    const extra = join(scratch.path, `more-${String(version)}-${String(options.length)}`);
    buildTree(extra, { seed: 13, files: 100, nasty: false });
    await restic.run([...options, 'backup', extra]);
    await forget(repository, { hostname: 'here', snapshots: [ours] });
    await prune(repository, { hostname: 'here', graceMs: 0, now: new Date() });
    await repository.close();
    expect(await restic.run(['check', '--read-data'])).toContain('no errors were found');
  });
});

describe('pruning', () => {
  it('leaves a repository that restic calls sound, with and without repacking', async () => {
    const { repository: path, target, restic } = place('pruned');
    const repository = await initRepository({ store: new FileStore(path), password: password() });
    const first = await backUp(repository);
    const extra = join(scratch.path, 'pruned-extra');
    buildTree(extra, { seed: 14, files: 400, nasty: false });
    const second = await backUp(repository, extra);
    await forget(repository, { hostname: 'here', snapshots: [first] });
    const whole = await prune(repository, { hostname: 'here', graceMs: 0, now: new Date() });
    expect(whole.packsToDelete.length).toBeGreaterThan(0);
    expect(await restic.run(['check', '--read-data'])).toContain('no errors were found');
    const small = join(scratch.path, 'pruned-small');
    buildTree(small, { seed: 15, files: 40, nasty: false });
    const third = await backUp(repository, small);
    await forget(repository, { hostname: 'here', snapshots: [second] });
    await prune(repository, { hostname: 'here', graceMs: 0, now: new Date(), repackAbove: 0.1 });
    expect(await restic.run(['check', '--read-data'])).toContain('no errors were found');
    const outcome = await restore(repository, { snapshot: third, subtree: '/volumes/data', target });
    await repository.close();
    expect(outcome.complete).toBe(true);
    expect(compareTrees(small, target)).toEqual([]);
  });
});
