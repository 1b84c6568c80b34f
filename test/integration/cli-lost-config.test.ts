import { cp, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { runProcess } from '../support/program.ts';

const PASSWORD = 'correct horse battery staple';

describe('a repository whose config is lost', () => {
  let folder: string;
  let kms: string[];
  const url = (name: string): string => `file://${join(folder, name)}`;
  const keyed = (...args: string[]) => runProcess([...args, '--secret-key-file', '-'], { stdin: PASSWORD });
  const filesIn = async (name: string): Promise<string[]> => (await readdir(join(folder, name), { recursive: true })).sort();

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'cli-lost-config-'));
    await writeFile(join(folder, 'file'), 'content');
    await writeFile(join(folder, 'kms'), Buffer.alloc(32, 7));
    kms = ['--kms', `local:${join(folder, 'kms')}`];
    for (const [name, key] of [['repo', ['--secret-key-file', '-']], ['wrapped', kms]] as const) {
      expect(await runProcess(['init', '--repository', url(name), ...key], { stdin: PASSWORD })).toMatchObject({ status: 0 });
      const backup = ['backup', '--repository', url(name), '--source', folder, '--exclude', '/**/repo', '--exclude', '/**/wrapped'];
      expect(await runProcess([...backup, ...key], { stdin: PASSWORD })).toMatchObject({ status: 0 });
      await cp(join(folder, name), join(folder, `${name}-copy`), { recursive: true });
      await rm(join(folder, name, 'config'));
    }
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it('is not made anew by init, with either kind of key, and stays as it was', async () => {
    const before = [await filesIn('repo'), await filesIn('wrapped')];
    const refusal = { status: 6, stdout: '', stderr: expect.stringMatching(/has lost its config.*Nothing was written.*copy --from/) };

    expect(await keyed('init', '--repository', url('repo'))).toMatchObject(refusal);
    expect(await runProcess(['init', '--repository', url('wrapped'), ...kms])).toMatchObject(refusal);
    expect(await keyed('snapshots', '--repository', url('repo'))).toMatchObject(refusal);

    expect([await filesIn('repo'), await filesIn('wrapped')]).toEqual(before);
  });

  it('gets no second wrapped key where its wrappings are lost as well', async () => {
    await cp(join(folder, 'wrapped'), join(folder, 'bare'), { recursive: true });
    await rm(join(folder, 'bare', 'wrappings'), { recursive: true });
    const before = await filesIn('bare');

    expect(await runProcess(['init', '--repository', url('bare'), ...kms])).toMatchObject({ status: 5, stdout: '', stderr: expect.stringContaining('from another copy') });
    expect(await filesIn('bare')).toEqual(before);
  });

  it('is whole again after what the message says', async () => {
    expect(await runProcess(['copy', '--from', url('repo-copy'), '--to', url('repo')])).toMatchObject({ status: 0 });
    expect(await keyed('check', '--read-data', '--repository', url('repo'))).toMatchObject({ status: 0 });
  });

  it('is told apart from an init that was killed, which goes on with the same key and no other', async () => {
    expect(await keyed('init', '--repository', url('killed'))).toMatchObject({ status: 0 });
    await rm(join(folder, 'killed', 'config'));

    const other = await runProcess(['init', '--repository', url('killed'), '--secret-key-file', '-'], { stdin: 'another' });
    expect(other).toMatchObject({ status: 5, stdout: '', stderr: expect.stringMatching(/does not open keys\/.*give it the key that it had.*remove the folder keys\//) });
    expect(await keyed('init', '--repository', url('killed'))).toMatchObject({ status: 0 });
    expect(await keyed('check', '--repository', url('killed'))).toMatchObject({ status: 0 });
  });

  it('takes no key of its own where an init with a KMS was killed', async () => {
    expect(await runProcess(['init', '--repository', url('begun'), ...kms])).toMatchObject({ status: 0 });
    await rm(join(folder, 'begun', 'config'));
    await rm(join(folder, 'begun', 'keys'), { recursive: true });

    expect(await keyed('init', '--repository', url('begun'))).toMatchObject({ status: 1, stdout: '', stderr: expect.stringContaining('has a wrapped secret key already') });
    expect(await runProcess(['init', '--repository', url('begun'), ...kms])).toMatchObject({ status: 0 });
  });
});
