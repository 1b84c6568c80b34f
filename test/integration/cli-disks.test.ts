import { execFileSync } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { runHere } from '../support/program-here.ts';

/** No word of Node's own, no stack: `ENOSPC: no space left on device, write`. */
const RAW = /E[A-Z]{3,}: | at .*\.ts/;

describe('a disk that cannot be written', () => {
  let folder: string;
  let mounted: string[];
  const expand = (line: string): string[] => line.split(' ').map((word) => word.replaceAll('@', folder));
  const run = (line: string) => runHere([...expand(line)]);
  const mount = (name: string, ...options: string[]): void => {
    execFileSync('mount', ['-t', 'tmpfs', '-o', options.join(), 'tmpfs', join(folder, name)]);
    mounted.push(join(folder, name));
  };

  beforeAll(async () => {
    mounted = [];
    folder = await mkdtemp(join(tmpdir(), 'cli-disks-'));
    for (const name of ['source', 'readonly', 'full', 'small']) await mkdir(join(folder, name));
    await writeFile(join(folder, 'source', 'file'), Buffer.from(crypto.getRandomValues(new Uint8Array(60_000))));
    await writeFile(join(folder, 'source', 'more'), Buffer.from(crypto.getRandomValues(new Uint8Array(60_000))));
    await writeFile(join(folder, 'key'), 'a password');
    expect(await run('init --repository file://@/repo --secret-key-file @/key')).toMatchObject({ status: 0 });
    expect(await run('backup --repository file://@/repo --secret-key-file @/key --source @/source')).toMatchObject({ status: 0 });
    expect(await run('export --repository file://@/repo --snapshot latest --output @/backup.tar')).toMatchObject({ status: 0 });
    mount('readonly', 'size=8m');
    await cp(join(folder, 'repo'), join(folder, 'readonly', 'repo'), { recursive: true });
    execFileSync('mount', ['-o', 'remount,ro', join(folder, 'readonly')]);
    mount('small', 'size=64k');
    mount('full', 'size=64k');
    await writeFile(join(folder, 'full', 'filling'), Buffer.alloc(65_536));
  });
  afterAll(async () => {
    for (const place of mounted) execFileSync('umount', [place]);
    await rm(folder, { recursive: true, force: true });
  });

  it.each([
    ['init --repository file://@/readonly/new/deep --secret-key-file @/key', 'mount it for writing'],
    ['copy --from file://@/repo --to file://@/readonly/new', 'mount it for writing'],
    ['import --input @/backup.tar --repository file://@/readonly/new', 'mount it for writing'],
    ['backup --repository file://@/readonly/repo --secret-key-file @/key --source @/source', 'mount it for writing'],
    ['forget --repository file://@/readonly/repo --secret-key-file @/key --keep-last 1', 'mount it for writing'],
    ['prune --repository file://@/readonly/repo --secret-key-file @/key', 'mount it for writing'],
    ['check --repository file://@/readonly/repo --secret-key-file @/key', 'run it again with --no-lock'],
    ['export --repository file://@/repo --snapshot latest --output @/readonly/x.tar', 'not mounted read-only'],
    ['restore --repository file://@/repo --secret-key-file @/key --snapshot latest --target @/readonly/out', 'mount it for writing'],
    ['init --repository file:///proc/new --secret-key-file @/key', 'check the path'],
    ['key create --output @/full/key', 'the disk is full'],
    ['init --repository file://@/full/new --secret-key-file @/key', 'no space is left'],
    ['copy --from file://@/repo --to file://@/full/new', 'no space is left'],
    ['import --input @/backup.tar --repository file://@/full/new', 'no space is left'],
    ['export --repository file://@/repo --snapshot latest --output @/full/x.tar', 'the disk is full'],
    ['import --input @/backup.tar --repository file://@/small/new', 'no space is left'],
    ['export --repository file://@/repo --snapshot latest --output @/small/x.tar', 'the disk is full'],
  ])('ends %s with 1, says what to do, and leaves nothing there', async (line, words) => {
    const ended = await run(line);

    expect(ended).toMatchObject({ status: 1, stdout: '', stderr: expect.stringContaining(words) });
    expect(ended.stderr).not.toMatch(RAW);
    expect(ended.stderr.trimEnd().split('\n')).toHaveLength(1);
    expect(await readdir(join(folder, 'full'))).toEqual(['filling']);
    expect(await readdir(join(folder, 'small'))).toEqual([]);
  });

  it.each([
    'snapshots --repository file://@/readonly/repo --secret-key-file @/key',
    'snapshots --repository file://@/readonly/repo --secret-key-file @/key --no-lock',
    'ls --repository file://@/readonly/repo --secret-key-file @/key --snapshot latest --no-lock',
    'restore --repository file://@/readonly/repo --secret-key-file @/key --snapshot latest --target @/out --no-lock',
    'check --repository file://@/readonly/repo --secret-key-file @/key --read-data --no-lock',
    'prune --repository file://@/readonly/repo --secret-key-file @/key --dry-run',
    'copy --from file://@/readonly/repo --to file://@/copy',
  ])('lets %s read from it', async (line) => {
    expect(await run(line)).toMatchObject({ status: 0, stderr: '' });
  });
});
