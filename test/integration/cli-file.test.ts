import { spawn } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { compareTrees } from '../support/compare-tree.ts';
import { jsonLines, runProcess } from '../support/program.ts';
import { buildTree } from '../support/seeded-tree.ts';

const PASSWORD = 'correct horse battery staple';

describe('the command line on a directory', () => {
  let folder: string;
  let source: string;
  let repository: string[];
  const key = ['--secret-key-file', '-'];
  const run = (args: readonly string[], password = PASSWORD) => runProcess([...args, ...repository, ...key], { stdin: `${password}\n` });
  const summaryOf = (stdout: string) => jsonLines(stdout).find((line) => line['type'] === 'summary');

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'cli-'));
    source = join(folder, 'source');
    repository = ['--repository', `file://${join(folder, 'repository')}`];
    buildTree(source, { seed: 1, files: 120 });
    expect(await run(['init'])).toMatchObject({ status: 0 });
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it('backs up, and the second time finds everything unchanged', async () => {
    const first = await run(['backup', '--source', source, '--tag', 'policy=daily', '--json']);
    const second = await run(['backup', '--source', source, '--tag', 'policy=daily', '--json']);

    expect([first.status, second.status, first.stderr, second.stderr]).toEqual([0, 0, '', '']);
    expect(summaryOf(first.stdout)).toMatchObject({ command: 'backup', complete: true, filesUnchanged: 0 });
    const { files, filesUnchanged, parent } = summaryOf(second.stdout) ?? {};
    expect(filesUnchanged).toBe(files);
    expect(parent).toBe(summaryOf(first.stdout)?.['snapshotId']);
  });

  it('stores standard input as a file, alone or beside directories', async () => {
    const withKey = ['--secret-key-file', '/dev/fd/3'];
    const dump = 'insert into t values (1);\n'.repeat(100_000);
    const own = ['--repository', `file://${join(folder, 'dumps')}`, ...withKey];
    await runProcess(['init', ...own], { descriptor3: PASSWORD });
    const run = (args: readonly string[]) => runProcess(['backup', '--stdin-filename', '/streams/db.sql', '--json', ...args, ...own], { stdin: dump, descriptor3: PASSWORD });
    const alone = await run([]);
    const both = await run(['--source', source, '--as', '/volumes/data']);
    expect(summaryOf(alone.stdout)).toMatchObject({ complete: true, files: 1, bytesProcessed: dump.length });
    expect(summaryOf(both.stdout)).toMatchObject({ complete: true });
    const target = join(folder, 'dump');
    await runProcess(['restore', '--snapshot', 'latest', '--include', '/streams', '--target', target, ...own], { descriptor3: PASSWORD });
    expect(await readFile(join(target, 'streams/db.sql'), 'utf8')).toBe(dump);
  });

  it('reads no key and no dump from one standard input, and needs something to back up', async () => {
    expect(await run(['backup', '--stdin-filename', '/db.sql'])).toMatchObject({ status: 2, stderr: expect.stringContaining('both read standard input') });
    expect(await run(['backup'])).toMatchObject({ status: 2, stderr: expect.stringContaining('--source DIR, or --stdin-filename') });
    expect(await run(['backup', '--stdin-filename', 'db.sql'])).toMatchObject({ status: 2, stderr: expect.stringContaining('absolute') });
  });

  it('lists snapshots and files for people and for programs', async () => {
    const people = await run(['snapshots']);
    const programs = await run(['snapshots', '--json']);
    const files = await run(['ls', '--snapshot', 'latest']);
    const entries = jsonLines((await run(['ls', '--snapshot', 'latest', '--json'])).stdout);

    expect(people.stdout).toMatch(/^ID {8}Time .*\n[0-9a-f]{8} {2}20.* policy=daily {2}\/.*source\n/);
    expect(jsonLines(programs.stdout)[0]).toMatchObject({ type: 'snapshot', tags: ['policy=daily'], paths: [source] });
    expect(files.stdout.split('\n').length - 1).toBe(entries.length);
    expect(files.stdout).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/);
    expect(entries.map((entry) => entry['kind'])).toContain('symlink');
  });

  it('restores the same tree, and the second time writes nothing', async () => {
    const target = join(folder, 'restored');
    const args = ['restore', '--snapshot', 'latest', '--target', target, '--subtree', source, '--json'];

    const first = await run(args);
    const second = await run(args);

    expect([first.status, second.status]).toEqual([0, 0]);
    expect(compareTrees(source, target)).toEqual([]);
    expect(summaryOf(second.stdout)).toMatchObject({ bytesWritten: 0 });
  });

  it('takes the key from a pipe and from a file, with or without a line end', async () => {
    const file = join(folder, 'password');
    await writeFile(file, PASSWORD);

    const fromDescriptor = await runProcess(['snapshots', ...repository, '--secret-key-file', '/dev/fd/3'], { descriptor3: PASSWORD });
    const fromFile = await runProcess(['snapshots', ...repository, '--secret-key-file', file]);

    expect([fromDescriptor.status, fromFile.status]).toEqual([0, 0]);
  });

  it('forgets all but the newest and prunes', async () => {
    await writeFile(join(source, 'large'), Buffer.alloc(3_000_000, 'x').map((_, place) => (place * 7919) % 251));
    await run(['backup', '--source', source]);
    await rm(join(source, 'large'));
    await run(['backup', '--source', source]);

    const plan = await run(['forget', '--keep-last', '1', '--json']);
    const dryRun = await run(['prune', '--dry-run', '--json']);
    const pruned = await run(['prune', '--now', '--json']);

    expect(summaryOf(plan.stdout)?.['removed']).toHaveLength(3);
    expect(summaryOf(dryRun.stdout)).toMatchObject({ dryRun: true });
    expect(summaryOf(pruned.stdout)).toMatchObject({ dryRun: false });
    expect(jsonLines((await run(['snapshots', '--json'])).stdout)).toHaveLength(1);
    expect(await run(['check', '--read-data'])).toMatchObject({ status: 0, stdout: expect.stringMatching(/no damage found/) });
  });

  it('ends 5 with a wrong key, without naming it', async () => {
    const wrong = await run(['snapshots'], 'Tr0ub4dor');

    expect(wrong).toMatchObject({ status: 5, stdout: '' });
    expect(wrong.stderr).toMatch(/^tenant-backup: .*key/);
    expect(wrong.stderr).not.toContain('Tr0ub4dor');
  });

  it('ends 3 when a file could not be read, and names it', async () => {
    const secret = join(source, 'secret');
    await writeFile(secret, 'x');
    await chmod(secret, 0);
    try {
      const incomplete = await runProcess(['backup', '--source', source, '--json', ...repository, ...key], { stdin: PASSWORD, withoutOverride: true });

      expect(incomplete.status).toBe(3);
      expect(jsonLines(incomplete.stdout)).toContainEqual(expect.objectContaining({ type: 'warning', path: secret }));
    } finally {
      await rm(secret, { force: true });
    }
  });

  it.each([
    ['no key at all', ['snapshots'], /the key is missing; give --secret-key-file/],
    ['two keys', ['snapshots', '--kms', 'local:/x', '--secret-key-file', '/y'], /both name the key/],
    ['a key file that is not there', ['snapshots', '--secret-key-file', '/nowhere'], /\/nowhere: it cannot be read/],
    ['an unknown option', ['backup', '--source', '/x', '--fast'], /unknown option '--fast'/],
    ['forget without saying what', ['forget', '--secret-key-file', '/y'], /either their ids, or --keep-last N/],
    ['forget of everything by number', ['forget', '--keep-last', '0', '--secret-key-file', '/y'], /--keep-last: a number from 1 on/],
    ['a subset that is none', ['check', '--read-data-subset', '0%', '--secret-key-file', '/y'], /--read-data-subset: a share above 0%/],
  ])('ends 2 with %s', async (_, args, message) => {
    const refused = await runProcess([...args, ...repository]);

    expect(refused).toMatchObject({ status: 2, stdout: '', stderr: expect.stringMatching(message) });
  });

  it('ends 2 with a URL that names no store', async () => {
    expect(await runProcess(['snapshots', '--repository', 'ftp://x/y', ...key], { stdin: 'x' })).toMatchObject({ status: 2, stderr: expect.stringMatching(/ftp:\/\//) });
  });

  it('ends 1 where there is no repository, or one already', async () => {
    const nothing = await runProcess(['snapshots', '--repository', `file://${join(folder, 'nothing')}`, ...key], { stdin: 'x' });
    const again = await run(['init']);

    expect([nothing.status, again.status]).toEqual([1, 1]);
    expect(nothing.stderr).toMatch(/nothing/);
  });

  it('ends 6 when something is damaged, and says what', async () => {
    const copy = join(folder, 'damaged');
    await new Promise((resolve) => spawn('cp', ['-a', join(folder, 'repository'), copy]).on('close', resolve));
    const packs = join(copy, 'data');
    const shelf = (await readdir(packs, { recursive: true, withFileTypes: true })).find((entry) => entry.isFile());
    const pack = join(shelf!.parentPath, shelf!.name);
    const bytes = await readFile(pack);
    bytes[20]! ^= 1;
    await chmod(pack, 0o600);
    await writeFile(pack, bytes);

    const checked = await runProcess(['check', '--read-data', '--repository', `file://${copy}`, ...key], { stdin: PASSWORD });

    expect(checked.status).toBe(6);
    expect(checked.stderr).toContain(shelf!.name);
  });

  it('is stopped by SIGINT: status 130, no lock left, the repository valid', async () => {
    const big = join(folder, 'big');
    await mkdir(big);
    await writeFile(join(big, 'file'), Buffer.alloc(400_000_000, 'abcdefgh'));
    for (let n = 0; n < 40; n += 1) await writeFile(join(big, `random-${n}`), Buffer.from(crypto.getRandomValues(new Uint8Array(60_000))));

    const stopped = await runProcess(['backup', '--source', big, '--json', ...repository, ...key], {
      stdin: PASSWORD,
      onStart: (child) => setTimeout(() => child.kill('SIGINT'), 400),
    });

    expect(stopped.status).toBe(130);
    expect(await readdir(join(folder, 'repository/locks'))).toEqual([]);
    expect(await run(['check', '--read-data'])).toMatchObject({ status: 0 });
  });
});
