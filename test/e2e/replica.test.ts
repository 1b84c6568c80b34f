// The second data center on the real cluster: copied to by Jobs whoever dies, read from while the first one is off, and all that is left of it on an empty
// cluster, from which every customer comes back.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { FINALIZER, TenantRecord } from '../../src/api/index.ts';
import { installChart, uninstallChart } from '../ground/chart.ts';
import { CLUSTER } from '../ground/layout.ts';
import { run } from '../ground/run.ts';
import { openBucket, tenantIdOf } from '../support/bucket.ts';
import { GROUP_VERSION, SYSTEM_NAMESPACE, apply, conditionOf, create, environment, getObject, kubectl, listObjects, waitFor, waitForCondition, waitForPhase, type StatusLike } from '../support/cluster.ts';
import { compareTrees } from '../support/compare-tree.ts';
import { awsKms, backupObject, locationObjects, makeCustomer, removeCustomer, removeTenants, restoreObject, secret, volumeObjects, workloadObject } from '../support/customer.ts';
import { killMovers, killOperators } from '../support/kills.ts';
import { MOVERS, askForCopy, copied, copyNow, copyTerms, firstDataCenterOff, firstDataCenterOn, keysInSecond, locationMetric, locationOf, openSecond, replicaSecrets, secondBucket, workersLeft } from '../support/second-data-center.ts';
import { buildTree } from '../support/seeded-tree.ts';

const LOCATION = 'e2e-replica';
const SECOND = 'e2e-replica-second';
/** A recovery takes all that lies there, and what is under a lock outlives a run. */
const PREFIX = `${LOCATION}-${Date.now()}`;
const CUSTOMERS = ['e2e-replica-shop', 'e2e-replica-clinic'] as const;
const [SHOP] = CUSTOMERS;
const MIB = 1 << 20;
const directoryOf = (namespace: string): string => join(CLUSTER, 'e2e', namespace);
/** As it was backed up last. */
const originalOf = (namespace: string): string => `${directoryOf(namespace)}-original`;
/** Movers keep no attribute that the kernel shows to CAP_SYS_ADMIN alone. */
const KEPT = { ignoreXattr: (name: string) => name.startsWith('trusted.') };
const kubeconfig = (): string => environment()['KUBECONFIG'] ?? '';

interface JobLike {
  readonly spec: Readonly<Record<string, unknown>>;
}

async function stored(namespace: string, name: string): Promise<void> {
  await create([backupObject(namespace, name, 'daily')]);
  await waitForPhase('bk', name, namespace, ['Stored'], 90);
  rmSync(originalOf(namespace), { recursive: true, force: true });
  await run('cp', ['--archive', directoryOf(namespace), originalOf(namespace)]);
}

/** What the bucket is to tell after a disaster is gathered for ten seconds. */
async function onRecord(namespace: string, backup: string): Promise<void> {
  const store = await openBucket(`${PREFIX}/tenants/${await tenantIdOf(namespace)}`);
  try {
    await waitFor(`${namespace}/${backup} to be on record`, 40, async () => {
      const revisions: number[] = [];
      for await (const { key } of store.list('tenant/')) revisions.push(Number(/(\d+)\.json$/.exec(key)?.[1]));
      const newest = TenantRecord.parse(JSON.parse(Buffer.from(await store.get(`tenant/${Math.max(...revisions)}.json`)).toString()));
      return newest.backups.some(({ name }) => name === backup);
    });
  } finally {
    await store.close();
  }
}

async function setReplication(settings: object): Promise<void> {
  await kubectl(['patch', 'bl', LOCATION, '--type=merge', '-p', JSON.stringify({ spec: { replica: { replication: settings } } })]);
}

/** Everything of the tenants but what the copying itself remembers. */
async function objectsInSecond(): Promise<number> {
  return (await keysInSecond(`${PREFIX}/tenants`)).filter((key) => !key.includes('/ledger/')).length;
}

/** Of the one row that the shop has, as a person sees it. */
async function columnOf(kind: 'bp' | 'bk', title: string): Promise<string> {
  const [head = '', row = ''] = (await kubectl(['get', kind, '-n', SHOP, '-o', 'wide'])).split('\n');
  const at = new RegExp(`(^|  )${title}(  |$)`).exec(head)?.index ?? -1;
  return at < 0 ? `no column ${title} in ${head}` : (row.slice(at).trim().split(/ {2,}/)[0] ?? '');
}

