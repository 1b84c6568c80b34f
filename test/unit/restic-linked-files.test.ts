/** Files with several names: each is read once in a run, and all of its names have its content. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { linkSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { LinkedFiles, type ReadOutcome } from '../../src/restic/backup/linked-files.ts';
import type { FileStat } from '../../src/restic/fs/index.ts';
import { backup, check, initRepository, restore, type BackupOutcome } from '../../src/restic/index.ts';
import { MemoryStore } from '../../src/storage/index.ts';
import { compareTrees } from '../support/compare-tree.ts';
import { scratchDirectory, testPassword } from '../support/real-restic.ts';
import { seededRandom } from '../support/seeded-random.ts';

const scratch = scratchDirectory();
const source = join(scratch.path, 'source');
const megabyte = 1_000_000;
afterAll(() => scratch.remove());

/** Bytes that this process, its threads included, got from `read`. */
function bytesRead(): number {
  return Number(/^rchar: (\d+)$/m.exec(readFileSync('/proc/self/io', 'utf8'))?.[1]);
}

describe('a backup of hard links', () => {
  beforeAll(() => {
    for (const directory of ['', 'a', 'b']) mkdirSync(join(source, directory), { recursive: true });
    for (const [index, size] of [300, 20_000, 70 * megabyte].entries()) {
      const first = join(source, 'a', `file-${String(index)}`);
      writeFileSync(first, seededRandom(index).bytes(size));
      // Next to it, whose batch is the same; and far away, after it was read.
      linkSync(first, `${first}-again`);
      linkSync(first, join(source, 'b', `other-${String(index)}`));
    }
  });

  async function backUp(): Promise<{ readonly outcome: BackupOutcome; readonly read: number; readonly differences: readonly string[]; readonly problems: readonly unknown[] }> {
    const repository = await initRepository({ store: new MemoryStore(), password: Buffer.from(testPassword) });
    const before = bytesRead();
    const progress: number[] = [];
    const outcome = await backup(repository, { hostname: 'h', sources: [{ directory: source, as: '/data' }], snapshotHostname: 'h', tags: [], onProgress: ({ bytesDone }) => progress.push(bytesDone) });
    const read = bytesRead() - before;
    expect(progress.at(-1)).toBe(outcome.bytesProcessed);
    const target = join(scratch.path, outcome.snapshotId);
    await restore(repository, { snapshot: 'latest', subtree: '/data', target });
    const { problems } = await check(repository, { readData: 'all' });
    await repository.close();
    return { outcome, read, differences: compareTrees(source, target), problems };
  }

  it('reads each file once, counts each of its names, and restores them as links', async () => {
    const { outcome, read, differences, problems } = await backUp();
    expect(outcome).toMatchObject({ complete: true, files: 9, warningCount: 0, bytesProcessed: 3 * (70 * megabyte + 20_300) });
    expect(read).toBeLessThan(100 * megabyte);
    expect(differences).toEqual([]);
    expect(problems).toEqual([]);
  });
});

describe('linked files', () => {
  const time = { seconds: 5, nanoseconds: 6 };
  const stat: FileStat = { type: 'file', mode: 0o100644, uid: 0, gid: 0, inode: 7, deviceId: 8, device: 0, links: 3, size: 10, blocks: 8, mtime: time, atime: time, ctime: time };
  const outcome: ReadOutcome = { content: '"id"', bytes: 10, hasChanged: false };

  it('are followed while they are read and afterwards, until their last name', () => {
    const files = new LinkedFiles();
    const taken: string[] = [];
    const leader = files.lead(stat);
    for (const name of ['early', 'late']) {
      const found = files.find(stat);
      expect(found).toBe(leader);
      if (found !== undefined) files.follow(found, ({ content }) => taken.push(`${name} ${content}`));
      if (name === 'early') expect(taken).toEqual([]);
      if (name === 'early' && leader !== undefined) files.finish(leader, outcome);
    }
    expect(taken).toEqual(['early "id"', 'late "id"']);
    expect(files.find(stat)).toBeUndefined();
  });

  it.each([
    ['size', { size: 11 }],
    ['time of change', { ctime: { seconds: 5, nanoseconds: 7 } }],
    ['device', { deviceId: 9 }],
    ['inode', { inode: 70n }],
    ['number of links, now one,', { links: 1 }],
  ])('of another %s are read again', (_what, change) => {
    const files = new LinkedFiles();
    files.lead(stat);
    expect(files.find({ ...stat, ...change })).toBeUndefined();
  });

  it('take no more memory than they may, however many there are and however long their content', () => {
    const files = new LinkedFiles(10_000);
    const led = Array.from({ length: 1000 }, (_, inode) => files.lead({ ...stat, inode })).filter((file) => file !== undefined);
    expect(led.length).toBe(25);
    for (const file of led) files.finish(file, { ...outcome, content: 'x'.repeat(1000) });
    const kept = Array.from({ length: 1000 }, (_, inode) => files.find({ ...stat, inode })).filter((file) => file !== undefined);
    expect(kept.length).toBeGreaterThan(0);
    expect(kept.length * 1400).toBeLessThanOrEqual(10_000);
  });
});
