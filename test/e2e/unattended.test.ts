// The bookable module on real CSI snapshots with nobody watching, though operators and movers die in between: each scheduled time has its
// backup, as many as are to be kept stay, and of the others nothing is left anywhere. UNATTENDED_RUNS=10 runs ten of them two minutes apart.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { keysBelow, tenantIdOf } from '../support/bucket.ts';
import { SYSTEM_NAMESPACE, apply, conditionOf, create, environment, getObject, kubectl, listObjects, waitFor, waitForCondition, waitForPhase, type StatusLike } from '../support/cluster.ts';
import { locationObjects, namespaceObject, policyObject, restoreObject, workloadObject } from '../support/customer.ts';
import { killMovers, killOperators } from '../support/kills.ts';
import { heldByDriver, nothingIsLeft } from '../support/leftovers.ts';

const NAMESPACE = 'e2e-unattended';
const MOVERS = `${SYSTEM_NAMESPACE}-movers`;
const POLICY = 'nightly';
const KEEP = 2;
const RUNS = Number(process.env['UNATTENDED_RUNS'] ?? 4);
/** Two minutes apart is what is asked for; one minute fits into everybody's day. */
const MINUTES = process.env['UNATTENDED_RUNS'] === undefined ? 1 : 2;
const AUTOMATIC = { schedule: `*/${MINUTES} * * * *`, timeZone: 'Europe/Berlin', startingDeadline: `${MINUTES * 60 - 10}s`, keep: KEEP };

/** What becomes of the n-th run, and of operators just before the next. */
const VIOLENCE = ['operator at the start', 'mover', 'operator before the start', 'operator and mover'] as const;

const env = (name: string): string => environment()[name] ?? '';

async function inPod(script: string): Promise<string> {
  return kubectl(['exec', '-n', NAMESPACE, 'deployment/app', '--', 'sh', '-euc', script]);
}

async function runs(): Promise<StatusLike[]> {
  return (await listObjects<StatusLike>('bk', NAMESPACE)).filter(({ metadata }) => metadata.name.startsWith(`${POLICY}-`));
}

/** The minute that is in its name. */
function slotOf(name: string): number {
  const [, year, month, day, hour, minute] = /-(\d{4})(\d{2})(\d{2})(\d{2})(\d{2})$/.exec(name) ?? [];
  return Date.parse(`${year}-${month}-${day}T${hour}:${minute}:00Z`);
}

async function moverOrEnd(name: string): Promise<void> {
  await waitFor(`a mover of ${name}, or its end`, 60, async () => (await kubectl(['get', 'pods', '-n', MOVERS, '-o', 'name'])) !== '' || (await getObject<StatusLike>('bk', name, NAMESPACE))?.status?.phase === 'Stored');
}

async function disturb(name: string, how: (typeof VIOLENCE)[number] | undefined): Promise<void> {
  if (how === 'operator at the start') await killOperators();
  if (how === 'mover' || how === 'operator and mover') {
    await moverOrEnd(name);
    await killMovers(MOVERS);
    if (how === 'operator and mover') await killOperators();
  }
}

let atRest: readonly string[] = [];

beforeAll(async () => {
  await apply([
    ...locationObjects(NAMESPACE, { movers: 4 }),
    namespaceObject(NAMESPACE),
    { apiVersion: 'v1', kind: 'PersistentVolumeClaim', metadata: { name: 'data', namespace: NAMESPACE }, spec: { accessModes: ['ReadWriteOnce'], storageClassName: env('STORAGE_CLASS_IMMEDIATE'), resources: { requests: { storage: '64Mi' } } } },
    workloadObject(NAMESPACE, 'app', ['data']),
  ]);
  await kubectl(['rollout', 'status', 'deployment/app', '-n', NAMESPACE, '--timeout=90s']);
  await inPod('head -c 1000000 /dev/urandom > /data/data/file');
  await waitForCondition('bl', NAMESPACE, undefined, { type: 'Ready', status: 'True' });
  atRest = heldByDriver();
  await apply([policyObject(NAMESPACE, POLICY, { location: NAMESPACE, workload: { kind: 'Deployment', name: 'app' }, snapshotClassName: env('VOLUME_SNAPSHOT_CLASS'), automatic: AUTOMATIC })]);
}, 180_000);

