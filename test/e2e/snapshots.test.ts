// Backups by way of real CSI snapshots, groups and clones, with operators and movers killed in between: what is stored is one moment,
// and nothing is left of it in the cluster and at the driver.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { snapshotClassObject } from '../ground/csi/classes.ts';
import { SYSTEM_NAMESPACE, apply, conditionOf, create, environment, getObject, kubectl, listObjects, waitFor, waitForCondition, waitForPhase, type StatusLike } from '../support/cluster.ts';
import { backupObject, locationObjects, namespaceObject, policyObject, restoreObject, workloadObject } from '../support/customer.ts';
import { killMovers, killOperators } from '../support/kills.ts';
import { heldByDriver, nothingIsLeft as nothingOfCopiesIsLeft } from '../support/leftovers.ts';

const NAMESPACE = 'e2e-snapshots';
const MOVERS = `${SYSTEM_NAMESPACE}-movers`;
const RETAIN = 'e2e-snapshots-retain';
const REFUSING = 'e2e-snapshots-refusing';
const env = (name: string): string => environment()[name] ?? '';

function claim(name: string, storageClassName: string, accessMode = 'ReadWriteOnce'): object {
  return { apiVersion: 'v1', kind: 'PersistentVolumeClaim', metadata: { name, namespace: NAMESPACE }, spec: { accessModes: [accessMode], storageClassName, resources: { requests: { storage: '64Mi' } } } };
}

async function inPod(workload: string, script: string): Promise<string> {
  return kubectl(['exec', '-n', NAMESPACE, `deployment/${workload}`, '--', 'sh', '-euc', script]);
}

async function rolledOut(workload: string): Promise<void> {
  await kubectl(['rollout', 'status', `deployment/${workload}`, '-n', NAMESPACE, '--timeout=90s']);
}

let atRest: readonly string[] = [];
const nothingIsLeft = (nudge?: () => Promise<unknown>): Promise<void> => nothingOfCopiesIsLeft({ namespace: NAMESPACE, moverNamespace: MOVERS, atRest, ...(nudge && { nudge }) });

async function stored(name: string, policy: string, seconds = 90): Promise<StatusLike> {
  await create([backupObject(NAMESPACE, name, policy)]);
  const done = await waitForPhase('bk', name, NAMESPACE, ['Stored', 'Failed'], seconds);
  expect({ name, phase: done.status?.phase, why: conditionOf(done, 'Stored')?.message }).toMatchObject({ phase: 'Stored' });
  return done;
}

beforeAll(async () => {
  await apply([
    ...locationObjects(NAMESPACE, { movers: 4 }),
    namespaceObject(NAMESPACE),
    { ...snapshotClassObject(RETAIN), deletionPolicy: 'Retain' },
    snapshotClassObject(REFUSING, { refuse: 'no space for snapshots' }),
    { apiVersion: 'storage.k8s.io/v1', kind: 'StorageClass', metadata: { name: RETAIN }, provisioner: env('CSI_DRIVER'), reclaimPolicy: 'Retain', volumeBindingMode: 'Immediate' },
    claim('data', env('STORAGE_CLASS_IMMEDIATE')),
    claim('logs', env('STORAGE_CLASS_IMMEDIATE')),
    claim('late', env('STORAGE_CLASS')),
    claim('kept', RETAIN),
    claim('alone', env('STORAGE_CLASS_IMMEDIATE'), 'ReadWriteOncePod'),
    workloadObject(NAMESPACE, 'app', ['data', 'logs', 'late', 'kept', 'alone']),
  ]);
  // One default, so that nothing is ambiguous; the others are named.
  await kubectl(['annotate', 'volumesnapshotclass', env('VOLUME_SNAPSHOT_CLASS'), 'snapshot.storage.kubernetes.io/is-default-class=true', '--overwrite']);
  await waitForCondition('bl', NAMESPACE, undefined, { type: 'Ready', status: 'True' });
  const policy = (name: string, volumes: readonly string[], spec: object = {}): object => policyObject(NAMESPACE, name, { location: NAMESPACE, volumes, quota: { maxBackups: 100 }, confirmDeletionsFrom: 1000, ...spec });
  await apply([
    policy('single', ['data'], { workload: { kind: 'Deployment', name: 'app' } }),
    policy('pair', ['data', 'logs']),
    policy('late', ['late', 'alone'], { groupSnapshot: 'Never' }),
    policy('retained', ['kept'], { snapshotClassName: RETAIN }),
    policy('clone', ['late'], { copyMethod: 'Clone' }),
    policy('refusing', ['data'], { snapshotClassName: REFUSING }),
  ]);
  await rolledOut('app');
  for (const name of ['single', 'pair', 'late', 'retained', 'clone']) await waitForCondition('bp', name, NAMESPACE, { type: 'Ready', status: 'True' });
  await inPod('app', 'for v in data logs late kept alone; do echo $v > /data/$v/name; head -c 1000000 /dev/urandom > /data/$v/file; chown -R 1234:99 /data/$v/file; done');
  atRest = heldByDriver();
}, 180_000);

