import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { FileStore } from '../../src/storage/index.ts';
import { freshSigner, trailOn } from '../support/audit-trail.ts';
import { jsonLines, runProcess } from '../support/program.ts';

let folder: string;
let tenant: string;
let old: string;
let fresh: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cli-key-life-'));
  [old, fresh] = [`local:${join(folder, 'old')}`, `local:${join(folder, 'fresh')}`];
  for (const name of ['old', 'fresh']) await writeFile(join(folder, name), randomBytes(32));
  await mkdir(join(folder, 'source'));
  await writeFile(join(folder, 'source', 'file'), 'what a customer has');
});
beforeEach(() => {
  tenant = join(folder, 'tenants', randomBytes(16).toString('hex'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const generation = (number: number) => ['--repository', `file://${tenant}/g${number}`];

describe('key rotate', () => {
  it('makes the next generation, whose backup is full, beside the one that stays readable', async () => {
    expect(await runProcess(['init', ...generation(1), '--kms', old])).toMatchObject({ status: 0 });
    expect(await runProcess(['backup', ...generation(1), '--kms', old, '--source', join(folder, 'source')])).toMatchObject({ status: 0 });

    const rotated = await runProcess(['key', 'rotate', ...generation(1), '--kms', old, '--json']);

    expect(jsonLines(rotated.stdout).at(-1)).toMatchObject({ type: 'summary', command: 'key rotate', generation: 2, repository: `file://${tenant}/g2` });
    const backup = await runProcess(['backup', ...generation(2), '--kms', old, '--source', join(folder, 'source'), '--json']);
    const summary = jsonLines(backup.stdout).at(-1);
    expect(summary).toMatchObject({ complete: true, filesUnchanged: 0 });
    expect(summary).not.toHaveProperty('parent');
    for (const number of [1, 2]) {
      const target = join(tenant, `target-${number}`);
      await mkdir(target);
      expect(await runProcess(['restore', ...generation(number), '--kms', old, '--snapshot', 'latest', '--target', target])).toMatchObject({ status: 0 });
    }
    const [one, two] = [await runProcess(['key', 'show-wrapped', ...generation(1), '--json']), await runProcess(['key', 'show-wrapped', ...generation(2), '--json'])];
    expect(jsonLines(one.stdout)).toEqual([expect.objectContaining({ generation: 1 })]);
    expect(jsonLines(two.stdout)).toEqual([expect.objectContaining({ generation: 2 })]);
  });

  it('makes no generation twice, none beside nothing, and none of a repository without a tenant', async () => {
    expect(await runProcess(['init', ...generation(1), '--kms', old])).toMatchObject({ status: 0 });
    expect(await runProcess(['key', 'rotate', ...generation(1), '--kms', old])).toMatchObject({ status: 0 });

    expect(await runProcess(['key', 'rotate', ...generation(1), '--kms', old])).toMatchObject({ status: 1, stderr: expect.stringContaining('/g2') });
    expect(await runProcess(['key', 'rotate', ...generation(7), '--kms', old])).toMatchObject({ status: 2, stderr: expect.stringContaining('there is no repository') });
    expect(await runProcess(['key', 'rotate', '--repository', `file://${folder}/plain`, '--kms', old])).toMatchObject({ status: 2, stderr: expect.stringContaining('/tenants/TENANT/gN') });
    expect(await runProcess(['key', 'rotate', ...generation(2)])).toMatchObject({ status: 2, stderr: expect.stringContaining('--kms is missing') });
  });
});

describe('key rewrap', () => {
  it('lets the new KMS key open every generation of a tenant, and adds nothing the second time', async () => {
    expect(await runProcess(['init', ...generation(1), '--kms', old])).toMatchObject({ status: 0 });
    expect(await runProcess(['key', 'rotate', ...generation(1), '--kms', old])).toMatchObject({ status: 0 });
    expect(await runProcess(['snapshots', ...generation(2), '--kms', fresh])).toMatchObject({ status: 5 });

    const args = ['key', 'rewrap', '--repository', `file://${tenant}`, '--kms', old, '--to-kms', fresh, '--json'];
    const [first, again] = [await runProcess(args), await runProcess(args)];

    expect(jsonLines(first.stdout).filter(({ type }) => type === 'rewrapped')).toMatchObject([
      { generation: 1, isNew: true },
      { generation: 2, isNew: true },
    ]);
    expect(jsonLines(again.stdout).filter(({ type }) => type === 'rewrapped')).toMatchObject([{ isNew: false }, { isNew: false }]);
    for (const number of [1, 2]) {
      expect(await runProcess(['snapshots', ...generation(number), '--kms', fresh])).toMatchObject({ status: 0 });
      expect(await readdir(join(tenant, `g${number}`, 'wrappings'))).toHaveLength(3);
    }
  });

  it('wraps no key that does not open the repository', async () => {
    expect(await runProcess(['init', ...generation(1), '--kms', old])).toMatchObject({ status: 0 });
    const key = join(folder, 'another.key');
    expect(await runProcess(['key', 'create', '--output', key])).toMatchObject({ status: 0 });

    expect(await runProcess(['key', 'rewrap', ...generation(1), '--secret-key-file', key, '--to-kms', fresh])).toMatchObject({ status: 5 });

    expect(await readdir(join(tenant, 'g1', 'wrappings'))).toHaveLength(2);
    expect(await runProcess(['key', 'rewrap', '--repository', `file://${folder}/tenants/${'0'.repeat(32)}`, '--kms', old, '--to-kms', fresh])).toMatchObject({ status: 2, stderr: expect.stringContaining('no generation') });
  });
});

describe('audit', () => {
  it('lists events, finds a trail sound, and ends 6 when one is gone', async () => {
    const id = tenant.slice(-32);
    const signer = freshSigner();
    const store = new FileStore(tenant);
    const trail = trailOn(store, signer, id);
    for (const number of [1, 2, 3]) await trail.record({ id: `b${number}`, action: 'backup.stored', actor: 'operator', object: `Backup/shop/b${number}`, details: { files: number } });
    const verify = ['audit', 'verify', '--repository', `file://${tenant}/g1`, '--json'];

    const listed = await runProcess(['audit', 'list', '--repository', `file://${tenant}`]);
    const sound = await runProcess([...verify, '--public-key', signer.publicKey]);
    const { newest, newestHash } = jsonLines(sound.stdout).at(-1) as { newest: number; newestHash: string };
    const foreign = await runProcess([...verify, '--public-key', freshSigner().publicKey]);
    await store.deleteMany(['audit/000000000003.json', 'audit/heads/000000000003.json']);
    const cut = await runProcess([...verify, '--expect', `${newest}:${newestHash}`]);

    expect(listed).toMatchObject({ status: 0, stdout: expect.stringMatching(/^Seq +Time.*\n1 .*backup\.stored +Backup\/shop\/b1 +operator +files=1\n/) });
    expect(sound).toMatchObject({ status: 0 });
    expect(newest).toBe(3);
    expect({ status: foreign.status, found: jsonLines(foreign.stdout)[0] }).toMatchObject({ status: 6, found: { type: 'finding', kind: 'UntrustedKey' } });
    expect({ status: cut.status, found: jsonLines(cut.stdout)[0] }).toMatchObject({ status: 6, found: { kind: 'CutOff', seq: 3 } });
    expect(await runProcess(['audit', 'verify', '--repository', `file://${folder}`])).toMatchObject({ status: 2, stderr: expect.stringContaining("must end with the tenant's id") });
  });
});
