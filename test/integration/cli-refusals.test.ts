import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { jsonLines, runProcess, type ProgramRun } from '../support/program.ts';

const PASSWORD = 'correct horse battery staple';

describe('the command line', () => {
  let folder: string;
  let repository: string;
  const run = (args: readonly string[]): Promise<ProgramRun> => runProcess(args, { stdin: PASSWORD });
  const onRepository = (command: string, ...args: string[]): Promise<ProgramRun> => run([command, '--repository', repository, '--secret-key-file', '-', ...args]);

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'cli-refusals-'));
    repository = `file://${join(folder, 'repository')}`;
    await mkdir(join(folder, 'source'));
    await writeFile(join(folder, 'source', 'file'), 'content');
    expect(await onRepository('init')).toMatchObject({ status: 0 });
    expect(await onRepository('backup', '--source', join(folder, 'source'))).toMatchObject({ status: 0 });
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  describe('with --json', () => {
    const key = ['--secret-key-file', '-'];
    const absent = ['--repository', 'file:///nonexistent/repository'];

    it.each([
      ['init', [], 2],
      ['backup', [...absent, ...key, '--source', '/tmp'], 1],
      ['backup', [], 2],
      ['snapshots', [...absent, ...key], 1],
      ['ls', [...absent, ...key, '--snapshot', 'latest'], 1],
      ['restore', [...absent, ...key, '--snapshot', 'latest'], 2],
      ['forget', [...absent, ...key], 2],
      ['prune', [...absent, ...key, '--nonsense'], 2],
      ['check', [...absent, ...key, '--read-data', '--read-data-subset', '1%'], 2],
      ['export', [...absent, '--snapshot', 'latest', '--output', '/nonexistent/file'], 1],
      ['import', [...absent, '--input', '/nonexistent/file'], 1],
      ['copy', ['--from', 'ftp://host', '--to', 'file:///x'], 2],
      ['key', ['create'], 2],
      ['key', ['rotate'], 2],
      ['nonsense', [], 2],
    ])('tells a failure of %s %j as one object and nothing else', async (command, args, status) => {
      const ended = await run([command, ...args, '--json']);
      expect(ended.status).toBe(status);
      expect(ended.stdout).toBe('');
      expect(jsonLines(ended.stderr)).toEqual([{ type: 'error', code: expect.any(String), message: expect.stringMatching(/^[^\n]{10,}$/), exitStatus: status }]);
    });
  });

  describe('refuses', () => {
    it.each([
      ['an empty source', ['backup', '--source', ''], 2, 'must not be empty'],
      ['a file as source', ['backup', '--source', '/etc/passwd'], 1, 'no directory'],
      ['a source twice', ['backup', '--source', '/etc', '--source', '/etc'], 2, 'given twice'],
      ['two sources under one path', ['backup', '--source', '/etc', '--source', '/usr', '--as', '/x', '--as', '/x'], 2, 'given twice'],
      ['a path that climbs', ['backup', '--source', '/etc', '--as', '/x/../y'], 2, 'without ".."'],
      ['a malformed exclude', ['backup', '--source', '/etc', '--exclude', '[a'], 2, '"[a" is malformed'],
      ['a malformed include', ['restore', '--snapshot', 'latest', '--target', '/nonexistent/x', '--include', 'a\\'], 2, 'is malformed'],
      ['a key twice', ['snapshots', '--kms', 'local:/key'], 2, 'both name the key'],
      ['a CA file without a certificate', ['snapshots', '--ca-file', '/etc/passwd'], 2, 'holds no certificate'],
      ['a CA file that is not there', ['snapshots', '--ca-file', '/nonexistent'], 2, 'cannot be read'],
    ])('%s', async (_, [command = '', ...args], status, words) => {
      expect(await onRepository(command, ...args)).toMatchObject({ status, stdout: '', stderr: expect.stringContaining(words) });
    });

    it.each(['', '/below'])('a copy of a repository into itself%s', async (below) => {
      expect(await run(['copy', '--from', repository, '--to', `${repository}${below}`])).toMatchObject({ status: 2, stderr: expect.stringContaining('name another place') });
    });
  });

  it('says so when nothing was backed up', async () => {
    const empty = await onRepository('backup', '--source', join(folder, 'source'), '--exclude', '*', '--host', 'other', '--json');
    expect(empty.status).toBe(0);
    expect(jsonLines(empty.stdout)).toContainEqual(expect.objectContaining({ type: 'warning', kind: 'nothing-backed-up' }));
  });

  it('takes thousands of excludes', async () => {
    const excludes = Array.from({ length: 5_000 }, (_, index) => ['--exclude', `/no/such/${'*'.repeat(index % 3)}${index}`]).flat();
    expect(await onRepository('backup', '--source', join(folder, 'source'), ...excludes)).toMatchObject({ status: 0, stdout: expect.stringContaining('1 file') });
  });

  it('shows in the help of each command what must be given, and an example', async () => {
    const { stdout } = await run(['--help']);
    const commands = [...stdout.matchAll(/^ {2}([a-z]+)(?: \[|\s)/gm)].map(([, name]) => name ?? '').filter((name) => !['tenant', 'help', 'key', 'audit', 'mover', 'operator'].includes(name));
    expect(commands).toContain('backup');
    for (const command of [...commands.map((name) => [name]), ['key', 'create'], ['key', 'show-wrapped'], ['audit', 'verify']]) {
      const help = await run([...command, '--help']);
      expect(help).toMatchObject({ status: 0, stderr: '' });
      expect(help.stdout).toContain(`tenant-backup ${command.join(' ')} --`);
    }
    expect((await run(['restore', '--help'])).stdout.replaceAll(/\s+/g, ' ')).toMatch(/--target <dir> [^-]*\(required\)/);
  });

  describe('whose output is lost', () => {
    it.each([
      ['closed', 'true', ''],
      ['full', 'cat >/dev/full', 'could not be written|^$'],
    ])('because it is %s ends with 1, and its lock removed', async (_, reader, words) => {
      await writeFile(join(folder, 'source', 'big'), Buffer.alloc(300_000_000, 'abcdefgh'));
      const program = `${process.execPath} --disable-warning=ExperimentalWarning ${join(import.meta.dirname, '../../src/cmd/main.ts')}`;
      const target = reader.startsWith('cat') ? '> /dev/full' : `| ${reader}`;
      // A backup that takes longer than the second after which its first line of progress comes.
      const script = `set -o pipefail; echo '${PASSWORD}' | ${program} backup --force --json --repository ${repository} --secret-key-file - --source ${join(folder, 'source')} ${target}`;
      const ended = await bash(script);
      expect(ended.code).toBe(1);
      expect(ended.stderr).toMatch(new RegExp(words, 'm'));
      expect(await readdir(join(folder, 'repository/locks'))).toEqual([]);
    });

    it('on stderr goes on, and ends with its own status', async () => {
      const main = join(import.meta.dirname, '../../src/cmd/main.ts');
      expect(await bash(`${process.execPath} --disable-warning=ExperimentalWarning ${main} nonsense 2>/dev/full`)).toMatchObject({ code: 2 });
    });
  });

  it('reaches S3 with a certificate authority of its own only where --ca-file names it', async () => {
    const [keyFile, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
    await promisify(execFile)('openssl', [
      'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2',
      '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost', '-keyout', keyFile, '-out', cert,
    ]);
    const server = createServer({ key: await readFile(keyFile), cert: await readFile(cert) }, (_, response) =>
      response.writeHead(403).end('<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>'),
    );
    await new Promise<void>((resolve) => server.listen(0, 'localhost', resolve));
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const args = ['snapshots', '--repository', `s3://bucket?endpoint=https://localhost:${port}`, '--secret-key-file', '-'];
    const env = { AWS_ACCESS_KEY_ID: 'a', AWS_SECRET_ACCESS_KEY: 'b' };
    try {
      expect(await runProcess(args, { stdin: PASSWORD, env })).toMatchObject({ status: 1, stderr: expect.stringContaining('--ca-file') });
      expect(await runProcess([...args, '--ca-file', cert], { stdin: PASSWORD, env })).toMatchObject({ status: 1, stderr: expect.stringContaining('AccessDenied') });
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });
});

function bash(script: string): Promise<{ readonly code: number; readonly stderr: string }> {
  return new Promise((resolve) => {
    const child = execFile('bash', ['-c', script], (_, _stdout, stderr) => resolve({ code: child.exitCode ?? -1, stderr }));
  });
}
