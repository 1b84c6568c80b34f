// Parts of the ground's CSI driver that need no cluster: what a killed driver leaves, and what never becomes a path.
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from '@jest/globals';
import { z } from 'zod';
import { releaseStopped } from '../ground/csi/driver/quiesce.ts';
import { Shelf, idOf } from '../ground/csi/driver/shelf.ts';
import { startTimeOf } from '../ground/record.ts';
import { until } from '../ground/run.ts';

const directories: string[] = [];
const scratch = (): string => {
  const directory = mkdtempSync(join(tmpdir(), 'tenant-backup-shelf-'));
  directories.push(directory);
  return directory;
};
afterEach(() => directories.splice(0).forEach((directory) => rmSync(directory, { recursive: true })));

const Item = z.object({ id: z.string(), size: z.number() });

async function shelfIn(directory: string): Promise<Shelf<z.infer<typeof Item>>> {
  const shelf = new Shelf(directory, 'volumes', Item);
  await shelf.open();
  return shelf;
}

const stateOf = (pid: number): string => readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /s, '').slice(0, 1);

describe('the shelf of a CSI driver', () => {
  it('keeps nothing of an item whose content could not be made', async () => {
    const directory = scratch();
    const shelf = await shelfIn(directory);
    await expect(shelf.add({ id: idOf('a'), size: 1 }, () => Promise.reject(new Error('disk full')))).rejects.toThrow('disk full');
    expect(await shelf.list()).toEqual([]);
    expect(readdirSync(join(directory, 'drafts'))).toEqual([]);
  });

  it('removes at its start what a killed driver was making, and keeps what was whole', async () => {
    const directory = scratch();
    await (await shelfIn(directory)).add({ id: idOf('a'), size: 1 }, (content) => Promise.resolve(writeFileSync(join(content, 'file'), 'x')));
    mkdirSync(join(directory, 'drafts', 'half', 'content'), { recursive: true });

    const next = await shelfIn(directory);

    expect(readdirSync(join(directory, 'drafts'))).toEqual([]);
    expect(await next.get(idOf('a'))).toEqual({ id: idOf('a'), size: 1 });
    expect(readFileSync(join(next.contentOf(idOf('a')), 'file'), 'utf8')).toBe('x');
  });

  it('takes no path for an id', async () => {
    const directory = scratch();
    const shelf = await shelfIn(directory);
    mkdirSync(join(directory, 'precious'));
    writeFileSync(join(directory, 'precious', 'about.json'), '{"id":"x","size":1}');
    expect(await shelf.get('../precious')).toBeUndefined();
    await shelf.remove('../precious');
    expect(readdirSync(join(directory, 'precious'))).toEqual(['about.json']);
  });
});

describe('a CSI driver that was killed while pods stood still', () => {
  it('lets them go on when it starts again, and nobody who got the number of one since', async () => {
    const directory = scratch();
    const [ours, other] = [spawn('sleep', ['60']), spawn('sleep', ['60'])];
    const [pid, stranger] = [ours.pid ?? 0, other.pid ?? 0];
    try {
      for (const each of [pid, stranger]) process.kill(each, 'SIGSTOP');
      await until('both to stand still', 5, () => Promise.resolve([pid, stranger].every((each) => stateOf(each) === 'T')));
      writeFileSync(join(directory, 'stopped.json'), JSON.stringify([[pid, startTimeOf(pid)], [stranger, '1']]));

      await releaseStopped(directory);

      await until('ours to go on', 5, () => Promise.resolve(stateOf(pid) === 'S'));
      expect(stateOf(stranger)).toBe('T');
      expect(readdirSync(directory)).toEqual([]);
    } finally {
      ours.kill('SIGKILL');
      other.kill('SIGKILL');
    }
  });
});