function damage(namespace: string): void {
  rmSync(directoryOf(namespace), { recursive: true, force: true });
  mkdirSync(directoryOf(namespace), { recursive: true });
  writeFileSync(join(directoryOf(namespace), 'ransom-note.txt'), 'Pay.\n');
}

beforeAll(async () => {
  const replica = { s3: secondBucket(LOCATION, PREFIX), ...copyTerms(LOCATION, { retainFor: '10m', replication: { shards: 2 } }) };
  await apply([...replicaSecrets(LOCATION), ...locationObjects(LOCATION, { movers: 4, prefix: PREFIX, replica })]);
  for (const [index, namespace] of CUSTOMERS.entries()) {
    rmSync(directoryOf(namespace), { recursive: true, force: true });
    buildTree(directoryOf(namespace), { seed: 31 + index, files: 40 });
    await makeCustomer({ namespace, location: LOCATION, volumes: { data: directoryOf(namespace) }, workload: 'app', policySpec: { copyMethod: 'Direct' } });
  }
  await waitForCondition('bl', LOCATION, undefined, { type: 'ReplicaLocked', status: 'True' });
  for (const namespace of CUSTOMERS) {
    await waitForCondition('bp', 'daily', namespace, { type: 'Ready', status: 'True' });
    await stored(namespace, 'first');
  }
}, 180_000);

afterAll(async () => {
  await firstDataCenterOn();
  await installChart(environment()['IMAGE'] ?? '', kubeconfig());
  // What a failed run leaves half way of a disaster has finalizers that nobody is there to remove.
  await Promise.all(CUSTOMERS.map((namespace) => removeCustomer(namespace, ['data'], 90)));
  for (const namespace of CUSTOMERS) for (const tail of ['', '-original']) rmSync(directoryOf(namespace) + tail, { recursive: true, force: true });
  await removeTenants(CUSTOMERS);
  await kubectl(['delete', 'bl', LOCATION, SECOND, '--ignore-not-found', '--timeout=30s']);
}, 240_000);

