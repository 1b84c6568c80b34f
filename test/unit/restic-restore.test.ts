import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { chmodSync, existsSync, linkSync, lstatSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { backup, initRepository, restore, type Repository } from '../../src/restic/index.ts';
import { MemoryStore } from '../../src/storage/index.ts';
import { compareTrees } from '../support/compare-tree.ts';
import { craftRepository, flipBit, placeOf } from '../support/crafted-repository.ts';
import { scratchDirectory, testPassword } from '../support/real-restic.ts';
import { buildTree } from '../support/seeded-tree.ts';
import { seededRandom } from '../support/seeded-random.ts';

let scratch: ReturnType<typeof scratchDirectory>;
let store: MemoryStore;
let target: string;

beforeEach(() => {
  scratch = scratchDirectory();
  store = new MemoryStore();
  target = join(scratch.path, 'target');
});
afterEach(() => scratch.remove());

async function backedUp(directory: string): Promise<Repository> {
  const repository = await initRepository({ store, password: Buffer.from(testPassword) });
  const { warnings } = await backup(repository, { hostname: 'h', sources: [{ directory, as: '/volumes/data' }], snapshotHostname: 'h', tags: [] });
  expect(warnings).toEqual([]);
  return repository;
}

function put(path: string, content: string): void {
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, content);
}

describe('a restored tree', () => {
  it('is the tree that was backed up, in content and all metadata, also where restic has its limits', async () => {
    const source = join(scratch.path, 'source');
    buildTree(source, { seed: 1, files: 300, crowd: 300, beyondRestic: true });
    const repository = await backedUp(source);
    const outcome = await restore(repository, { snapshot: 'latest', subtree: '/volumes/data', target });
    await repository.close();
    expect(outcome).toMatchObject({ complete: true, warnings: [], deleted: 0 });
    expect(compareTrees(source, target, { roots: true })).toEqual([]);
  });

  it('is left untouched, change times included, when it is restored again', async () => {
    const source = join(scratch.path, 'source');
    buildTree(source, { seed: 2, files: 60, nasty: false });
    const repository = await backedUp(source);
    const first = await restore(repository, { snapshot: 'latest', subtree: '/volumes/data', target });
    const file = join(target, 'files/module-000/part-0/file-3.ts');
    const before = statSync(file, { bigint: true }).ctimeNs;
    const again = await restore(repository, { snapshot: 'latest', subtree: '/volumes/data', target });
    await repository.close();
    expect(again).toMatchObject({ filesSkippedIdentical: first.files, bytesWritten: 0, complete: true });
    expect(statSync(file, { bigint: true }).ctimeNs).toBe(before);
  });

  it('makes nothing in a dry run, not even the target, and counts what it would do', async () => {
    const source = join(scratch.path, 'source');
    put(join(source, 'a/b.txt'), 'hello');
    const repository = await backedUp(source);
    const dry = await restore(repository, { snapshot: 'latest', subtree: '/volumes/data', target, dryRun: true });
    await repository.close();
    expect(dry).toMatchObject({ files: 1, bytesWritten: 5, complete: true });
    expect(existsSync(target)).toBe(false);
  });

  it('is refused, with what to do, where nothing can be written', async () => {
    const source = join(scratch.path, 'source');
    put(join(source, 'b.txt'), 'hello');
    const repository = await backedUp(source);
    const link = join(scratch.path, 'link');
    symlinkSync(join(scratch.path, 'nowhere'), link);
    mkdirSync(target);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'ro', 'tmpfs', target]);
    try {
      const request = { snapshot: 'latest', subtree: '/volumes/data' };
      await expect(restore(repository, { ...request, target })).rejects.toMatchObject({ code: 'TargetUnwritable', message: expect.stringMatching(/read-only/) });
      await expect(restore(repository, { ...request, target: link })).rejects.toMatchObject({ code: 'TargetUnwritable', message: expect.stringMatching(/symbolic link to nothing/) });
    } finally {
      execFileSync('umount', [target]);
    }
    await repository.close();
  });

  it('replaces what is in its way, whatever that is, and writes only the parts of large files that differ', async () => {
    const source = join(scratch.path, 'source');
    const random = seededRandom(3);
    put(join(source, 'large'), '');
    writeFileSync(join(source, 'large'), random.bytes(12 * 1024 * 1024));
    put(join(source, 'was-a-directory'), 'a file');
    put(join(source, 'was-a-file/inside'), 'inside');
    put(join(source, 'shorter'), 'x'.repeat(100));
    put(join(source, 'longer'), 'y'.repeat(300));
    symlinkSync('large', join(source, 'link'));
    const repository = await backedUp(source);
    put(join(target, 'was-a-directory/below/deep'), 'gone');
    put(join(target, 'was-a-file'), 'gone');
    put(join(target, 'link'), 'no link');
    put(join(target, 'shorter'), 'x'.repeat(200));
    put(join(target, 'longer'), 'y'.repeat(100));
    const changed = readFileSync(join(source, 'large'));
    changed.fill(0, 5_000_000, 5_000_100);
    writeFileSync(join(target, 'large'), changed);
    const outcome = await restore(repository, { snapshot: 'latest', subtree: '/volumes/data', target });
    await repository.close();
    expect(outcome.complete).toBe(true);
    expect(outcome.bytesWritten).toBeLessThan(8 * 1024 * 1024 + 1000);
    expect(compareTrees(source, target, { roots: true })).toEqual([]);
  });

  it('holds only what the patterns select; with deleteExtra, what they leave out stays', async () => {
    const source = join(scratch.path, 'source');
    for (const name of ['a/keep.txt', 'a/skip.log', 'b/keep.txt', 'b/deep/er/keep.txt']) put(join(source, name), name);
    const repository = await backedUp(source);
    put(join(target, 'a/extra.txt'), 'extra');
    put(join(target, 'a/extra.log'), 'extra');
    put(join(target, 'c/extra.txt'), 'extra');
    const outcome = await restore(repository, { snapshot: 'latest', subtree: '/volumes/data', target, includes: ['*.txt'], excludes: ['/volumes/data/b/deep'], deleteExtra: true });
    await repository.close();
    expect(outcome).toMatchObject({ files: 2, deleted: 1, complete: true });
    expect(readdirSync(target).sort()).toEqual(['a', 'b', 'c']);
    expect(readdirSync(join(target, 'a')).sort()).toEqual(['extra.log', 'keep.txt']);
    expect(readdirSync(join(target, 'b'))).toEqual(['keep.txt']);
  });

  it('loses everything that the snapshot does not have when extra files are to be deleted', async () => {
    const source = join(scratch.path, 'source');
    put(join(source, 'a/file'), 'content');
    const repository = await backedUp(source);
    put(join(target, 'a/extra/below'), 'extra');
    put(join(target, 'other'), 'extra');
    mkdirSync(join(target, 'lost+found'));
    const dry = await restore(repository, { snapshot: 'latest', subtree: '/volumes/data', target, deleteExtra: true, dryRun: true });
    expect(dry).toMatchObject({ deleted: 2, bytesWritten: 7 });
    expect(existsSync(join(target, 'other'))).toBe(true);
    expect(existsSync(join(target, 'a/file'))).toBe(false);
    const outcome = await restore(repository, { snapshot: 'latest', subtree: '/volumes/data', target, deleteExtra: true });
    await repository.close();
    expect(outcome.deleted).toBe(3);
    rmSync(join(target, 'lost+found'), { recursive: true });
    expect(compareTrees(source, target)).toEqual([]);
  });
});