afterAll(async () => {
  await kubectl(['delete', 'bp', '--all', '-n', NAMESPACE, '--ignore-not-found']);
  await kubectl(['delete', 'namespace', NAMESPACE, '--ignore-not-found', '--timeout=120s']);
  await kubectl(['delete', 'bl', NAMESPACE, '--ignore-not-found']);
}, 180_000);

describe('a policy on a schedule, by way of CSI snapshots', () => {
  it(`makes ${RUNS} backups ${MINUTES} minutes apart, whoever dies, and keeps ${KEEP}`, async () => {
    const seen = new Map<string, { attempts: number; method: unknown }>();
    for (let n = 0; n < RUNS; n++) {
      const fresh = await waitFor(`run ${n + 1} of ${RUNS}`, MINUTES * 60 + 45, async () => (await runs()).map(({ metadata }) => metadata.name).find((name) => !seen.has(name)));
      const how = VIOLENCE[n % VIOLENCE.length];
      await disturb(fresh, how);
      const done = await waitForPhase('bk', fresh, NAMESPACE, ['Stored', 'Failed', 'Cancelled'], 120);
      expect({ fresh, phase: done.status?.phase, why: conditionOf(done, 'Stored')?.message }).toMatchObject({ phase: 'Stored' });
      seen.set(fresh, { attempts: Number(done.status?.['attempt']), method: done.status?.['copyMethod'] });
      process.stderr.write(`${fresh}: stored ${((Date.now() - slotOf(fresh)) / 1000).toFixed(0)} s after its minute, attempt ${Number(done.status?.['attempt'])}, disturbed: ${how ?? 'no'}\n`);
      if (how === 'operator before the start' && n + 1 < RUNS) {
        await sleep(Math.max(0, slotOf(fresh) + MINUTES * 60_000 - Date.now() - 1500));
        await killOperators();
      }
    }
    await kubectl(['patch', 'bp', POLICY, '-n', NAMESPACE, '--type=merge', '-p', '{"spec":{"automatic":{"suspend":true}}}']);

    const slots = [...seen.keys()].map(slotOf);
    expect(slots.slice(1).map((slot, index) => (slot - (slots[index] ?? 0)) / 60_000)).toEqual(slots.slice(1).map(() => MINUTES));
    expect([...seen.values()].map(({ method }) => method)).toEqual([...seen].map(() => 'Snapshot'));
    expect((await getObject<StatusLike>('bp', POLICY, NAMESPACE))?.status?.['automatic']).not.toHaveProperty('lastMissed');
  }, (RUNS * MINUTES + 6) * 60_000);

  it('leaves nothing but what is kept, in the cluster, at the driver and in the bucket, and that comes back whole', async () => {
    await waitFor('all to be stored', 90, async () => (await runs()).every(({ status }) => status?.phase === 'Stored') || undefined);
    await waitFor('as many as are to be kept', 60, async () => (await runs()).length === KEEP || undefined);
    await nothingIsLeft({ namespace: NAMESPACE, moverNamespace: MOVERS, atRest });
    expect(await kubectl(['get', 'jobs,secrets', '-n', NAMESPACE, '-l', 'app.kubernetes.io/managed-by=tenant-backup', '-o', 'name'])).toBe('');
    const objects = await keysBelow(`${NAMESPACE}/tenants/${await tenantIdOf(NAMESPACE)}/g1`);
    expect(objects.filter((key) => key.startsWith('snapshots/'))).toHaveLength(KEEP);
    expect(new Set(objects.filter((key) => key.startsWith('manifests/')).map((key) => key.split('/')[1])).size).toBe(KEEP);
    expect(objects.filter((key) => key.startsWith('locks/'))).toEqual([]);

    const sum = await inPod('sha256sum /data/data/file');
    const oldest = (await runs()).map(({ metadata }) => metadata.name).sort()[0] ?? '';
    await inPod('head -c 1000000 /dev/urandom > /data/data/file; touch /data/data/new');
    await create([restoreObject(NAMESPACE, 'back', oldest)]);
    await waitForPhase('brs', 'back', NAMESPACE, ['Succeeded'], 120);
    await kubectl(['rollout', 'status', 'deployment/app', '-n', NAMESPACE, '--timeout=90s']);
    expect(await inPod('sha256sum /data/data/file; ls /data/data | grep new || true')).toBe(sum);
    await nothingIsLeft({ namespace: NAMESPACE, moverNamespace: MOVERS, atRest });
  }, 360_000);
});