describe('copying', () => {
  it('begins when somebody asks, as one Indexed Job that the movers\' namespace admits, and leaves nothing but the copy', async () => {
    const asked = await askForCopy(LOCATION);
    const [job] = await waitFor('its Job', 30, async () => ((jobs) => (jobs.length === 1 ? jobs : undefined))(await listObjects<JobLike>('jobs', MOVERS, 'app.kubernetes.io/component=mover-replicate')));
    expect(job?.spec).toMatchObject({ completionMode: 'Indexed', completions: 2, parallelism: 2, backoffLimitPerIndex: 0 });
    const location = await copied(LOCATION, asked);

    expect(location.status.replication).toMatchObject({ phase: 'Completed', tenants: 2, tenantsDone: 2, attempt: 1 });
    expect(Number(location.status.replication['objects'])).toBeGreaterThan(20);
    await waitForCondition('bl', LOCATION, undefined, { type: 'Replicated', status: 'True', reason: 'UpToDate' });
    await waitForCondition('bl', LOCATION, undefined, { type: 'ReplicaDiverged', status: 'False', reason: 'NoDivergence' });
    for (const namespace of CUSTOMERS) {
      await waitForCondition('bp', 'daily', namespace, { type: 'Replicated', status: 'True', reason: 'UpToDate' });
      await waitForCondition('bk', 'first', namespace, { type: 'Replicated', status: 'True' });
    }
    const upTo = String(location.status['replicatedUpTo']);
    expect(await kubectl(['get', 'bl', LOCATION, '-o', 'wide'])).toContain(upTo);
    expect(await columnOf('bp', 'REPLICATED UP TO')).toMatch(/^\d+m?s|\d+m$/);
    expect(await columnOf('bk', 'REPLICATED')).toBe('True');
    expect(await locationMetric('replicated_timestamp_seconds', LOCATION)).toBe(Date.parse(upTo) / 1000);
    expect(await locationMetric('replica_locked', LOCATION)).toBe(1);
    expect(await kubectl(['get', 'events', '-A', '--field-selector', `involvedObject.name=${LOCATION}`, '-o', 'jsonpath={.items[*].reason}'])).toContain('ReplicationCompleted');
    await waitFor('nothing to be left', 20, async () => (await workersLeft()) === '');
  }, 120_000);

  it('puts every object under a lock of its own, and reads nothing but listings when nothing is new', async () => {
    const store = await openSecond(`${PREFIX}/tenants/${await tenantIdOf(SHOP)}`);
    try {
      for await (const { key, versions } of store.versions?.list('') ?? []) {
        if (key.startsWith('ledger/')) continue;
        expect({ key, until: (await store.versions?.retentionOf(key, versions[0]?.versionId))?.until.getTime() }).toEqual({ key, until: expect.any(Number) });
      }
    } finally {
      await store.close();
    }
    // Records of tenants are gathered meanwhile, and copied once.
    const quiet = await waitFor('a copy of nothing', 60, async () => ((location) => (location.status.replication['objects'] === 0 ? location : undefined))(await copyNow(LOCATION)));
    expect(quiet.status.replication).toMatchObject({ phase: 'Completed', tenantsDone: 2, objects: 0 });
  }, 90_000);

  it('tells how far it is, and goes on where it was when operators and workers die in the middle', async () => {
    for (let index = 0; index < 10; index++) writeFileSync(join(directoryOf(SHOP), `photo-${index}`), randomBytes(4 * MIB));
    await stored(SHOP, 'photos');
    await setReplication({ bandwidth: '512Ki', concurrency: 2 });
    const before = await objectsInSecond();
    const asked = await askForCopy(LOCATION);
    await waitFor('progress', 60, async () => ((objects) => (objects > 0 ? objects : undefined))(Number((await locationOf(LOCATION)).status.replication['objects'] ?? 0)));
    await killOperators();
    expect(await killMovers(MOVERS)).toBeGreaterThan(0);
    await setReplication({ bandwidth: null, concurrency: null });
    await waitFor('the second attempt', 60, async () => (await locationOf(LOCATION)).status.replication['attempt'] === 2);
    const between = await objectsInSecond();
    expect(between).toBeGreaterThan(before);

    const location = await copied(LOCATION, asked, 120);

    expect(location.status.replication).toMatchObject({ phase: 'Completed', tenantsDone: 2 });
    // What was there was not copied again.
    expect(Number(location.status.replication['objects'])).toBe((await objectsInSecond()) - between);
    await waitForCondition('bk', 'photos', SHOP, { type: 'Replicated', status: 'True' });
    await waitFor('nothing to be left', 30, async () => (await workersLeft()) === '');
  }, 240_000);
});

describe('while the first data center is off', () => {
  it('a Restore from the replica brings every byte back', async () => {
    damage(SHOP);
    await firstDataCenterOff();
    try {
      await create([restoreObject(SHOP, 'from-replica', 'photos', { source: { backup: 'photos', from: 'Replica' }, safetyBackup: 'Skip' })]);
      const restore = await waitForPhase('brs', 'from-replica', SHOP, ['Succeeded', 'Failed'], 150);
      expect(conditionOf(restore, 'Succeeded')).toMatchObject({ status: 'True' });
      expect(compareTrees(originalOf(SHOP), directoryOf(SHOP), KEPT)).toEqual([]);
      await kubectl(['rollout', 'status', 'deployment/app', '-n', SHOP, '--timeout=60s']);
      await waitFor('no mover to be left', 20, async () => (await kubectl(['get', 'jobs,secrets', '-n', SHOP, '-o', 'name'])) === '');
    } finally {
      await firstDataCenterOn();
    }
    await waitForCondition('bl', LOCATION, undefined, { type: 'Ready', status: 'True' }, 90);
  }, 300_000);
});

