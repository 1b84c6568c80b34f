// The copy into the second data center on a real API server: its Indexed Job, its status, and what policies and people see. The workers are played.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import type { BackupLocation, ReplicationResult } from '../../src/api/index.ts';
import { PortError, ReplicaStandings, allInformers, locationController, makeCaches, type LockFinding, type RawSecret } from '../../src/controller/index.ts';
import { EventRecorder, Informer, ResourceClient, resourceTypes, type KubeObject, type ResourceType } from '../../src/kube/index.ts';
import { ApiServer } from '../support/api-server.ts';
import { idleMovers } from '../support/idle-movers.ts';
import { idleReplication } from '../support/idle-replication.ts';
import { installCrds } from '../support/installed-crds.ts';

const FOUND = { ok: true, message: 'fine' } as const;
const NAME = 'here';
const TENANT = '0123456789abcdef0123456789abcdef';

let api: ApiServer;
let stop: () => Promise<void>;
let lock: LockFinding;
/** In the bucket, by run. */
let results: Map<string, readonly (ReplicationResult | undefined)[]>;
let standings: ReplicaStandings;
let failures: unknown[];
let credentialsFail: PortError | undefined;
let minted = 0;
let clockAhead = 0;
let expiresAt: number | undefined;

type JobObject = KubeObject & { readonly spec: Record<string, unknown>; readonly status?: Record<string, unknown> };
const client = <T extends KubeObject = KubeObject>(type: ResourceType): ResourceClient<T> => new ResourceClient<T>(api.connect(), type);

beforeAll(async () => {
  api = await ApiServer.start();
  await installCrds(api.connect());
  await client(resourceTypes.namespaces).create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'movers' } });
}, 90_000);
afterAll(() => api.stop());

beforeEach(async () => {
  lock = { kind: 'proven', reason: 'LockProven', message: 'Nobody could delete.' };
  results = new Map();
  failures = [];
  credentialsFail = undefined;
  expiresAt = undefined;
  clockAhead = 0;
  const s3 = (bucket: string) => ({ bucket, credentialsSecretRef: { name: bucket } });
  const kms = { provider: 'local', local: { secretRef: { name: 'key' } } };
  const replica = { kms, s3: s3('second'), probeCredentialsSecretRef: { name: 'probe' }, replication: { shards: 2, schedule: '0 0 1 1 *' } };
  await client(resourceTypes.backupLocations).create({ apiVersion: 'backup.dupp.de/v1alpha1', kind: 'BackupLocation', metadata: { name: NAME }, spec: { s3: s3('first'), kms, replica } });
  stop = await operator();
});
afterEach(async () => {
  await stop();
  await client(resourceTypes.backupLocations).delete(NAME);
  for (const { metadata } of await jobs()) await client(resourceTypes.jobs).delete(metadata.name, 'movers');
  expect(failures).toEqual([]);
});

async function operator(): Promise<() => Promise<void>> {
  const connection = api.connect();
  const stopping = new AbortController();
  const caches = makeCaches(connection, 'movers', () => undefined);
  const secrets = new Informer<RawSecret>(new ResourceClient<RawSecret>(connection, resourceTypes.secrets), { namespace: 'default' });
  const clock = { now: () => Date.now() + clockAhead };
  const events = new EventRecorder(connection, 'test', () => new Date(), () => undefined);
  standings = new ReplicaStandings();
  const controller = locationController({
    caches,
    secrets,
    operatorNamespace: 'default',
    locations: new ResourceClient<BackupLocation>(connection, resourceTypes.backupLocations),
    probe: { probe: () => Promise.resolve({ storageReachable: FOUND, storageWritable: FOUND, keyUsable: FOUND, storageIsolated: FOUND, keysIsolated: FOUND }) },
    prover: { prove: () => Promise.resolve(lock) },
    replication: {
      credentials: () => (credentialsFail === undefined ? Promise.resolve({ files: { 'source.json': { version: 1, s3: { accessKeyId: `a${++minted}`, secretAccessKey: 's' }, kms: {} } }, expiresAt, shared: [] }) : Promise.reject(credentialsFail)),
      // One whose hash a pod told is another than any of these has.
      results: (_location, { runId, shards, told }) => Promise.resolve((results.get(runId) ?? Array.from({ length: shards }, () => undefined)).map((each, shard) => (told.has(shard) ? undefined : each))),
    },
    recovery: idleReplication().recovery,
    standings,
    movers: { ...idleMovers(connection, caches, clock), listener: { listen: () => undefined, spoken: () => ({ progress: undefined, trouble: undefined }), lately: () => Promise.resolve('silent'), forget: () => undefined } },
    events,
    clock,
    observer: { reconciled: () => undefined, failed: (_name, _key, error) => void failures.push(error) },
  });
  const informers = [...allInformers(caches), secrets];
  const watching = informers.map((informer) => informer.run(stopping.signal));
  await Promise.all(informers.map((informer) => informer.synced));
  const ended = Promise.all([...watching, controller.run(stopping.signal)]);
  return async () => {
    stopping.abort();
    await ended;
    await events.flush();
  };
}

