import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { readFileSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { forgottenSnapshots } from '../../src/mover/replicate/forgotten.ts';
import { openStore, type ObjectInfo } from '../../src/storage/index.ts';
import { jsonLines, runProcess } from '../support/program.ts';

const TENANT = 'ab'.repeat(16);

describe('backup on the command line', () => {
  let folder: string;
  let source: string;
  let place: string;
  let repository: string[];
  const withKey = (args: readonly string[], withoutOverride = false) =>
    runProcess([...args, ...repository, '--secret-key-file', '-', '--json'], { stdin: 'a password', withoutOverride });
  const summaryOf = (stdout: string) => jsonLines(stdout).find((line) => line['type'] === 'summary') ?? {};

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'cli-manifest-'));
    source = join(folder, 'source');
    place = join(folder, 'tenants', TENANT, 'g2');
    repository = ['--repository', `file://${place}`];
    await mkdir(source);
    await writeFile(join(source, 'one'), '1');
    await writeFile(join(source, 'two'), '2');
    expect(await withKey(['init'])).toMatchObject({ status: 0 });
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it('leaves a manifest that names tenant and generation, so that export needs no key', async () => {
    const { snapshotId } = summaryOf((await withKey(['backup', '--source', source])).stdout);

    const exported = await runProcess(['export', ...repository, '--snapshot', 'latest', '--output', join(folder, 'file.tar'), '--json']);

    expect(exported).toMatchObject({ status: 0, stderr: '' });
    expect(summaryOf(exported.stdout)).toMatchObject({ snapshotId, complete: true });
    expect(manifestOf(place, String(snapshotId))).toMatchObject({ tenant: TENANT, generation: 2, complete: true });
  });

  it('leaves word of what a person forgets in an operator\'s bucket, which whoever replicates it understands', async () => {
    const { snapshotId } = summaryOf((await withKey(['backup', '--source', source, '--tag', 'gone=soon'])).stdout);

    const forgotten = await withKey(['forget', String(snapshotId), '--prune']);

    expect(forgotten).toMatchObject({ status: 0, stderr: '' });
    const tenantStore = await openStore(`file://${join(folder, 'tenants', TENANT)}`);
    const listed: ObjectInfo[] = [];
    for await (const object of tenantStore.list('')) listed.push(object);
    expect(await forgottenSnapshots(tenantStore, listed, new Date(), AbortSignal.timeout(5000))).toEqual(new Set([snapshotId]));
    // No word stays of what did not go.
    const words = readdirSync(join(place, 'results'));
    expect((await withKey(['forget', 'ffffffff'])).status).toBe(1);
    expect(readdirSync(join(place, 'results'))).toEqual(words);
  });

  it('says in the manifest that files were missed', async () => {
    await chmod(join(source, 'two'), 0);
    const backup = await withKey(['backup', '--source', source, '--force'], true);
    await chmod(join(source, 'two'), 0o600);

    const { snapshotId } = summaryOf(backup.stdout);
    expect(backup.status).toBe(3);
    expect(manifestOf(place, String(snapshotId))).toMatchObject({ complete: false });
  });

  it('knows from the snapshot alone that files were missed, where the manifest could not be written', async () => {
    const snapshotId = jsonLines((await withKey(['snapshots'])).stdout).at(-1)?.['id'];
    await rm(join(place, 'manifests', String(snapshotId)), { recursive: true });

    const exported = await withKey(['export', '--snapshot', String(snapshotId), '--output', join(folder, 'incomplete.tar')]);

    expect(exported.status).toBe(0);
    expect(summaryOf(exported.stdout)).toMatchObject({ snapshotId, complete: false });
    expect(manifestOf(place, String(snapshotId))).toMatchObject({ complete: false });
  });

  it('writes the next revision where the newest manifest is damaged, once the key is given', async () => {
    const { snapshotId } = summaryOf((await withKey(['backup', '--source', source])).stdout);
    await writeFile(join(place, 'manifests', String(snapshotId), '2.json'), 'not a manifest');
    const args = ['export', '--snapshot', String(snapshotId), '--output', join(folder, 'mended.tar')];

    const keyless = await runProcess([...args, ...repository]);
    const exported = await withKey(args);

    expect(keyless).toMatchObject({ status: 6, stderr: expect.stringContaining('with the key given') });
    expect(exported).toMatchObject({ status: 0, stderr: '' });
    expect(readdirSync(join(place, 'manifests', String(snapshotId))).toSorted()).toEqual(['1.json', '2.json', '3.json']);
  });

  it('says what to do when the source is a file', async () => {
    expect(await withKey(['backup', '--source', join(source, 'one')])).toMatchObject({ status: 1, stderr: expect.stringContaining('it is no directory; name the directory') });
  });

  it('warns when what is to be restored does not exist', async () => {
    const restore = await withKey(['restore', '--snapshot', 'latest', '--target', join(folder, 'out'), '--include', '/not/there']);

    expect(jsonLines(restore.stdout)).toContainEqual(expect.objectContaining({ type: 'warning', kind: 'nothing-selected' }));
  });
});

function manifestOf(place: string, snapshot: string): unknown {
  const names = readdirSync(join(place, 'manifests', snapshot));
  expect(names).toEqual(['1.json']);
  return JSON.parse(readFileSync(join(place, 'manifests', snapshot, '1.json'), 'utf8'));
}