describe('a disaster', () => {
  const counts = new Map<string, number>();

  it('leaves an empty cluster, on which a location that recovers brings tenants, policies and backups back', async () => {
    for (const namespace of CUSTOMERS) await stored(namespace, 'last');
    for (const namespace of CUSTOMERS) await onRecord(namespace, 'last');
    const ids = await Promise.all(CUSTOMERS.map(tenantIdOf));
    expect((await copyNow(LOCATION)).status.replication).toMatchObject({ phase: 'Completed', tenantsDone: 2 });
    for (const namespace of CUSTOMERS) counts.set(namespace, (await listObjects('bk', namespace)).length);
    await firstDataCenterOff();
    await loseTheCluster();

    await installChart(environment()['IMAGE'] ?? '', kubeconfig(), ['recovery.enabled=true']);
    const spec = { recover: true, s3: secondBucket(SECOND, PREFIX), kms: awsKms('B', `${SECOND}-kms`) };
    const kms = secret(`${SECOND}-kms`, { accessKeyId: environment()['KMS_B_ACCESS_KEY_ID'], secretAccessKey: environment()['KMS_B_SECRET_ACCESS_KEY'] });
    await apply([...replicaSecrets(SECOND), kms, { apiVersion: GROUP_VERSION, kind: 'BackupLocation', metadata: { name: SECOND }, spec }]);

    await waitForCondition('bl', SECOND, undefined, { type: 'Recovered', status: 'True' }, 120);
    expect((await locationOf(SECOND)).status['recovery']).toMatchObject({ tenants: 2, recovered: 2 });
    expect(await Promise.all(CUSTOMERS.map(tenantIdOf))).toEqual(ids);
    for (const namespace of CUSTOMERS) {
      const backups = await waitFor('its backups', 60, async () => ((all) => (all.every(({ status }) => status?.phase === 'Stored') ? all : undefined))(await listObjects<StatusLike>('bk', namespace)));
      expect(backups).toHaveLength(counts.get(namespace) ?? 0);
      expect(backups.map(({ metadata }) => metadata.finalizers)).toEqual(backups.map(() => [FINALIZER]));
      expect(backups.map(({ metadata }) => metadata.name)).toContain('last');
      await waitForCondition('bp', 'daily', namespace, { type: 'Ready', status: 'False', reason: 'LocationReadOnly' });
    }
  }, 300_000);

  it('costs no customer a byte', async () => {
    for (const namespace of CUSTOMERS) {
      rmSync(directoryOf(namespace), { recursive: true, force: true });
      await apply([...volumeObjects({ namespace, claim: 'data', directory: directoryOf(namespace) }), workloadObject(namespace, 'app', ['data'])]);
      await create([restoreObject(namespace, 'back', 'last', { safetyBackup: 'Skip' })]);
    }
    for (const namespace of CUSTOMERS) {
      const restore = await waitForPhase('brs', 'back', namespace, ['Succeeded', 'Failed'], 150);
      expect({ namespace, succeeded: conditionOf(restore, 'Succeeded') }).toMatchObject({ succeeded: { status: 'True' } });
      expect(compareTrees(originalOf(namespace), directoryOf(namespace), KEPT)).toEqual([]);
      await kubectl(['rollout', 'status', 'deployment/app', '-n', namespace, '--timeout=90s']);
    }
  }, 240_000);

  it('lets nobody forget in the copy: a Backup that is deleted says why it stays, and goes when a person lets go of it', async () => {
    await kubectl(['delete', 'bk', 'last', '-n', SHOP, '--wait=false']);
    await waitForCondition('bk', 'last', SHOP, { type: 'Deleted', status: 'False', reason: 'LocationReadOnly' });
    const inCopy = (await keysInSecond(`${PREFIX}/tenants`)).filter((key) => key.includes('/snapshots/'));
    await kubectl(['annotate', 'bk', 'last', '-n', SHOP, 'backup.dupp.de/abandon=true']);
    await waitFor('it to be gone', 30, async () => (await getObject('bk', 'last', SHOP)) === undefined);
    expect((await keysInSecond(`${PREFIX}/tenants`)).filter((key) => key.includes('/snapshots/'))).toEqual(inCopy);
  }, 90_000);
});

/** Operators and all that they knew of these customers; nobody is left who could remove a finalizer. */
async function loseTheCluster(): Promise<void> {
  await uninstallChart(kubeconfig());
  for (const namespace of CUSTOMERS) {
    for (const kind of ['backups.backup.dupp.de', 'restores.backup.dupp.de']) {
      for (const { metadata } of await listObjects<StatusLike>(kind, namespace)) await kubectl(['patch', kind, metadata.name, '-n', namespace, '--type=merge', '-p', '{"metadata":{"finalizers":null}}']);
    }
  }
  await removeTenants(CUSTOMERS);
  await kubectl(['delete', 'bl', LOCATION, '--timeout=30s']);
  await Promise.all(CUSTOMERS.map((namespace) => removeCustomer(namespace, ['data'], 90)));
  await kubectl(['delete', 'namespace', SYSTEM_NAMESPACE, '--timeout=90s']);
}
