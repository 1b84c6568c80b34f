import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { compareTrees } from '../support/compare-tree.ts';
import { MoverBench, attempt, newTenant, type MoverRun } from '../support/mover-bench.ts';
import { buildTree } from '../support/seeded-tree.ts';

let bench: MoverBench;
let data: string;

beforeAll(async () => {
  bench = await MoverBench.start();
  data = join(bench.folder, 'data');
  buildTree(data, { seed: 3, files: 300 });
}, 120_000);
afterAll(() => bench.stop());

const volume = (mountPath: string, claim = 'data') => [{ claim, mountPath }];

function expectDone(run: MoverRun): void {
  expect({ status: run.status, failure: run.message.failure }).toEqual({ status: 0, failure: undefined });
}

describe('a mover', () => {
  it('backs up, restores what it backed up, and forgets it', async () => {
    const tenant = newTenant();

    const backup = await bench.run(bench.backupOrders({ tenant, volumes: volume(data), attempt: attempt('b1') }));
    expectDone(backup);
    const snapshotId = backup.message.backup!.snapshotId;
    const target = join(bench.folder, 'target');
    await mkdir(target);
    const restore = await bench.run(bench.restoreOrders({ tenant, snapshotId, volumes: volume(target), attempt: attempt('r1'), deleteExtra: true }));
    const forget = await bench.run(bench.forgetOrders({ tenant, snapshots: [snapshotId], attempt: attempt('f1') }));

    expectDone(restore);
    expectDone(forget);
    expect(compareTrees(data, target)).toEqual([]);
    expect(forget.message.forget?.removed).toEqual([snapshotId]);
    expect([...(await bench.list(tenant.id, 'g1/snapshots/')), ...(await bench.list(tenant.id, 'g1/manifests/')), ...(await bench.list(tenant.id, 'g1/locks/'))]).toEqual([]);
  });

  it('leaves the whole result in the bucket and a short form as the termination message', async () => {
    const tenant = newTenant();

    const run = await bench.run(bench.backupOrders({ tenant, volumes: volume(data), attempt: attempt('b1') }));

    expect(run.result).toEqual(run.message);
    expect(run.result).toMatchObject({ version: 1, task: 'backup', uid: 'b1', attempt: 'tbmover-b1-1', outcome: 'succeeded', backup: { complete: true } });
    expect(run.lines.at(-1)).toMatchObject({ type: 'progress', filesDone: run.result!.backup!.files });
    expect(run.result!.peakMemory).toBeGreaterThan(1_000_000);
  });

  it('names the snapshot after tenant, claim, policy, backup and uid, and writes a manifest of all that it needs', async () => {
    const tenant = newTenant();

    const run = await bench.run(bench.backupOrders({ tenant, volumes: volume(data), policy: 'p', backup: 'mine', attempt: attempt('u-1') }));

    const { snapshotId } = run.result!.backup!;
    const manifest = JSON.parse(new TextDecoder().decode(await bench.tenantStore(tenant.id).get(`g1/manifests/${snapshotId}/1.json`))) as {
      files: { name: string; size: number; exported?: true }[];
    };
    const names = manifest.files.map((file) => file.name);
    const listed = [...(await bench.list(tenant.id, 'g1/data/')), ...(await bench.list(tenant.id, 'g1/index/'))].map((key) => key.slice('g1/'.length));
    expect(names).toEqual(expect.arrayContaining(['config', `snapshots/${snapshotId}`, ...listed]));
    expect(names.filter((name) => name.startsWith('keys/'))).toHaveLength(1);
    expect(manifest.files.filter(({ exported }) => exported === true).map(({ name }) => name.slice(0, 6))).toEqual(['index/']);
    expect(names.filter((name) => name.startsWith('wrappings/')).length).toBeGreaterThanOrEqual(2);
    for (const { name, size } of manifest.files) {
      expect(await bench.tenantStore(tenant.id).head(`g1/${name}`)).toMatchObject({ size });
    }
  });

  it('compares with the newest complete snapshot of the same policy', async () => {
    const tenant = newTenant();
    const orders = (uid: string, policy: string) => bench.backupOrders({ tenant, volumes: volume(data), policy, attempt: attempt(uid) });

    const first = await bench.run(orders('b1', 'daily'));
    const other = await bench.run(orders('b2', 'other'));
    const second = await bench.run(orders('b3', 'daily'));
    const ruledOut = await bench.run({ ...orders('b4', 'daily'), incompleteSnapshots: [first, second].map((run) => run.result!.backup!.snapshotId) });

    const unchanged = [first, other, second, ruledOut].map((run) => run.result!.backup!.filesUnchanged);
    expect(unchanged).toEqual([0, 0, first.result!.backup!.files, 0]);
  });

  it('answers with what an earlier attempt stored when only its result was lost', async () => {
    const tenant = newTenant();
    const orders = bench.backupOrders({ tenant, volumes: volume(data), attempt: attempt('b1', 1) });
    const first = await bench.run(orders);
    await bench.tenantStore(tenant.id).delete('g1/results/b1-1.json');

    const second = await bench.run({ ...orders, attempt: attempt('b1', 2) });

    expect(second.result!.backup).toEqual(first.result!.backup);
    expect(await bench.list(tenant.id, 'g1/snapshots/')).toHaveLength(1);
  });

  it('replaces a snapshot whose attempt died before the manifest, so that a Backup never has two', async () => {
    const tenant = newTenant();
    const orders = bench.backupOrders({ tenant, volumes: volume(data), attempt: attempt('b1', 1) });
    const first = await bench.run(orders);
    const died = first.result!.backup!.snapshotId;
    await bench.tenantStore(tenant.id).deleteMany([`g1/manifests/${died}/1.json`, 'g1/results/b1-1.json']);

    const second = await bench.run({ ...orders, attempt: attempt('b1', 2) });

    const { snapshotId, filesUnchanged, files } = second.result!.backup!;
    expect(snapshotId).not.toBe(died);
    expect(filesUnchanged).toBe(files);
    expect(await bench.list(tenant.id, 'g1/snapshots/')).toEqual([`g1/snapshots/${snapshotId}`]);
    expect(await bench.list(tenant.id, 'g1/manifests/')).toEqual([`g1/manifests/${snapshotId}/1.json`]);
  });

  it('backs several volumes up into one snapshot and restores each into its own', async () => {
    const tenant = newTenant();
    const small = join(bench.folder, 'small');
    await mkdir(small);
    await writeFile(join(small, 'one'), '1');
    const volumes = [...volume(data), ...volume(small, 'settings')];
    const backup = await bench.run(bench.backupOrders({ tenant, volumes, attempt: attempt('b1') }));
    const targets = [join(bench.folder, 'two-a'), join(bench.folder, 'two-b')] as const;
    for (const target of targets) await mkdir(target);

    const restore = await bench.run(
      bench.restoreOrders({
        tenant,
        snapshotId: backup.result!.backup!.snapshotId,
        volumes: [...volume(targets[0]), ...volume(targets[1], 'settings')],
        attempt: attempt('r1'),
      }),
    );

    expectDone(restore);
    expect([compareTrees(data, targets[0]), compareTrees(small, targets[1])]).toEqual([[], []]);
    expect(restore.result!.restore!.files).toBe(backup.result!.backup!.files);
  });

  it('makes one key when two begin a tenant at once', async () => {
    const tenant = newTenant();

    const runs = await Promise.all(['b1', 'b2'].map((uid) => bench.run(bench.backupOrders({ tenant, volumes: volume(data), attempt: attempt(uid) }))));

    runs.forEach(expectDone);
    expect(await bench.list(tenant.id, 'g1/snapshots/')).toHaveLength(2);
    const target = join(bench.folder, 'race');
    for (const run of runs) {
      await mkdir(target);
      expectDone(await bench.run(bench.restoreOrders({ tenant, snapshotId: run.result!.backup!.snapshotId, volumes: volume(target), attempt: attempt(`r${runs.indexOf(run)}`) })));
      expect(compareTrees(data, target)).toEqual([]);
      await rm(target, { recursive: true });
    }
  });

  it('forgets by uid what no result told of, and has nothing to forget for a tenant that never stored anything', async () => {
    const tenant = newTenant();
    const backup = await bench.run(bench.backupOrders({ tenant, volumes: volume(data), attempt: attempt('lost') }));

    const forget = await bench.run(bench.forgetOrders({ tenant, uids: ['lost', 'never'], attempt: attempt('f1') }));
    const again = await bench.run(bench.forgetOrders({ tenant, uids: ['lost'], attempt: attempt('f2') }));
    const nothing = await bench.run(bench.forgetOrders({ tenant: newTenant(), uids: ['lost'], attempt: attempt('f3') }));

    expect(forget.result!.forget!.removed).toEqual([backup.result!.backup!.snapshotId]);
    expect([again, nothing].map((run) => run.result!.forget!.removed)).toEqual([[], []]);
  });

  it('never lets a secret out', async () => {
    const tenant = newTenant();
    const backup = await bench.run(bench.backupOrders({ tenant, volumes: volume(data), attempt: attempt('b1') }));
    const refused = await bench.run(bench.backupOrders({ tenant, volumes: volume(data), attempt: attempt('b2') }), {
      ...bench.credentials(),
      s3: { accessKeyId: bench.s3.accessKeyId, secretAccessKey: 'not-the-right-secret' },
    });

    for (const { everything } of [backup, refused]) {
      expect(everything).not.toMatch(/tbk1-/i);
      for (const secret of [bench.s3.secretAccessKey, bench.kmsA.secretAccessKey, 'not-the-right-secret']) expect(everything).not.toContain(secret);
    }
  });
});
