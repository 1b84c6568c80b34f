// A policy on a schedule of every minute, on the real cluster, with nobody watching: backups are made, rotate, and come back whole.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { CLUSTER } from '../ground/layout.ts';
import { keysBelow, tenantIdOf } from '../support/bucket.ts';
import { apply, conditionOf, create, getObject, kubectl, listObjects, waitFor, waitForCondition, waitForPhase, type StatusLike } from '../support/cluster.ts';
import { backupObject, locationObjects, makeCustomer, removeCustomer, restoreObject } from '../support/customer.ts';
import { killOperators } from '../support/kills.ts';

const NAMESPACE = 'e2e-automatic';
const KEEP = 1;
const directory = join(CLUSTER, 'e2e', NAMESPACE);
const SCHEDULE = { schedule: '* * * * *', timeZone: 'Europe/Berlin', startingDeadline: '50s', keep: KEEP };

async function automatic(): Promise<StatusLike[]> {
  const all = await listObjects<StatusLike>('bk', NAMESPACE);
  return all.filter(({ metadata }) => /^minutely-\d{12}$/.test(metadata.name));
}

beforeAll(async () => {
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, 'file'), randomBytes(1 << 20));
  await apply(locationObjects(NAMESPACE, { movers: 4 }));
  await waitForCondition('bl', NAMESPACE, undefined, { type: 'Ready', status: 'True' });
  await makeCustomer({ namespace: NAMESPACE, location: NAMESPACE, volumes: { data: directory }, workload: 'app', policy: 'minutely', policySpec: { quota: { maxBackups: 1 }, automatic: SCHEDULE } });
  await waitForCondition('bp', 'minutely', NAMESPACE, { type: 'Ready', status: 'True' });
});

afterAll(async () => {
  await removeCustomer(NAMESPACE, ['data']);
  await kubectl(['delete', 'bl', NAMESPACE, '--ignore-not-found']);
  rmSync(directory, { recursive: true, force: true });
});

describe('a policy with a schedule', () => {
  it('runs unattended with the quota full, though both operators are killed, and rotates', async () => {
    await create([backupObject(NAMESPACE, 'manual', 'minutely')]);
    await waitForPhase('bk', 'manual', NAMESPACE, ['Stored'], 60);
    expect((await getObject<StatusLike>('bp', 'minutely', NAMESPACE))?.status).toMatchObject({ quota: { display: '1/1' }, automatic: { nextRun: expect.stringMatching(/:00Z$/) } });

    await waitFor('the first automatic backup', 75, async () => (await automatic()).some(({ status }) => status?.phase === 'Stored') || undefined);
    await killOperators();
    // Made by operators that remember nothing, the next one lets the first go.
    const first = (await automatic())[0]?.metadata.name ?? '';
    await waitFor('the first to rotate out', 160, async () => (await getObject('bk', first, NAMESPACE)) === undefined || undefined);

    const seen = await automatic();
    const minutes = seen.map(({ metadata }) => metadata.name).sort();
    expect(new Set(minutes).size).toBe(minutes.length);
    expect(seen.filter(({ status }) => status?.phase === 'Failed')).toEqual([]);
    expect((await getObject<StatusLike>('bk', 'manual', NAMESPACE))?.status?.phase).toBe('Stored');
    const policy = await getObject<StatusLike>('bp', 'minutely', NAMESPACE);
    expect(conditionOf(policy, 'Protected')).toMatchObject({ status: 'True' });
    expect(conditionOf(policy, 'Scheduled')).toMatchObject({ status: 'True' });
    expect(await kubectl(['get', 'events', '-n', NAMESPACE, '-o', 'jsonpath={.items[*].reason}'])).toMatch(/BackupCreated.*Rotated|Rotated.*BackupCreated/);
  }, 300_000);

  it('stops when it is suspended; what was made comes back whole, and nothing is left over', async () => {
    await kubectl(['patch', 'bp', 'minutely', '-n', NAMESPACE, '--type=merge', '-p', '{"spec":{"automatic":{"suspend":true}}}']);
    await waitForCondition('bp', 'minutely', NAMESPACE, { type: 'Scheduled', status: 'False', reason: 'Suspended' }, 10);
    await waitFor('all to be stored', 60, async () => (await automatic()).every(({ status }) => status?.phase === 'Stored') || undefined);
    await waitFor('as many as are to be kept', 60, async () => (await automatic()).length === KEEP || undefined);
    const kept = await automatic();
    const before = await kubectl(['exec', 'deploy/app', '-n', NAMESPACE, '--', 'sha256sum', '/data/data/file']);
    writeFileSync(join(directory, 'file'), randomBytes(1 << 20));
    await create([restoreObject(NAMESPACE, 'back', kept[0]?.metadata.name ?? '')]);
    await waitForPhase('brs', 'back', NAMESPACE, ['Succeeded'], 90);
    await waitFor('the workload', 60, async () => (await getObject<StatusLike>('deploy', 'app', NAMESPACE))?.status?.['readyReplicas'] === 1 || undefined);
    expect(await kubectl(['exec', 'deploy/app', '-n', NAMESPACE, '--', 'sha256sum', '/data/data/file'])).toBe(before);

    const snapshots = (await keysBelow(`${NAMESPACE}/tenants/${await tenantIdOf(NAMESPACE)}/g1`)).filter((key) => key.startsWith('snapshots/'));
    // Manual, two automatic, the safety backup.
    expect(snapshots).toHaveLength(KEEP + 2);
    await waitFor('no Job or Secret to be left', 30, async () => (await kubectl(['get', 'jobs,secrets', '-n', NAMESPACE, '-l', 'app.kubernetes.io/managed-by=tenant-backup', '-o', 'name'])) === '' || undefined);
  }, 240_000);
});