afterAll(async () => {
  await kubectl(['delete', 'bp', '--all', '-n', NAMESPACE, '--ignore-not-found']);
  await kubectl(['delete', 'namespace', NAMESPACE, '--ignore-not-found', '--timeout=120s']);
  await kubectl(['delete', 'pv', '--ignore-not-found', ...(await kubectl(['get', 'pv', '-o', `jsonpath={range .items[?(@.spec.storageClassName=="${RETAIN}")]}{.metadata.name} {end}`])).split(/\s+/).filter(Boolean), 'none']);
  await kubectl(['delete', 'volumesnapshotclass', RETAIN, REFUSING, '--ignore-not-found']);
  await kubectl(['delete', 'storageclass', RETAIN, '--ignore-not-found']);
  await kubectl(['annotate', 'volumesnapshotclass', env('VOLUME_SNAPSHOT_CLASS'), 'snapshot.storage.kubernetes.io/is-default-class-']);
  await kubectl(['delete', 'bl', NAMESPACE, '--ignore-not-found']);
}, 240_000);

describe('a backup by way of copies, on a real driver', () => {
  it('is of one volume’s snapshot, read in the movers’ namespace, and restores what was there at that moment', async () => {
    const sum = await inPod('app', 'sha256sum /data/data/file /data/data/name');
    const startedAt = performance.now();
    const done = await stored('one', 'single');
    const seconds = (performance.now() - startedAt) / 1000;
    expect(done.status).toMatchObject({ copyMethod: 'Snapshot', moverNamespace: MOVERS, copies: [{ claim: 'data', method: 'Snapshot', className: env('VOLUME_SNAPSHOT_CLASS') }] });
    expect(conditionOf(done, 'SameInstant')).toMatchObject({ status: 'True', reason: 'OneVolume' });
    expect(conditionOf(done, 'Complete')).toMatchObject({ status: 'True' });
    process.stderr.write(`a snapshot of 1 MB was stored in ${seconds.toFixed(1)} s\n`);
    await nothingIsLeft();

    await inPod('app', 'head -c 2000000 /dev/urandom > /data/data/file; rm /data/data/name; touch /data/data/new');
    await create([restoreObject(NAMESPACE, 'back', 'one')]);
    await waitForPhase('brs', 'back', NAMESPACE, ['Succeeded'], 120);
    await rolledOut('app');
    expect(await inPod('app', 'sha256sum /data/data/file /data/data/name')).toBe(sum);
    await nothingIsLeft();
  }, 300_000);

  it('is of two volumes at one moment, while a pod writes to both', async () => {
    await inPod('app', 'nohup sh -c "i=0; while :; do i=\\$((i+1)); echo \\$i > /data/data/n.new; mv /data/data/n.new /data/data/n; echo \\$i > /data/logs/n.new; mv /data/logs/n.new /data/logs/n; done" >/dev/null 2>&1 & sleep 1');
    const done = await stored('two', 'pair');
    expect(conditionOf(done, 'SameInstant')).toMatchObject({ status: 'True', reason: 'GroupSnapshot' });
    expect(done.status).toMatchObject({ groupSnapshotClass: env('VOLUME_GROUP_SNAPSHOT_CLASS') });
    await nothingIsLeft();
    // Both come back as new volumes; their numbers differ by one at most.
    await create([restoreObject(NAMESPACE, 'two-back', 'two', { target: { type: 'NewVolume', newVolume: { name: '{claim}-back' } } })]);
    const back = await waitForPhase('brs', 'two-back', NAMESPACE, ['Succeeded', 'Failed'], 120);
    expect(back.status?.phase).toBe('Succeeded');
    const made = (await listObjects<StatusLike>('pvc', NAMESPACE)).map(({ metadata }) => metadata.name).filter((name) => /^(data|logs)-/.test(name)).sort();
    expect(made).toHaveLength(2);
    await apply([workloadObject(NAMESPACE, 'reader', made)]);
    await rolledOut('reader');
    const [first, second] = await Promise.all(made.map(async (name) => Number(await inPod('reader', `cat /data/${name}/n`))));
    expect(first).toBeGreaterThan(0);
    expect([first, (first ?? 0) - 1]).toContain(second);
    await kubectl(['delete', 'deployment', 'reader', '-n', NAMESPACE]);
    await kubectl(['delete', 'pvc', ...made, '-n', NAMESPACE, '--timeout=60s']);
    await inPod('app', 'pkill -f n.new || true').catch(() => '');
  }, 300_000);

  it.each([
    ['volumes that wait for their pod, one of them for a single pod', 'late', { copyMethod: 'Snapshot' }],
    ['classes that retain', 'retained', { copyMethod: 'Snapshot', copies: [{ className: RETAIN }] }],
    ['a clone', 'clone', { copyMethod: 'Clone' }],
  ])('of %s leaves nothing', async (_what, policy, expected) => {
    const done = await stored(`of-${policy}`, policy);
    expect(done.status).toMatchObject(expected);
    await nothingIsLeft();
  }, 240_000);

  it('says what the driver says when it refuses, and leaves nothing when it is cancelled', async () => {
    await create([backupObject(NAMESPACE, 'refused', 'refusing')]);
    await waitForCondition('bk', 'refused', NAMESPACE, { type: 'Stored', status: 'False', reason: 'SnapshotFailing' }, 60);
    expect(conditionOf(await getObject<StatusLike>('bk', 'refused', NAMESPACE), 'Stored')?.message).toContain('no space for snapshots');
    await kubectl(['patch', 'bk', 'refused', '-n', NAMESPACE, '--type=merge', '-p', '{"spec":{"cancel":true}}']);
    await waitForPhase('bk', 'refused', NAMESPACE, ['Cancelled'], 60);
    // A driver that may still cut the snapshot is asked until it has said yes or no; one that it cuts only now goes as well.
    await kubectl(['delete', 'volumesnapshotclass', REFUSING]);
    await apply([snapshotClassObject(REFUSING)]);
    // Both controllers ignore what they changed themselves: a snapshot that is cut when it was to go already, or that met the moment without the class, they
    // would look at again in a quarter of an hour, or when anybody else changes it.
    let look = 0;
    await nothingIsLeft(async () => {
      look += 1;
      await kubectl(['annotate', 'volumesnapshots', '--all', '-n', NAMESPACE, '--overwrite', `test.tenant-backup/look=${look}`]);
      await kubectl(['annotate', 'volumesnapshotcontents', '--all', '--overwrite', `test.tenant-backup/look=${look}`]);
      await sleep(2000);
    });
  }, 240_000);
});