async function until<T>(what: string, look: () => Promise<T | undefined>, ms = 20_000): Promise<T> {
  const end = Date.now() + ms;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (Date.now() > end) throw new Error(`waited in vain for ${what}`);
    await sleep(30);
  }
}

const location = () => client<BackupLocation>(resourceTypes.backupLocations).get(NAME);
const jobs = async () => (await client<JobObject>(resourceTypes.jobs).list({ namespace: 'movers' })).items;
const condition = (of: BackupLocation | undefined, type: string) => of?.status?.conditions?.find((each) => each.type === type);

async function ask(value: string): Promise<void> {
  await client(resourceTypes.backupLocations).patch(NAME, undefined, { metadata: { annotations: { 'backup.dupp.de/replicate': value } } });
}

function theJob(): Promise<JobObject> {
  return until('the Job', async () => (await jobs()).find(({ status }) => !JSON.stringify(status ?? {}).includes('"Complete"')));
}

async function runIdOf(job: JobObject): Promise<string> {
  const secret = await client<RawSecret>(resourceTypes.secrets).get(job.metadata.name, 'movers');
  return (JSON.parse(Buffer.from(secret?.data?.['orders.json'] ?? '', 'base64').toString()) as { runId: string }).runId;
}

async function end(job: JobObject): Promise<void> {
  const now = new Date().toISOString().replace(/\.\d+Z/, 'Z');
  const conditions = ['SuccessCriteriaMet', 'Complete'].map((type) => ({ type, status: 'True', lastProbeTime: now, lastTransitionTime: now }));
  await client(resourceTypes.jobs).patch(job.metadata.name, 'movers', { status: { startTime: now, completionTime: now, succeeded: 2, conditions } }, { subresource: 'status' });
}

function result(shard: number, snapshots: readonly string[], changed: Partial<ReplicationResult> = {}): ReplicationResult {
  const counts = { done: 1, waiting: 0, failed: 0, diverged: 0, objects: 5, bytes: 50, extended: 0, collected: 0 };
  const tenants = shard === 0 ? [{ tenant: TENANT, state: 'done' as const, snapshots: [...snapshots], replicatedUpTo: '2026-03-01T00:00:00Z' }] : [];
  return { version: 1, task: 'replicate', attempt: 'a', uid: 'u', runId: 'r', shard, outcome: 'succeeded', startedAt: 't', finishedAt: 't', counts, tenants, findings: [], ...changed };
}

