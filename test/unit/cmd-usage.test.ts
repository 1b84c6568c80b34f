import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { runHere } from '../support/program-here.ts';

const run = (...args: string[]) => runHere(args, { stdin: 'content' });

describe('a wrong command line', () => {
  let folder: string;
  let onRepository: string[];
  const expand = (args: readonly string[]): string[] => args.map((arg) => arg.replace('@', folder));

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'cmd-usage-'));
    await writeFile(join(folder, 'file'), 'content');
    await writeFile(join(folder, 'key'), 'a password');
    onRepository = ['--repository', `file://${folder}/repository`, '--secret-key-file', join(folder, 'key')];
    expect(await run('init', ...onRepository)).toMatchObject({ status: 0 });
    expect(await run('backup', ...onRepository, '--stdin-filename', '/streams/db.sql')).toMatchObject({ status: 0 });
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it.each([
    ['standard input without a file name', ['backup', '--stdin-filename', '/'], 'with its name, such as /streams/db.sql'],
    ['standard input as a folder', ['backup', '--stdin-filename', '/streams/'], 'with its name'],
    ['standard input as "."', ['backup', '--stdin-filename', '/streams/.'], 'with its name'],
    ['standard input inside a source', ['backup', '--stdin-filename', '/data/x', '--source', '@', '--as', '/data'], '/data/x lies within /data'],
    ['a source inside another', ['backup', '--source', '/usr', '--source', '/usr/share/doc'], '/usr/share/doc lies within /usr'],
    ['an empty id', ['forget', ''], 'id of a snapshot is empty'],
    ['an empty id among others', ['forget', 'abc', ''], 'nothing was forgotten'],
    ['a tenant that is none', ['snapshots', '--tenant', 'zz'], '--tenant: '],
    ['an archive on stdout', ['export', '--snapshot', 'latest', '--output', '-'], 'name one that does not exist yet, such as backup.tar'],
    ['a path that the snapshot does not have', ['restore', '--snapshot', 'latest', '--target', '@/target', '--subtree', '/nothing'], 'has no path /nothing: in / there is streams. List it with `ls`'],
    ['an option that is misspelt', ['ls', '--snapshto', 'latest'], 'Did you mean --snapshot?'],
    ['an option that is missing', ['ls'], '--snapshot is missing (--help'],
    ['a share that is none', ['check', '--read-data-subset', '1e1%'], '--read-data-subset: '],
    ['a part that is none', ['check', '--read-data-subset', '0x1/2'], '--read-data-subset: '],
    ['a time that is none', ['check', '--retry-lock', '1e2s'], '--retry-lock: '],
  ])('%s ends 2 and says what to write', async (_, args, words) => {
    expect(await run(...expand(args), ...onRepository)).toMatchObject({ status: 2, stdout: '', stderr: expect.stringContaining(words) });
    expect(await readdir(folder)).toEqual(['file', 'key', 'repository']);
  });

  it.each([
    ['a repository that is a file', ['snapshots', '--repository', 'file://@/file', '--secret-key-file', '@/key'], '--repository file://@/file: @/file is a file'],
    ['a repository below a file', ['init', '--repository', 'file://@/file/x', '--secret-key-file', '@/key'], 'lies below one'],
    ['a source of a copy that is a file', ['copy', '--from', 'file://@/file', '--to', 'file://@/x'], '--from file://'],
    ['a target of a copy that is a file', ['copy', '--from', 'file://@/repository', '--to', 'file://@/file'], '--to file://'],
    ['a place for an import that is a file', ['import', '--input', '@/file', '--repository', 'file://@/file'], 'name the directory'],
    ['a repository without a path', ['snapshots', '--repository', 'file://', '--secret-key-file', '@/key'], 'names no directory'],
    ['the root as a repository', ['init', '--repository', 'file:///', '--secret-key-file', '@/key'], 'names no directory'],
    ['a repository option that is misspelt', ['snapshots', '--repositry', 'file://@/repository', '--secret-key-file', '@/key'], 'Did you mean --repository?'],
    ['a key file for --kms that is not there', ['init', '--repository', 'file://@/x', '--kms', 'local:/nonexistent'], '--kms local:/nonexistent: the key file /nonexistent does not exist; make one with'],
    ['a key file for --kms that is a folder', ['init', '--repository', 'file://@/x', '--kms', 'local:@'], 'cannot be read'],
    ['a key file for --kms that holds no key', ['init', '--repository', 'file://@/x', '--kms', 'local:@/file'], 'must be 32 bytes'],
    ['a key on "-"', ['key', 'create', '--output', '-'], 'leave --output out'],
    ['an import of a pipe', ['import', '--input', '-', '--repository', 'file://@/x'], 'save it as a file first'],
    ['an operator without an image', ['operator'], '--mover-image is missing'],
    ['a port that is none', ['operator', '--mover-image', 'x', '--health-port', '1e3'], '--health-port: a port from 0 to 65535'],
    ['a port that is too large', ['operator', '--mover-image', 'x', '--metrics-port', '65536'], '--metrics-port: a port'],
    ['a port that is empty', ['operator', '--mover-image', 'x', '--metrics-port', ''], '--metrics-port: a port'],
  ])('%s ends 2 and says what to write', async (_, args, words) => {
    expect(await run(...expand(args))).toMatchObject({ status: 2, stdout: '', stderr: expect.stringContaining(words.replaceAll('@', folder)) });
    expect(await readdir(folder)).toEqual(['file', 'key', 'repository']);
  });

  it.each(['1e3', '0x10', ' 3', '3 ', '+3', '-1', '0', '03', '1.5', '', 'NaN', 'Infinity', '३', '1_000', '9999999999999999'])('a number of snapshots written %j ends 2 and forgets nothing', async (number) => {
    expect(await run('forget', `--keep-last=${number}`, ...onRepository)).toMatchObject({ status: 2, stdout: '', stderr: expect.stringContaining('--keep-last: a number from 1 on') });
    expect(await readdir(join(folder, 'repository/snapshots'))).toHaveLength(1);
  });

  it('suggests the near name with --json, too, in one object', async () => {
    const { status, stderr } = await run('snapshots', '--json', '--repositry', 'file:///x');
    expect(status).toBe(2);
    expect(JSON.parse(stderr)).toMatchObject({ type: 'error', code: 'Usage', message: expect.stringContaining('Did you mean --repository?') });
  });

  it.each(['list', 'verify'])('takes no trail of a place where nothing is for an empty one: audit %s', async (command) => {
    const place = `file://${folder}/nothing/tenants/${'a'.repeat(32)}`;
    expect(await run('audit', command, '--repository', place)).toMatchObject({ status: 1, stdout: '', stderr: expect.stringContaining('nothing of a tenant at') });
  });

  it('shows no wrapped keys of a place where nothing is', async () => {
    expect(await run('key', 'show-wrapped', '--repository', `file://${folder}/nothing`)).toMatchObject({ status: 1, stdout: '', stderr: expect.stringContaining('neither a wrapped key nor a repository') });
    expect(await run('key', 'show-wrapped', '--repository', `file://${folder}/repository`)).toMatchObject({ status: 0, stdout: expect.stringContaining('no wrapped key under') });
  });
});
