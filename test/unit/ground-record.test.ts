// Several grounds of one machine: what one made for all goes with the last.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it } from '@jest/globals';
import { readRecord, removableFolders, startTimeOf, writeRecord, type Record } from '../ground/record.ts';

const directory = mkdtempSync(join(tmpdir(), 'tenant-backup-record-'));
const [own, other] = [join(directory, 'tenant-backup-ground.json'), join(directory, 'tenant-backup-ground-5.json')];
const ground = (folders: string[], startTime = '1'): Record => ({ directory: '/nowhere', sysctls: {}, folders, init: { pid: process.pid, startTime, namespaces: [] } });

afterEach(() => rmSync(other, { force: true }));
afterAll(() => rmSync(directory, { recursive: true }));

describe('the mount points of a ground that ends', () => {
  it('may go when no other ground runs', async () => {
    await writeRecord(ground(['/a', '/a/b']), own);
    await writeRecord(ground(['/a'], 'the start of another process'), other);
    expect(await removableFolders(ground(['/a', '/a/b']), own)).toEqual(['/a', '/a/b']);
  });

  it('stay and are another ground’s to remove while that runs, whose folders are mounted on them', async () => {
    await writeRecord(ground(['/c'], startTimeOf(process.pid) ?? ''), other);
    expect(await removableFolders(ground(['/a', '/c']), own)).toEqual([]);
    expect(readRecord(other)?.folders).toEqual(['/c', '/a']);
  });
});