describe('a copy that a person asks for', () => {
  it('has its sessions renewed in the Secret before they end', async () => {
    // Half of what is left of it, so at once.
    expiresAt = Date.now() - 1000;
    await ask('renewed');
    const job = await theJob();
    const keyOf = async () => {
      const secret = await client<RawSecret>(resourceTypes.secrets).get(job.metadata.name, 'movers');
      return (JSON.parse(Buffer.from(secret?.data?.['source.json'] ?? '', 'base64').toString()) as { s3: { accessKeyId: string } }).s3.accessKeyId;
    };
    expect(job.metadata.annotations?.['backup.dupp.de/credentials-expire']).toBeDefined();
    const first = await keyOf();
    const ahead = Date.now() + 3 * 3_600_000;
    expiresAt = ahead;
    clockAhead = 120_000;
    await client(resourceTypes.backupLocations).patch(NAME, undefined, { metadata: { annotations: { 'example.com/look': 'again' } } });

    await until('another key', async () => ((await keyOf()) === first ? undefined : true));
    const renewed = await until('its end on the Job', async () => ((is) => (is?.metadata.annotations?.['backup.dupp.de/credentials-expire-renewed'] === undefined ? undefined : is))(await client<JobObject>(resourceTypes.jobs).get(job.metadata.name, 'movers')));
    expect(Date.parse(renewed.metadata.annotations?.['backup.dupp.de/credentials-expire'] ?? '')).toBeGreaterThan(ahead - 2000);
    results.set(await runIdOf(job), [result(0, []), result(1, [])]);
    await end(job);
    await until('the end', async () => ((await location())?.status?.replication?.phase === 'Completed' ? true : undefined));
  });

  it('is one Indexed Job of the location, whose end becomes status, conditions and what is known of each tenant', async () => {
    await ask('1');
    const job = await theJob();
    expect(job.spec).toMatchObject({ completions: 2, parallelism: 2, completionMode: 'Indexed', backoffLimitPerIndex: 0 });
    expect(job.metadata).toMatchObject({ ownerReferences: [{ kind: 'BackupLocation', name: NAME }] });
    const runId = await runIdOf(job);
    results.set(runId, [result(0, ['f'.repeat(64)]), result(1, [])]);
    await until('that it is told', async () => ((await location())?.status?.replication?.jobName === job.metadata.name ? true : undefined));

    await end(job);

    const done = await until('the end', async () => ((is) => (is?.status?.replication?.phase === 'Completed' ? is : undefined))(await location()));
    expect(done.status?.replication).toMatchObject({ objects: 10, bytes: 100, tenantsDone: 2, requested: '1' });
    expect(condition(done, 'Replicated')).toMatchObject({ status: 'True', reason: 'UpToDate' });
    expect(condition(done, 'ReplicaLocked')).toMatchObject({ status: 'True' });
    expect(condition(done, 'Ready')).toMatchObject({ status: 'True' });
    expect(standings.of(NAME, TENANT)?.snapshots.has('f'.repeat(64))).toBe(true);
    await until('that Job and Secret are gone', async () => ((await jobs()).length === 0 && (await client(resourceTypes.secrets).get(job.metadata.name, 'movers')) === undefined ? true : undefined));
  });

  it('goes on where an operator ended in between, and a new one knows what was copied', async () => {
    await ask('2');
    const job = await theJob();
    results.set(await runIdOf(job), [result(0, ['e'.repeat(64)]), result(1, [])]);
    await stop();
    await end(job);

    stop = await operator();

    await until('the end', async () => ((await location())?.status?.replication?.phase === 'Completed' ? true : undefined));
    await stop();
    stop = await operator();
    await until('what was copied', () => Promise.resolve(standings.of(NAME, TENANT)));
    expect(standings.of(NAME, TENANT)?.snapshots.has('e'.repeat(64))).toBe(true);
  });

  it('is not begun twice, and costs no write when it rests', async () => {
    await ask('3');
    const job = await theJob();
    results.set(await runIdOf(job), [result(0, []), result(1, [])]);
    await end(job);
    const done = await until('the end', async () => ((is) => (is?.status?.replication?.phase === 'Completed' ? is : undefined))(await location()));
    await stop();
    stop = await operator();
    await sleep(700);
    const before = await location();
    await sleep(1500);
    expect((await location())?.metadata.resourceVersion).toBe(before?.metadata.resourceVersion);
    expect(before?.status?.replication).toEqual(done.status?.replication);
    expect(await jobs()).toEqual([]);
  });

  it('raises the alarm when the first data center lost something', async () => {
    await ask('4');
    const job = await theJob();
    const finding = { tenant: TENANT, kind: 'Shrunk' as const, message: 'all 7 snapshots are gone', count: 7, names: [] };
    results.set(await runIdOf(job), [result(0, [], { findings: [finding], counts: { done: 0, waiting: 0, failed: 0, diverged: 1, objects: 0, bytes: 0, extended: 0, collected: 0 } }), result(1, [])]);
    await end(job);
    const alarmed = await until('the alarm', async () => ((is) => (condition(is, 'ReplicaDiverged')?.status === 'True' ? is : undefined))(await location()));
    expect(condition(alarmed, 'ReplicaDiverged')?.message).toContain('all 7 snapshots are gone');
    const events = client<KubeObject & { reason: string }>({ group: 'events.k8s.io', version: 'v1', kind: 'Event', plural: 'events', namespaced: true });
    await until('the event', async () => (await events.list()).items.find(({ reason }) => reason === 'ReplicaDiverged'));
  });

  it('raises the alarm for a backup of the cluster that the first data center has no more, though its workers find nothing', async () => {
    const version = { apiVersion: 'backup.dupp.de/v1alpha1' };
    const metadata = { name: 'nightly', namespace: 'default' };
    await client(resourceTypes.backupTenants).create({ ...version, kind: 'BackupTenant', metadata: { name: 'default-1' }, spec: { tenantId: TENANT, namespace: 'default', namespaceUID: 'u', location: NAME } });
    await client(resourceTypes.backups).create({ ...version, kind: 'Backup', metadata, spec: { policy: 'daily' } });
    const completedAt = new Date(Date.now() - 3_600_000).toISOString().replace(/\.\d+Z/, 'Z');
    await client(resourceTypes.backups).patch('nightly', 'default', { status: { phase: 'Stored', tenant: 'default-1', snapshotId: 'd'.repeat(64), completedAt } }, { subresource: 'status' });
    await ask('lost');
    const job = await theJob();
    results.set(await runIdOf(job), [result(0, ['e'.repeat(64)]), result(1, [])]);
    await end(job);
    const alarmed = await until('the alarm', async () => ((is) => (condition(is, 'ReplicaDiverged')?.status === 'True' ? is : undefined))(await location()));
    expect(condition(alarmed, 'ReplicaDiverged')?.message).toContain('default/nightly');
    await client(resourceTypes.backups).delete('nightly', 'default');
    await client(resourceTypes.backupTenants).delete('default-1');
  });

  it('takes another result than a worker left for none, and raises the alarm', async () => {
    await ask('replaced');
    const job = await theJob();
    const labels = { ...job.metadata.labels, 'batch.kubernetes.io/job-name': job.metadata.name, 'batch.kubernetes.io/job-completion-index': '1' };
    const pods = client(resourceTypes.pods);
    const metadata = { name: 'ended', namespace: 'movers', labels };
    await pods.create({ apiVersion: 'v1', kind: 'Pod', metadata, spec: { nodeName: 'node-1', containers: [{ name: 'mover', image: 'mover:1' }] } });
    const now = new Date().toISOString();
    const terminated = { exitCode: 0, reason: 'Completed', startedAt: now, finishedAt: now, message: JSON.stringify({ sha256: '5'.repeat(64) }) };
    await pods.patch('ended', 'movers', { status: { phase: 'Succeeded', containerStatuses: [{ name: 'mover', image: 'mover:1', imageID: '', ready: false, restartCount: 0, state: { terminated } }] } }, { subresource: 'status' });
    results.set(await runIdOf(job), [result(0, []), result(1, [])]);
    await end(job);
    const again = await until('the second attempt', async () => ((is) => (is?.status?.replication?.attempt === 2 ? is : undefined))(await location()));
    expect(again.status?.replication?.problems).toEqual(['worker 1 left another result than the one in the bucket']);
    expect(condition(again, 'ReplicaDiverged')).toMatchObject({ status: 'True' });
    await pods.delete('ended', 'movers');
  });

  it('is tried again under another name when a worker hangs, and the one that hangs goes', async () => {
    await ask('hangs');
    const job = await theJob();
    expect(job.metadata.annotations?.['backup.dupp.de/stalled-after']).toBe('30m');
    const labels = { ...job.metadata.labels, 'batch.kubernetes.io/job-name': job.metadata.name, 'batch.kubernetes.io/job-completion-index': '1' };
    const pods = client(resourceTypes.pods);
    const metadata = { name: 'hangs', namespace: 'movers', labels };
    await pods.create({ apiVersion: 'v1', kind: 'Pod', metadata, spec: { nodeName: 'node-1', containers: [{ name: 'mover', image: 'mover:1' }] } });
    await pods.patch('hangs', 'movers', { status: { phase: 'Running', containerStatuses: [{ name: 'mover', image: 'mover:1', imageID: '', ready: true, restartCount: 0, state: { running: { startedAt: new Date().toISOString() } } }] } }, { subresource: 'status' });
    await until('that it is told', async () => ((await location())?.status?.replication?.jobName === job.metadata.name ? true : undefined));
    results.set(await runIdOf(job), [result(0, []), undefined]);
    clockAhead = 31 * 60_000;
    await client(resourceTypes.backupLocations).patch(NAME, undefined, { metadata: { annotations: { 'example.com/look': 'stalled' } } });
    const again = await until('the second attempt', async () => ((is) => (is?.status?.replication?.attempt === 2 ? is : undefined))(await location()));
    expect(again.status?.replication).toMatchObject({ phase: 'Running', problems: [expect.stringMatching(/^Stalled: Pod hangs of the mover on node node-1 /)] });
    await until('that its Job is gone', async () => ((await jobs()).some(({ metadata }) => metadata.name === job.metadata.name) ? undefined : true));
    await pods.delete('hangs', 'movers');
  });

  it('waits for the proof of the lock', async () => {
    await stop();
    lock = { kind: 'refuted', reason: 'NotImmutable', message: 'A version under a lock was deleted.' };
    await ask('5');
    stop = await operator();
    const waiting = await until('why', async () => ((is) => (is?.status?.replication?.message?.includes('proof') === true ? is : undefined))(await location()));
    expect(condition(waiting, 'Ready')).toMatchObject({ status: 'False', reason: 'NotImmutable' });
    expect(await jobs()).toEqual([]);
  });

  it('is tried again when a Secret is missing', async () => {
    credentialsFail = new PortError('SecretMissing', 'Secret second does not exist.', { retryable: true });
    await ask('6');
    const refused = await until('the refusal', async () => ((is) => (is?.status?.replication?.nextAttemptAt === undefined ? undefined : is))(await location()));
    expect(refused.status?.replication).toMatchObject({ phase: 'Running', attempt: 2, message: expect.stringContaining('SecretMissing: Secret second does not exist.') });
  });
});