/** In a second or two a backup is anywhere between its admission and its end. */
const MOMENTS = [300, 700, 1100, 1600, 2200, 3000];

describe('ten backups of which several lose their operator or mover', () => {
  it('all end stored, and nothing is left of any', async () => {
    let lost = 0;
    for (let n = 0; n < 10; n++) {
      const name = `run-${n}`;
      await create([backupObject(NAMESPACE, name, n % 2 === 0 ? 'single' : 'pair')]);
      await sleep(MOMENTS[n % MOMENTS.length] ?? 0);
      if (n % 3 === 0) await killOperators();
      if (n % 3 === 1) {
        await waitFor('a mover, or the end', 60, async () => (await kubectl(['get', 'pods', '-n', MOVERS, '-o', 'name'])) !== '' || (await getObject<StatusLike>('bk', name, NAMESPACE))?.status?.phase === 'Stored');
        await killMovers(MOVERS);
      }
      const done = await waitForPhase('bk', name, NAMESPACE, ['Stored', 'Failed'], 180);
      expect({ name, phase: done.status?.phase, why: conditionOf(done, 'Stored')?.message }).toMatchObject({ phase: 'Stored' });
      if (Number(done.status?.['attempt'] ?? 1) > 1) lost++;
    }
    process.stderr.write(`${lost} of 10 needed a second mover\n`);
    await nothingIsLeft();
  }, 900_000);

  it('also of one whose namespace is deleted while it runs', async () => {
    const gone = `${NAMESPACE}-gone`;
    await apply([
      namespaceObject(gone),
      { apiVersion: 'v1', kind: 'PersistentVolumeClaim', metadata: { name: 'data', namespace: gone }, spec: { accessModes: ['ReadWriteOnce'], storageClassName: env('STORAGE_CLASS_IMMEDIATE'), resources: { requests: { storage: '64Mi' } } } },
      policyObject(gone, 'daily', { location: NAMESPACE }),
    ]);
    await waitForCondition('bp', 'daily', gone, { type: 'Ready', status: 'True' });
    await create([backupObject(gone, 'last', 'daily')]);
    await waitFor('its snapshot', 60, async () => (await kubectl(['get', 'volumesnapshots', '-n', gone, '-o', 'name'])) !== '');
    await kubectl(['delete', 'namespace', gone, '--timeout=120s']);
    await nothingIsLeft();
  }, 300_000);
});
