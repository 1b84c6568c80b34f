// A Restore in place on the real cluster: every byte back, the workload's scale too, and the state before in a safety backup.
import { appendFileSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { CLUSTER } from '../ground/layout.ts';
import { run } from '../ground/run.ts';
import { openBucket, tenantIdOf } from '../support/bucket.ts';
import { apply, conditionOf, getObject, kubectl, waitFor, waitForCondition, waitForPhase, type StatusLike } from '../support/cluster.ts';
import { compareTrees } from '../support/compare-tree.ts';
import { backupObject, locationObjects, makeCustomer, removeCustomer, restoreObject } from '../support/customer.ts';
import { buildTree } from '../support/seeded-tree.ts';

const LOCATION = 'e2e-restore';
const ENDS = ['Succeeded', 'Failed', 'Cancelled'];

function directoryOf(namespace: string): string {
  return join(CLUSTER, 'e2e', namespace);
}

async function customer(namespace: string, location: string): Promise<string> {
  const directory = directoryOf(namespace);
  rmSync(directory, { recursive: true, force: true });
  buildTree(directory, { seed: 11, files: 60 });
  await makeCustomer({ namespace, location, volumes: { data: directory }, workload: 'app' });
  await waitForCondition('bp', 'daily', namespace, { type: 'Ready', status: 'True' });
  await kubectl(['rollout', 'status', 'deployment/app', '-n', namespace, '--timeout=60s']);
  await apply([backupObject(namespace, 'first', 'daily')]);
  await waitForPhase('bk', 'first', namespace, ['Stored']);
  return directory;
}

async function replicas(namespace: string): Promise<string> {
  return kubectl(['get', 'deployment', 'app', '-n', namespace, '-o', 'jsonpath={.spec.replicas}']);
}

async function aside(directory: string, name: string): Promise<string> {
  const copy = `${directory}-${name}`;
  rmSync(copy, { recursive: true, force: true });
  await run('cp', ['--archive', directory, copy]);
  return copy;
}

beforeAll(async () => {
  mkdirSync(join(CLUSTER, 'e2e'), { recursive: true });
  await apply(locationObjects(LOCATION));
  await waitForCondition('bl', LOCATION, undefined, { type: 'Ready', status: 'True' });
});

afterAll(async () => {
  await Promise.all(['e2e-restore', 'e2e-refused', 'e2e-stopped'].map((namespace) => removeCustomer(namespace, ['data'])));
  await kubectl(['delete', 'bl', LOCATION, '--ignore-not-found']);
  for (const namespace of ['e2e-restore', 'e2e-refused', 'e2e-stopped']) {
    for (const tail of ['', '-before', '-damaged']) rmSync(directoryOf(namespace) + tail, { recursive: true, force: true });
  }
});

describe('a Restore in place', () => {
  let directory = '';
  let before = '';
  let damaged = '';

  beforeAll(async () => {
    directory = await customer('e2e-restore', LOCATION);
    before = await aside(directory, 'before');
    rmSync(join(directory, 'files/module-000/part-0'), { recursive: true, force: true });
    writeFileSync(join(directory, 'ransom-note.txt'), 'Pay.\n');
    appendFileSync(join(directory, 'ledger.csv'), 'forged\n');
    damaged = await aside(directory, 'damaged');
  });

  it('brings every byte, mode, owner, link and time back, and the scale', async () => {
    expect(compareTrees(before, directory)).not.toEqual([]);
    await apply([restoreObject('e2e-restore', 'back', 'first')]);
    const restore = await waitForPhase('brs', 'back', 'e2e-restore', ENDS, 120);
    expect(conditionOf(restore, 'Succeeded')).toMatchObject({ status: 'True', reason: 'Restored' });
    expect(compareTrees(before, directory)).toEqual([]);
    expect(await replicas('e2e-restore')).toBe('1');
    const workload = restore.status?.['workload'] as { replicasBefore: number; scaledDown: boolean };
    expect(workload).toMatchObject({ replicasBefore: 1, scaledDown: false });
    await waitFor('its Jobs to be gone', 15, async () => (await kubectl(['get', 'jobs,secrets', '-n', 'e2e-restore', '-o', 'name'])) === '');
  });

  it('can be undone: the safety backup brings the damage back', async () => {
    const done = await getObject<StatusLike>('brs', 'back', 'e2e-restore');
    const safety = String(done?.status?.['safetyBackup']);
    expect((await getObject<StatusLike>('bk', safety, 'e2e-restore'))?.spec?.['trigger']).toBe('Safety');
    await apply([restoreObject('e2e-restore', 'undo', safety)]);
    const restore = await waitForPhase('brs', 'undo', 'e2e-restore', ENDS, 120);
    expect(restore.status?.phase).toBe('Succeeded');
    expect(compareTrees(damaged, directory)).toEqual([]);
  });

  it('restores nothing while a foreign pod uses the volume, and names it', async () => {
    await kubectl(['patch', 'bp', 'daily', '-n', 'e2e-restore', '--type=json', '-p', '[{"op":"remove","path":"/spec/workload"}]']);
    await kubectl(['wait', 'deployment/app', '-n', 'e2e-restore', '--for=condition=Available', '--timeout=60s']);
    await apply([restoreObject('e2e-restore', 'blocked', 'first')]);
    const condition = await waitForCondition('brs', 'blocked', 'e2e-restore', { type: 'Succeeded', status: 'Unknown', reason: 'VolumesInUse' });
    expect(condition.message).toMatch(/Pod app-\S+ still uses volume data/);
    await kubectl(['patch', 'brs', 'blocked', '-n', 'e2e-restore', '--type=merge', '-p', '{"spec":{"cancel":true}}']);
    expect((await waitForPhase('brs', 'blocked', 'e2e-restore', ENDS)).status?.phase).toBe('Cancelled');
    expect(compareTrees(damaged, directory)).toEqual([]);
  });
});

describe('a Restore whose safety backup fails (invariant 7)', () => {
  it('restores nothing, says why, and scales up again', async () => {
    const directory = await customer('e2e-refused', LOCATION);
    writeFileSync(join(directory, 'new-work.txt'), 'not in any backup yet\n');
    const before = await aside(directory, 'before');
    // The wrapped keys are gone, so the mover cannot open the repository: a backup fails, and a restore would too.
    const bucket = await openBucket(`${LOCATION}/tenants/${await tenantIdOf('e2e-refused')}/g1/wrappings`);
    for await (const { key } of bucket.list('')) if (key !== 'first.json') await bucket.delete(key);
    await bucket.close();
    await apply([restoreObject('e2e-refused', 'back', 'first')]);
    const restore = await waitForPhase('brs', 'back', 'e2e-refused', ENDS, 120);
    expect(restore.status?.phase).toBe('Failed');
    expect(conditionOf(restore, 'Succeeded')).toMatchObject({ reason: 'SafetyBackupFailed', message: expect.stringMatching(/nothing was restored/) });
    expect(compareTrees(before, directory)).toEqual([]);
    expect(await replicas('e2e-refused')).toBe('1');
  });
});

describe('a Restore that is deleted while it runs', () => {
  it('stops, scales up and goes', async () => {
    await customer('e2e-stopped', LOCATION);
    await apply([restoreObject('e2e-stopped', 'back', 'first')]);
    await waitForPhase('brs', 'back', 'e2e-stopped', ['SafetyBackup', 'Restoring'], 60);
    await kubectl(['delete', 'brs', 'back', '-n', 'e2e-stopped', '--timeout=60s']);
    expect(await replicas('e2e-stopped')).toBe('1');
    await waitFor('its Jobs to be gone', 15, async () => (await kubectl(['get', 'jobs', '-n', 'e2e-stopped', '-o', 'name'])) === '');
  });
});
