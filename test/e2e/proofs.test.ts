// What is stored is proven restorable, damage is found and named, and what is asked for by time comes back into new volumes, all on the real
// cluster; and how long a small backup takes, and how much it asks of the API server.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { openBucket, tenantIdOf } from '../support/bucket.ts';
import { GROUP_VERSION, SYSTEM_NAMESPACE, apply, conditionOf, create, environment, getObject, kubectl, listObjects, waitFor, waitForCondition, waitForPhase, type StatusLike } from '../support/cluster.ts';
import { backupObject, locationObjects, namespaceObject, policyObject, workloadObject } from '../support/customer.ts';

const NAMESPACE = 'e2e-proofs';
const POLICY = 'daily';
const env = (name: string): string => environment()[name] ?? '';

async function inPod(workload: string, script: string): Promise<string> {
  return kubectl(['exec', '-n', NAMESPACE, `deployment/${workload}`, '--', 'sh', '-euc', script]);
}

async function rolledOut(workload: string): Promise<void> {
  await kubectl(['rollout', 'status', `deployment/${workload}`, '-n', NAMESPACE, '--timeout=90s']);
}

/** @returns the seconds that it took from the request until it was seen to be stored */
async function stored(name: string, policy = POLICY): Promise<number> {
  const startedAt = performance.now();
  await create([backupObject(NAMESPACE, name, policy)]);
  await waitForPhase('bk', name, NAMESPACE, ['Stored'], 90);
  return (performance.now() - startedAt) / 1000;
}

async function policy(name = POLICY): Promise<StatusLike | undefined> {
  return getObject<StatusLike>('bp', name, NAMESPACE);
}

function claim(name: string): object {
  return { apiVersion: 'v1', kind: 'PersistentVolumeClaim', metadata: { name, namespace: NAMESPACE }, spec: { accessModes: ['ReadWriteOnce'], storageClassName: env('STORAGE_CLASS_IMMEDIATE'), resources: { requests: { storage: '64Mi' } } } };
}

/** Turns a bit of each pack over, or back. */
async function flipPacks(): Promise<number> {
  const store = await openBucket(`${NAMESPACE}/tenants/${await tenantIdOf(NAMESPACE)}/g1`);
  try {
    const keys: string[] = [];
    for await (const { key } of store.list('data/')) keys.push(key);
    for (const key of keys) {
      const bytes = Uint8Array.from(await store.get(key));
      bytes[20] = (bytes[20] ?? 0) ^ 1;
      await store.delete(key);
      await store.put(key, bytes);
    }
    return keys.length;
  } finally {
    await store.close();
  }
}

type Requests = ReadonlyMap<string, number>;

/** What the operators asked of the API server since they were started, by method and resource, without the lease and the watches. */
async function requestsAsked(): Promise<Requests> {
  const pods = (await kubectl(['get', 'pods', '-n', SYSTEM_NAMESPACE, '-l', 'app.kubernetes.io/component=operator', '-o', 'jsonpath={.items[*].metadata.name}'])).split(' ').filter(Boolean);
  const asked = new Map<string, number>();
  for (const pod of pods) {
    const page = await kubectl(['get', '--raw', `/api/v1/namespaces/${SYSTEM_NAMESPACE}/pods/${pod}:9090/proxy/metrics`]);
    for (const [, method = '', resource = '', count] of page.matchAll(/^tenant_backup_api_requests_total\{method="(\w+)",resource="([^"]*)",status="\d*"\} (\d+)$/gm)) {
      if (resource !== 'leases') asked.set(`${method} ${resource}`, (asked.get(`${method} ${resource}`) ?? 0) + Number(count));
    }
  }
  return asked;
}

/** How many more there are of each, for one of `backups`. */
function more(before: Requests, after: Requests, backups: number): readonly (readonly [string, number])[] {
  const grown = [...after].map(([what, count]) => [what, (count - (before.get(what) ?? 0)) / backups] as const);
  return grown.filter(([, count]) => count > 0).sort(([, a], [, b]) => b - a);
}

beforeAll(async () => {
  await apply([...locationObjects(NAMESPACE, { movers: 4 }), namespaceObject(NAMESPACE), claim('data'), claim('more'), workloadObject(NAMESPACE, 'app', ['data', 'more'])]);
  await waitForCondition('bl', NAMESPACE, undefined, { type: 'Ready', status: 'True' });
  const spec = { location: NAMESPACE, quota: { maxBackups: 100 }, confirmDeletionsFrom: 1000, snapshotClassName: env('VOLUME_SNAPSHOT_CLASS') };
  await apply([
    policyObject(NAMESPACE, POLICY, { ...spec, volumes: ['data'], copyMethod: 'Direct' }),
    policyObject(NAMESPACE, 'cut', { ...spec, volumes: ['data'], copyMethod: 'Snapshot', verification: { suspend: true } }),
    policyObject(NAMESPACE, 'pair', { ...spec, volumes: ['data', 'more'], copyMethod: 'Snapshot', verification: { suspend: true } }),
  ]);
  await rolledOut('app');
  for (const name of [POLICY, 'cut', 'pair']) await waitForCondition('bp', name, NAMESPACE, { type: 'Ready', status: 'True' });
  await inPod('app', 'head -c 1048576 /dev/urandom > /data/data/file; head -c 1048576 /dev/urandom > /data/more/file; echo first > /data/data/state');
}, 180_000);

afterAll(async () => {
  await kubectl(['delete', 'namespace', NAMESPACE, '--ignore-not-found', '--timeout=120s']);
  await kubectl(['delete', 'bl', NAMESPACE, '--ignore-not-found']);
}, 180_000);