describe('a forged or hostile tree', () => {
  it.each(['..', '.', '', '../../escaped', 'a/b', '/absolute', 'cut\0short'])('never makes a file from the name %j, and restores the rest', async (name) => {
    const repository = await craftRepository(store, [{ name: 'good', data: 'good' }, { name, data: 'bad' }, { name: 'zz', data: 'also good' }]);
    const outcome = await restore(repository, { snapshot: 'latest', target });
    await repository.close();
    expect(outcome).toMatchObject({ complete: false, files: 2, warningCount: 1 });
    expect(outcome.warnings[0]?.kind).toBe('unsafe-name');
    expect(readdirSync(target).sort()).toEqual(['good', 'zz']);
    expect(readdirSync(scratch.path)).toEqual(['target']);
  });

  it('cannot write through a symlink that it brings along under the same name', async () => {
    const outside = join(scratch.path, 'outside');
    mkdirSync(outside);
    const repository = await craftRepository(store, [
      { name: 'way', type: 'symlink', mode: 2 ** 27 + 0o777, linkTarget: outside as never },
      { name: 'way', entries: [{ name: 'escaped', data: 'escaped' }] },
    ]);
    await restore(repository, { snapshot: 'latest', target });
    await repository.close();
    expect(readdirSync(outside)).toEqual([]);
  });

  it('never writes through links that lie in the target already', async () => {
    const source = join(scratch.path, 'source');
    put(join(source, 'directory/file'), 'new');
    put(join(source, 'file'), 'new');
    put(join(source, 'hard'), 'new');
    const repository = await backedUp(source);
    const outside = join(scratch.path, 'outside');
    put(join(outside, 'file'), 'untouched');
    put(join(outside, 'hard'), 'untouched');
    mkdirSync(target);
    symlinkSync(outside, join(target, 'directory'));
    symlinkSync(join(outside, 'file'), join(target, 'file'));
    linkSync(join(outside, 'hard'), join(target, 'hard'));
    const outcome = await restore(repository, { snapshot: 'latest', subtree: '/volumes/data', target });
    await repository.close();
    expect(outcome.complete).toBe(true);
    expect(readFileSync(join(outside, 'file'), 'utf8')).toBe('untouched');
    expect(readFileSync(join(outside, 'hard'), 'utf8')).toBe('untouched');
    expect(lstatSync(join(target, 'directory')).isDirectory()).toBe(true);
    expect(compareTrees(source, target)).toEqual([]);
  });

  it('gets no device and no rights when it is not trusted', async () => {
    const repository = await craftRepository(store, [
      { name: 'device', type: 'chardev', mode: 2 ** 26 + 2 ** 21 + 0o666, device: 259 },
      { name: 'program', data: '#!', mode: 2 ** 23 + 2 ** 22 + 0o755, extendedAttributes: [{ name: 'security.capability' as never, value: Buffer.alloc(20) }] },
    ]);
    const outcome = await restore(repository, { snapshot: 'latest', target, isUntrusted: true });
    await repository.close();
    expect(outcome.warnings.map(({ kind }) => kind)).toEqual(['left-out']);
    expect(readdirSync(target)).toEqual(['program']);
    expect(lstatSync(join(target, 'program')).mode & 0o7777).toBe(0o755);
  });
});

