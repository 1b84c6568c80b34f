/** Files with several names, where a name cannot be what it was: an inode that was used twice, a target that takes no hard link. */
import { afterAll, beforeEach, describe, expect, it } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { linkSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { restore, backup, initRepository, type RestoreOutcome } from '../../src/restic/index.ts';
import { MemoryStore } from '../../src/storage/index.ts';
import { compareTrees } from '../support/compare-tree.ts';
import { craftRepository, type CraftedEntry } from '../support/crafted-repository.ts';
import { scratchDirectory, testPassword } from '../support/real-restic.ts';

const scratch = scratchDirectory();
let run = 0;
let target: string;
beforeEach(() => {
  target = join(scratch.path, `target-${String(run++)}`);
});
afterAll(() => scratch.remove());

const linked = { inode: 7, deviceId: 8, links: 3 };

async function restoreCrafted(entries: readonly CraftedEntry[]): Promise<RestoreOutcome> {
  const repository = await craftRepository(new MemoryStore(), entries);
  const outcome = await restore(repository, { snapshot: 'latest', target });
  await repository.close();
  return outcome;
}

function inodeOf(name: string): number {
  return statSync(join(target, name)).ino;
}

describe('names of one inode', () => {
  it('have each its own content where the inode was used again while the backup ran', async () => {
    const outcome = await restoreCrafted([
      { name: 'a', data: 'the first file', ...linked },
      { name: 'b', data: 'another, made after the first went', ...linked },
      { name: 'c', data: 'the first file', ...linked },
      { name: 'd', data: 'another, made after the first went', ...linked },
    ]);
    expect(outcome).toMatchObject({ complete: true, files: 4, warnings: [] });
    expect(readFileSync(join(target, 'b'), 'utf8')).toBe('another, made after the first went');
    expect(inodeOf('c')).toBe(inodeOf('a'));
    expect(inodeOf('d')).toBe(inodeOf('b'));
    expect(inodeOf('b')).not.toBe(inodeOf('a'));
  });

  it.each<readonly [string, Partial<CraftedEntry>]>([
    ['mode', { mode: 0o600 }],
    ['owner', { uid: 4711 }],
    ['time', { mtime: '2024-05-06T07:08:10Z' }],
  ])('are files of their own where the %s is another', async (_what, change) => {
    await restoreCrafted([{ name: 'a', data: 'same', ...linked }, { name: 'b', data: 'same', ...linked, ...change }]);
    expect(inodeOf('b')).not.toBe(inodeOf('a'));
    const [one, other] = [statSync(join(target, 'a')), statSync(join(target, 'b'))];
    expect([other.mode & 0o777, other.uid, other.mtimeMs]).not.toEqual([one.mode & 0o777, one.uid, one.mtimeMs]);
  });

  it('are links also where a name was added while the backup ran', async () => {
    await restoreCrafted([{ name: 'a', data: 'same', ...linked }, { name: 'b', data: 'same', ...linked, links: 4, ctime: '2024-05-06T07:08:10Z' }]);
    expect(inodeOf('b')).toBe(inodeOf('a'));
  });
});

describe('where the target takes no hard link', () => {
  it('a copy with all of its metadata stands for it, further names are links to that, and a warning says so', async () => {
    const source = join(scratch.path, 'source');
    mkdirSync(join(source, 'mounted'), { recursive: true });
    const first = join(source, 'a');
    writeFileSync(first, 'x'.repeat(3_000_000));
    execFileSync('truncate', ['-s', '40M', first]);
    execFileSync('setfattr', ['-n', 'user.note', '-v', 'kept', first]);
    execFileSync('chown', ['1234:5678', first]);
    for (const name of ['b', 'mounted/c', 'mounted/d']) linkSync(first, join(source, name));
    const repository = await initRepository({ store: new MemoryStore(), password: Buffer.from(testPassword) });
    await backup(repository, { hostname: 'h', sources: [{ directory: source, as: '/data' }], snapshotHostname: 'h', tags: [] });
    mkdirSync(join(target, 'mounted'), { recursive: true });
    execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', join(target, 'mounted')]);
    try {
      const outcome = await restore(repository, { snapshot: 'latest', subtree: '/data', target });
      expect(outcome).toMatchObject({ complete: true, files: 4, warningCount: 1 });
      expect(outcome.warnings[0]).toMatchObject({ path: '/data/mounted/c', message: expect.stringMatching(/copy of \/data\/a and no further name .*\(EXDEV\)/) });
      expect(inodeOf('b')).toBe(inodeOf('a'));
      expect(inodeOf('mounted/d')).toBe(inodeOf('mounted/c'));
      expect(statSync(join(target, 'mounted/c')).blocks * 512).toBeLessThan(4_000_000);
      expect(compareTrees(source, target).filter((difference) => !difference.includes('link'))).toEqual([]);
    } finally {
      execFileSync('umount', [join(target, 'mounted')]);
      await repository.close();
    }
  });
});
