import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { keyCreate } from '../../src/cmd/commands/key.ts';
import { jsonLines, runProcess } from '../support/program.ts';

const TENANT = 'cd'.repeat(16);
const WRITTEN = /^tbk1(-[a-z2-7]{4}){14}\n$/;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cli-key-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('key create', () => {
  it('writes a new key into a pipe, and another one the next time', async () => {
    const [one, other] = [await runProcess(['key', 'create']), await runProcess(['key', 'create'])];

    expect(one).toMatchObject({ status: 0, stderr: '', stdout: expect.stringMatching(WRITTEN) });
    expect(other.stdout).toMatch(WRITTEN);
    expect(other.stdout).not.toBe(one.stdout);
  });

  it('makes a file for its owner alone, which init and snapshots take, and says nothing of the key', async () => {
    const file = join(folder, 'key');

    const made = await runProcess(['key', 'create', '--output', file]);

    const key = await readFile(file, 'utf8');
    expect(key).toMatch(WRITTEN);
    expect((await stat(file)).mode & 0o7777).toBe(0o600);
    expect(made).toMatchObject({ status: 0, stderr: '', stdout: expect.stringContaining(file) });
    expect(made.stdout).not.toContain('tbk1');
    const repository = ['--repository', `file://${join(folder, 'with-key')}`, '--secret-key-file', file];
    expect(await runProcess(['init', ...repository])).toMatchObject({ status: 0 });
    expect(await runProcess(['snapshots', ...repository])).toMatchObject({ status: 0, stdout: 'no snapshots\n' });
  });

  it('leaves a file alone that is there already', async () => {
    const file = join(folder, 'standing');
    await writeFile(file, 'the only copy');

    const refused = await runProcess(['key', 'create', '--output', file]);

    expect(refused).toMatchObject({ status: 2, stdout: '', stderr: expect.stringContaining('name a file that does not exist') });
    expect(await readFile(file, 'utf8')).toBe('the only copy');
  });

  it('says which file it cannot make', async () => {
    const refused = await runProcess(['key', 'create', '--output', join(folder, 'no', 'such', 'key')]);

    expect(refused).toMatchObject({ status: 2, stdout: '', stderr: expect.stringMatching(/no\/such\/key: it cannot be made/) });
  });

  it('does not print on a terminal unless told to', async () => {
    const terminal = (): { readonly shown: string[]; readonly run: (options: object) => Promise<number> } => {
      const shown: string[] = [];
      const stdout = { isTTY: true, write: (text: string) => shown.push(text) };
      const context = { stdin: new PassThrough(), stdout, stderr: { write: () => true }, signal: AbortSignal.timeout(60_000), now: () => 0 };
      return { shown, run: (options) => keyCreate(options, context) };
    };
    const [refusing, told] = [terminal(), terminal()];

    await expect(refusing.run({})).rejects.toMatchObject({ code: 'Usage', message: expect.stringMatching(/scrollback.*--output FILE.*--print/) });
    expect(refusing.shown).toEqual([]);
    expect(await told.run({ print: true })).toBe(0);
    expect(told.shown.join('')).toMatch(WRITTEN);
  });

  it('says in one line that its output could not be written', () => {
    const main = join(import.meta.dirname, '../../src/cmd/main.ts');
    const { status, stderr } = spawnSync('sh', ['-c', '"$0" "$1" key create > /dev/full', process.execPath, main], { encoding: 'utf8' });
    expect(status).toBe(1);
    expect(stderr).toMatch(/^tenant-backup: the output could not be written \(ENOSPC.*\)\. Make room .*\n$/);
  });
});

describe('key show-wrapped', () => {
  let place: string;
  let kmsFiles: string[];

  beforeAll(async () => {
    place = join(folder, 'tenants', TENANT, 'g3');
    kmsFiles = ['one', 'two'].map((name) => join(folder, `kms-${name}`));
    await Promise.all(kmsFiles.map((file, index) => writeFile(file, Buffer.alloc(32, index + 1).toString('base64'), { mode: 0o600 })));
    const kms = kmsFiles.flatMap((file) => ['--kms', `local:${file}`]);
    expect(await runProcess(['init', '--repository', `file://${place}`, ...kms])).toMatchObject({ status: 0 });
  });

  it('lists each wrapping with --json, without a key and without the ciphertext', async () => {
    const { status, stdout, stderr } = await runProcess(['key', 'show-wrapped', '--repository', `file://${place}`, '--json']);

    const files = (await readdir(join(place, 'wrappings'))).filter((name) => name !== 'first.json');
    const expected = await Promise.all(
      files.map(async (file) => {
        const { provider, keyId, tenant, generation, createdAt } = JSON.parse(await readFile(join(place, 'wrappings', file), 'utf8')) as Record<string, unknown>;
        return { type: 'wrapping', name: file.replace('.json', ''), provider, keyId, tenant, generation, createdAt };
      }),
    );
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(expected).toHaveLength(2);
    expect(expected[0]).toMatchObject({ provider: 'local', tenant: TENANT, generation: 3 });
    const lines = jsonLines(stdout);
    expect(lines).toHaveLength(2);
    expect(lines).toEqual(expect.arrayContaining(expected));
  });

  it('lists them as a table for people', async () => {
    const { status, stdout } = await runProcess(['key', 'show-wrapped', '--repository', `file://${place}`]);

    expect(status).toBe(0);
    const [head, ...rows] = stdout.trimEnd().split('\n');
    expect(head).toMatch(/^Name +Created +Tenant +Gen +Provider +Region +Key$/);
    expect(rows).toHaveLength(2);
    for (const row of rows) expect(row).toMatch(new RegExp(`^[0-9a-f]{8}  .* ${TENANT}  3 +local`));
  });

  it('says so where there is none, and ends 1 where there is no repository either', async () => {
    const show = (name: string) => runProcess(['key', 'show-wrapped', '--repository', `file://${join(folder, name)}`]);
    await runProcess(['init', '--repository', `file://${join(folder, 'own-key')}`, '--secret-key-file', '-'], { stdin: 'a password' });

    expect(await show('own-key')).toMatchObject({ status: 0, stdout: expect.stringContaining('no wrapped key under') });
    expect(await show('empty')).toMatchObject({ status: 1, stdout: '', stderr: expect.stringContaining('Check the place') });
  });

  it('ends 6 for a wrapping that is not what its name says', async () => {
    const broken = join(folder, 'broken');
    await mkdir(join(broken, 'wrappings'), { recursive: true });
    await writeFile(join(broken, 'wrappings', `${'0'.repeat(64)}.json`), '{}');

    expect(await runProcess(['key', 'show-wrapped', '--repository', `file://${broken}`])).toMatchObject({ status: 6, stdout: '', stderr: expect.stringContaining('is damaged') });
  });
});