describe('a damaged repository', () => {
  it('restores nothing of a damaged file and names it; when damage is skipped, everything else comes', async () => {
    const repository = await craftRepository(store, [{ name: 'first', data: 'one' }, { name: 'middle', data: 'two' }, { name: 'third', data: 'three' }]);
    const { key, offset } = await placeOf(repository, 'two');
    await flipBit(store, key, (offset + 20) * 8);
    await expect(restore(repository, { snapshot: 'latest', target })).rejects.toMatchObject({ code: 'Damaged', message: expect.stringContaining('/middle') });
    expect(existsSync(join(target, 'middle'))).toBe(false);
    const outcome = await restore(repository, { snapshot: 'latest', target, skipDamaged: true });
    await repository.close();
    expect(outcome).toMatchObject({ complete: false, files: 2, warnings: [{ path: '/middle', kind: 'damaged' }] });
    expect(readdirSync(target).sort()).toEqual(['first', 'third']);
  });

  it('leaves an existing large file as it was when something that belongs into it is damaged', async () => {
    const source = join(scratch.path, 'source');
    mkdirSync(source);
    writeFileSync(join(source, 'large'), seededRandom(5).bytes(9 * 1024 * 1024));
    const repository = await backedUp(source);
    const packs: string[] = [];
    for await (const { key, size } of store.list('data/')) if (size > 2_000_000) packs.push(key);
    for (const key of packs) await flipBit(store, key, 8 * 1_500_000);
    mkdirSync(target);
    const before = Buffer.alloc(9 * 1024 * 1024, 'old');
    writeFileSync(join(target, 'large'), before);
    await expect(restore(repository, { snapshot: 'latest', subtree: '/volumes/data', target })).rejects.toMatchObject({ code: 'Damaged' });
    expect(readFileSync(join(target, 'large')).equals(before)).toBe(true);
    rmSync(join(target, 'large'));
    await expect(restore(repository, { snapshot: 'latest', subtree: '/volumes/data', target })).rejects.toMatchObject({ code: 'Damaged' });
    expect(readdirSync(target)).toEqual([]);
    const outcome = await restore(repository, { snapshot: 'latest', subtree: '/volumes/data', target, skipDamaged: true });
    await repository.close();
    expect(outcome).toMatchObject({ complete: false, warnings: [{ kind: 'damaged' }] });
    expect(statSync(join(target, 'large')).size).toBe(9 * 1024 * 1024);
  });
});

describe('the machine', () => {
  it('stops at a full volume with an error that names file and place', async () => {
    if (process.getuid?.() !== 0) return;
    const source = join(scratch.path, 'source');
    mkdirSync(source);
    for (const name of ['one', 'two', 'three']) writeFileSync(join(source, name), seededRandom(6).bytes(700_000));
    const repository = await backedUp(source);
    mkdirSync(target);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', target]);
    try {
      await expect(restore(repository, { snapshot: 'latest', subtree: '/volumes/data', target })).rejects.toMatchObject({
        code: 'NoSpace',
        message: expect.stringMatching(/\/volumes\/data\/(one|two|three) on the volume of .*target/),
      });
    } finally {
      execFileSync('umount', [target]);
      await repository.close();
    }
  });

  it('stops when it is told to, and leaves no half-written file', async () => {
    const source = join(scratch.path, 'source');
    buildTree(source, { seed: 7, files: 200, nasty: true });
    const repository = await backedUp(source);
    const abort = new AbortController();
    const running = restore(repository, { snapshot: 'latest', subtree: '/volumes/data', target, signal: abort.signal, onProgress: () => abort.abort() });
    await expect(running).rejects.toThrow();
    await repository.close();
    const differences = compareTrees(source, target).filter((line) => line.includes('content'));
    expect(differences).toEqual([]);
  });

  it('says that a target cannot be used before anything else', async () => {
    const repository = await craftRepository(store, [{ name: 'file', data: 'x' }]);
    put(target, 'a file, no directory');
    await expect(restore(repository, { snapshot: 'latest', target })).rejects.toMatchObject({ code: 'TargetUnwritable' });
    await expect(restore(repository, { snapshot: 'latest', subtree: '/nowhere', target: join(scratch.path, 'other') })).rejects.toMatchObject({ code: 'NoSuchSnapshot' });
    await repository.close();
    chmodSync(target, 0o644);
  });
});
