import { cp, mkdir, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { compareTrees } from '../support/compare-tree.ts';
import { jsonLines, runProcess } from '../support/program.ts';
import { buildTree } from '../support/seeded-tree.ts';

const PASSWORD = 'correct horse battery staple';

describe('the commands that need no key', () => {
  let folder: string;
  let source: string;
  const url = (name: string): string => `file://${join(folder, name)}`;
  const keyed = (...args: string[]) => runProcess([...args, '--secret-key-file', '-', '--json'], { stdin: PASSWORD });
  const keyless = (...args: string[]) => runProcess([...args, '--json']);
  const summaryOf = (stdout: string) => jsonLines(stdout).find(({ type }) => type === 'summary');

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'cli-transfer-'));
    source = join(folder, 'source');
    buildTree(source, { seed: 3, files: 80 });
    await keyed('init', '--repository', url('repo'));
    expect(await keyed('backup', '--repository', url('repo'), '--source', source)).toMatchObject({ status: 0 });
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it('export a snapshot, import it elsewhere, and the tree comes back whole', async () => {
    const file = join(folder, 'backup.tar');
    // As after a backup with restic.
    await rm(join(folder, 'repo', 'manifests'), { recursive: true });
    const refused = await keyless('export', '--repository', url('repo'), '--snapshot', 'latest', '--output', file);
    expect([refused.status, refused.stderr]).toEqual([1, expect.stringContaining('no manifest')]);

    const exported = await keyed('export', '--repository', url('repo'), '--snapshot', 'latest', '--output', file);
    expect([exported.status, exported.stderr]).toEqual([0, '']);
    const again = await keyless('export', '--repository', url('repo'), '--snapshot', 'latest', '--output', `${file}.2`);
    expect(summaryOf(again.stdout)).toMatchObject({ size: summaryOf(exported.stdout)?.['size'], complete: true });

    const imported = await keyless('import', '--input', file, '--repository', url('imported'));
    expect([imported.status, imported.stderr]).toEqual([0, '']);
    const target = join(folder, 'restored');
    expect(await keyed('restore', '--repository', url('imported'), '--snapshot', 'latest', '--target', target, '--subtree', source)).toMatchObject({ status: 0 });
    expect(compareTrees(source, target)).toEqual([]);
    expect(await keyless('import', '--input', file, '--repository', url('imported'))).toMatchObject({ status: 1, stderr: expect.stringContaining('not empty') });
  });

  it('refuse a file that is none, with exit status 6, and leave nothing behind', async () => {
    await writeFile(join(folder, 'none.tar'), Buffer.alloc(2048, 'x'));
    const run = await keyless('import', '--input', join(folder, 'none.tar'), '--repository', url('never'));
    expect(run).toMatchObject({ status: 6, stderr: expect.stringContaining('not an intact backup') });
    expect(await readdir(folder)).not.toContain('never');
  });

  it('refuse an archive that was cut short or changed on its way: exit status 6, what to do about a file, and no folder left', async () => {
    const file = join(folder, 'whole.tar');
    expect(await keyless('export', '--repository', url('repo'), '--snapshot', 'latest', '--output', file)).toMatchObject({ status: 0 });
    const whole = await readFile(file);
    const changed = Buffer.from(whole);
    // In the middle of the pack that is the largest thing in it.
    changed[Math.floor(whole.byteLength / 2)]! ^= 1;
    await writeFile(join(folder, 'cut.tar'), whole.subarray(0, whole.byteLength - 20_000));
    await writeFile(join(folder, 'changed.tar'), changed);
    await mkdir(join(folder, 'standing'));

    for (const [name, place, words] of [['cut', 'new/deep', 'cut short'], ['changed', 'new/deep', 'SHA-256'], ['changed', 'standing', 'SHA-256']] as const) {
      const run = await keyless('import', '--input', join(folder, `${name}.tar`), '--repository', url(place));
      expect(run).toMatchObject({ status: 6, stdout: expect.not.stringContaining('summary'), stderr: expect.stringMatching(new RegExp(`${words}.*Download or export it again`)) });
      expect(run.stderr).not.toContain('check --read-data');
    }
    expect(await readdir(folder)).not.toContain('new');
    expect(await readdir(join(folder, 'standing'))).toEqual([]);
  });

  it('export nothing of a snapshot whose pack is missing or cut short: exit status 6, and no half file', async () => {
    await cp(join(folder, 'repo'), join(folder, 'torn'), { recursive: true });
    const pack = (await readdir(join(folder, 'torn', 'data'), { recursive: true })).find((name) => name.includes('/')) ?? '';
    await truncate(join(folder, 'torn', 'data', pack), 100);
    const before = await readdir(folder);
    const exported = () => keyless('export', '--repository', url('torn'), '--snapshot', 'latest', '--output', join(folder, 'torn.tar'));

    expect(await exported()).toMatchObject({ status: 6, stderr: expect.stringContaining(`data/${pack}`) });
    await rm(join(folder, 'torn', 'data', pack));
    expect(await exported()).toMatchObject({ status: 6, stderr: expect.stringMatching(new RegExp(`data/${pack} .*missing.*check --read-data.*another copy`)) });
    expect(await readdir(folder)).toEqual(before);
  });

  it('copy a repository, and only what is new the next time', async () => {
    const first = await keyless('copy', '--from', url('repo'), '--to', url('copied'));
    const second = await keyless('copy', '--from', url('repo'), '--to', url('copied'));
    expect([first.status, second.status]).toEqual([0, 0]);
    expect(summaryOf(second.stdout)).toMatchObject({ copied: 0, present: summaryOf(first.stdout)?.['copied'] });
    expect(await keyed('check', '--repository', url('copied'), '--read-data')).toMatchObject({ status: 0 });
  });

  it.each([
    [['--lock', 'compliance'], '--retain-for'],
    [['--retain-for', '30d'], '--lock'],
    [['--lock', 'forever', '--retain-for', '30d'], 'compliance or governance'],
    [['--lock', 'compliance', '--retain-for', '30'], '30d, 12h'],
    [['--lock', 'compliance', '--retain-for', '366d'], 'at most 365d'],
  ])('refuse the lock %j as a usage error', async (args, words) => {
    expect(await keyless('copy', '--from', url('repo'), '--to', url('x'), ...args)).toMatchObject({ status: 2, stderr: expect.stringContaining(words) });
  });

  it('forget removes the manifest with its snapshot', async () => {
    await mkdir(join(source, 'more'), { recursive: true });
    const backup = await keyed('backup', '--repository', url('repo'), '--source', source, '--force');
    expect(await keyed('forget', '--repository', url('repo'), '--keep-last', '1')).toMatchObject({ status: 0 });
    const names = await readdir(join(folder, 'repo', 'manifests'), { recursive: true });
    expect(names.filter((name) => name.endsWith('.json'))).toEqual([`${String(summaryOf(backup.stdout)?.['snapshotId'])}/1.json`]);
  });
});