describe('a backup of 1 MiB', () => {
  it.each([
    ['Direct', POLICY, 5, 25],
    ['Snapshot', 'cut', 8, 35],
    ['Snapshot of two volumes', 'pair', 8, 40],
  ])('by copy method %s is stored soon, and asks little of the API server', async (_, name, seconds, most) => {
    // The first one makes the tenant's repository.
    await stored(`warm-${name}`, name);
    await waitFor('its Job and Secret to go', 30, async () => (await kubectl(['get', 'jobs,secrets', '-A', '-l', 'app.kubernetes.io/managed-by=tenant-backup', '-o', 'name'])) === '');
    const before = await requestsAsked();
    const took: number[] = [];
    for (const n of [1, 2, 3]) {
      took.push(await stored(`${name}-${n}`, name));
      await waitFor('its Job and Secret to go', 30, async () => (await kubectl(['get', 'jobs,secrets', '-A', '-l', 'app.kubernetes.io/managed-by=tenant-backup', '-o', 'name'])) === '');
    }
    const grown = more(before, await requestsAsked(), took.length);
    const requests = grown.reduce((sum, [, count]) => sum + count, 0);
    process.stderr.write(`${name}: stored after ${took.map((each) => each.toFixed(1)).join(', ')} s; ${requests.toFixed(1)} requests a backup: ${grown.map(([what, count]) => `${count.toFixed(1)} ${what}`).join(', ')}\n`);
    expect(requests).toBeLessThanOrEqual(most);
    // Of a machine that does other things too only the best is a measure; what is promised, of one that does not, is half of this.
    expect(Math.min(...took)).toBeLessThanOrEqual(seconds * 2);
  }, 240_000);
});

describe('what is stored', () => {
  it('comes back as it was at a time, or as the newest backup has it, into volumes beside the customer’s', async () => {
    await inPod('app', 'echo before > /data/data/state');
    await stored('before');
    const between = new Date(Date.parse(String((await getObject<StatusLike>('bk', 'before', NAMESPACE))?.status?.['completedAt'])) + 1000).toISOString().replace(/\.\d+Z$/, 'Z');
    await new Promise((resolve) => setTimeout(resolve, 2500));
    await inPod('app', 'echo after > /data/data/state');
    await stored('after');

    const restore = (name: string, source: object): object => ({ apiVersion: GROUP_VERSION, kind: 'Restore', metadata: { name, namespace: NAMESPACE }, spec: { source: { policy: POLICY, ...source }, target: { type: 'NewVolume', newVolume: { name: `${name}-{claim}` } } } });
    await create([restore('then', { asOf: between }), restore('now', { newest: true })]);
    const [then, now] = await Promise.all(['then', 'now'].map((name) => waitForPhase('brs', name, NAMESPACE, ['Succeeded', 'Failed'], 120)));
    expect([then?.status?.['backup'], now?.status?.['backup']]).toEqual(['before', 'after']);
    await apply([workloadObject(NAMESPACE, 'reader', ['then-data', 'now-data'])]);
    await rolledOut('reader');
    expect(await inPod('reader', 'cat /data/then-data/state /data/now-data/state')).toBe('before\nafter');
    expect(await inPod('reader', 'sha256sum < /data/now-data/file')).toBe(await inPod('app', 'sha256sum < /data/data/file'));
    expect(await inPod('app', 'cat /data/data/state')).toBe('after');
    await kubectl(['delete', 'deployment', 'reader', '-n', NAMESPACE]);
    await kubectl(['delete', 'pvc', 'then-data', 'now-data', '-n', NAMESPACE, '--timeout=60s']);
  }, 240_000);

  it('is verified on a schedule; damage is found, named, and seen to be mended', async () => {
    const verification = { interval: '1m', readDataPercent: 100, sampleFiles: 5, scratchSize: '64Mi' };
    await kubectl(['patch', 'bp', POLICY, '-n', NAMESPACE, '--type=merge', '-p', JSON.stringify({ spec: { verification } })]);
    await waitForCondition('bp', POLICY, NAMESPACE, { type: 'Verified', status: 'True', reason: 'Sound' }, 180);
    const sound = await policy();
    expect(conditionOf(sound, 'Verified')?.message).toMatch(/restored and are as they were/);
    expect(sound?.status?.['lastVerified']).toBeDefined();
    expect(sound?.status?.['verification']).toMatchObject({ part: '1/1', filesCompared: 2 });

    expect(await flipPacks()).toBeGreaterThan(0);
    await waitForCondition('bp', POLICY, NAMESPACE, { type: 'Verified', status: 'False', reason: 'DamageFound' }, 180);
    const damaged = await policy();
    expect(conditionOf(damaged, 'Verified')?.message).toMatch(/cannot be restored whole: /);
    const { damagedBackups = [], damagedPacks = [] } = damaged?.status?.['verification'] as { damagedBackups?: string[]; damagedPacks?: string[] };
    expect(damagedPacks.length).toBeGreaterThan(3);
    expect(damagedBackups.join(' ')).toMatch(/before \(.*after \(|after \(.*before \(/);
    expect((await listObjects<{ reason: string }>('events', NAMESPACE)).map(({ reason }) => reason)).toContain('DamageFound');

    await flipPacks();
    await waitForCondition('bp', POLICY, NAMESPACE, { type: 'Verified', status: 'True', reason: 'Sound' }, 180);
    await kubectl(['patch', 'bp', POLICY, '-n', NAMESPACE, '--type=merge', '-p', '{"spec":{"verification":{"suspend":true}}}']);
    await waitFor('no Job to be left', 60, async () => (await kubectl(['get', 'jobs,secrets', '-n', NAMESPACE, '-l', 'app.kubernetes.io/managed-by=tenant-backup', '-o', 'name'])) === '');
  }, 700_000);
});
