// From a customer's backup to the copy in the second data center, and back on an empty cluster with the first one off: the operator as it is wired, a real
// API server and real S3 services, and the movers that its Jobs ask for, run by hand in place of a kubelet.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import type { Backup, BackupLocation, BackupPolicy, Restore } from '../../src/api/index.ts';
import { RealCredentialMinter } from '../../src/cmd/operator/credential-minter.ts';
import { RealLockProver } from '../../src/cmd/operator/lock-prover.ts';
import { operatorMetrics } from '../../src/cmd/operator/metrics.ts';
import { RealRecoverySource } from '../../src/cmd/operator/recovery-source.ts';
import { RealReplicationAccess } from '../../src/cmd/operator/replication-access.ts';
import { RealResultReader } from '../../src/cmd/operator/result-reader.ts';
import { runControllers } from '../../src/cmd/operator/run-controllers.ts';
import { RealTenantEraser } from '../../src/cmd/operator/tenant-eraser.ts';
import { RealTenantRecords } from '../../src/cmd/operator/tenant-records.ts';
import type { Ports, RawSecret } from '../../src/controller/index.ts';
import { EventRecorder, Informer, ResourceClient, resourceTypes, type KubeObject, type ResourceType } from '../../src/kube/index.ts';
import { runMover } from '../../src/mover/index.ts';
import * as engine from '../../src/restic/index.ts';
import { openStore } from '../../src/storage/index.ts';
import { proberUser, replicatorUser, setUpS3 } from '../ground/s3.ts';
import { ApiServer } from '../support/api-server.ts';
import { installCrds } from '../support/installed-crds.ts';
import { startS3, type S3Service } from '../support/services.ts';

const VERSION = 'backup.dupp.de/v1alpha1';
const FOUND = { ok: true, message: 'fine' } as const;
const MOVERS = 'movers';

let first: S3Service;
let second: S3Service;
const secrets = new Map<string, Readonly<Record<string, string>>>();
let folder: string;

type JobObject = KubeObject & { readonly spec: { readonly completions?: number }; readonly status?: { readonly conditions?: readonly unknown[] } };

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tenant-backup-second-'));
  [first, second] = await Promise.all([startS3(), startS3({ objectLock: true })]);
  const [writer, prober] = [replicatorUser(second.bucket), proberUser(second.bucket)];
  const root = { accessKeyId: second.rootAccessKeyId, secretAccessKey: second.rootSecretAccessKey };
  await setUpS3({ endpoint: second.endpoint, root, bucket: second.bucket, objectLock: true, users: [writer, prober] });
  const key = ({ accessKeyId, secretAccessKey }: { accessKeyId: string; secretAccessKey: string }) => ({ accessKeyId, secretAccessKey });
  secrets.set('first', key(first)).set('second', key(writer)).set('probe', key(prober));
  for (const name of ['key-a', 'key-b']) secrets.set(name, { key: randomBytes(32).toString('base64') });
}, 120_000);
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
  await second.stop();
});

const bucket = (service: S3Service, name: string) => ({ bucket: service.bucket, prefix: 'main', endpoint: service.endpoint, region: service.region, credentialsSecretRef: { name } });
const kms = (name: string) => ({ provider: 'local', local: { secretRef: { name } } });

/** What an attacker can do in the second data center who may delete: put a delete marker on everything. */
async function bury(): Promise<void> {
  const credentials = { accessKeyId: second.rootAccessKeyId, secretAccessKey: second.rootSecretAccessKey };
  const store = await openStore(`s3://${second.bucket}/main?endpoint=${second.endpoint}&region=${second.region}`, { s3: { credentials } });
  try {
    const keys: string[] = [];
    for await (const { key } of store.list('')) keys.push(key);
    await store.deleteMany(keys);
  } finally {
    await store.close();
  }
}

/** A cluster with an operator, and what a kubelet would do for its movers. */
class World {
  readonly failures: unknown[] = [];
  readonly #api: ApiServer;
  readonly #volume: string;
  readonly #stopping = new AbortController();
  #ended: Promise<unknown> = Promise.resolve();

  private constructor(api: ApiServer, volume: string) {
    this.#api = api;
    this.#volume = volume;
  }

  static async start(volume: string): Promise<World> {
    const world = new World(await ApiServer.start(), volume);
    await mkdir(volume, { recursive: true });
    await installCrds(world.#api.connect());
    await world.client(resourceTypes.namespaces).create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: MOVERS } });
    world.#ended = Promise.all([world.#operator(), world.#kubelet()]);
    return world;
  }

  client<T extends KubeObject = KubeObject>(type: ResourceType): ResourceClient<T> {
    return new ResourceClient<T>(this.#api.connect(), type);
  }

  async until<T>(what: string, look: () => Promise<T | undefined>, ms = 60_000): Promise<T> {
    const end = Date.now() + ms;
    for (;;) {
      const found = await look();
      if (found !== undefined) return found;
      if (Date.now() > end) throw new Error(`waited in vain for ${what}; failures: ${this.failures.map(String).join('; ')}`);
      await sleep(100);
    }
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#ended;
    await this.#api.stop();
  }

  /** A claim that is bound, as the test's folder. */
  async claim(namespace: string, name: string): Promise<void> {
    const claims = this.client(resourceTypes.persistentVolumeClaims);
    const spec = { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } };
    await claims.create({ apiVersion: 'v1', kind: 'PersistentVolumeClaim', metadata: { name, namespace }, spec });
    await claims.patch(name, namespace, { status: { phase: 'Bound', accessModes: ['ReadWriteOnce'], capacity: { storage: '1Gi' } } }, { subresource: 'status' });
  }

  #operator(): Promise<void> {
    const connection = this.#api.connect();
    const source = { lookup: (name: string) => secrets.get(name), namespace: 'default' };
    const credentialMinter = new RealCredentialMinter(source);
    const ports: Ports = {
      clock: { now: () => Date.now() },
      locationProbe: { probe: () => Promise.resolve({ storageReachable: FOUND, storageWritable: FOUND, keyUsable: FOUND, storageIsolated: FOUND, keysIsolated: FOUND }) },
      lockProver: new RealLockProver(source, () => Date.now()),
      replication: new RealReplicationAccess(source),
      tenantRecords: new RealTenantRecords(source),
      recovery: new RealRecoverySource(source),
      credentialMinter,
      resultReader: new RealResultReader(source),
      audit: { record: () => Promise.resolve() },
      eraser: new RealTenantEraser(source),
    };
    const metrics = operatorMetrics(pino({ enabled: false }));
    return runControllers(
      {
        connection,
        secrets: new Informer<RawSecret>(new ResourceClient<RawSecret>(connection, resourceTypes.secrets), { namespace: 'default' }),
        events: new EventRecorder(connection, 'test', () => new Date(), () => undefined),
        metrics: { ...metrics, observer: { reconciled: () => undefined, failed: (_name, _key, error) => void this.failures.push(error) } },
        ports,
        operatorNamespace: 'default',
        moverImage: 'mover:1',
        moverNamespace: MOVERS,
        newTenantId: () => randomBytes(16).toString('hex'),
        onError: () => undefined,
        onSynced: () => undefined,
        onCaughtUp: () => undefined,
      },
      this.#stopping.signal,
    );
  }

  async #kubelet(): Promise<void> {
    const jobs = this.client<JobObject>(resourceTypes.jobs);
    const seen = new Set<string>();
    while (!this.#stopping.signal.aborted) {
      for (const job of (await jobs.list()).items) {
        if (seen.has(job.metadata.uid)) continue;
        seen.add(job.metadata.uid);
        await this.#run(job);
      }
      await sleep(100);
    }
  }

  async #run({ metadata: { name, namespace = '' }, spec: { completions = 1 } }: JobObject): Promise<void> {
    const secret = await this.client<RawSecret>(resourceTypes.secrets).get(name, namespace);
    const directory = await mkdtemp(join(folder, 'orders-'));
    for (const [file, value] of Object.entries(secret?.data ?? {})) {
      const text = Buffer.from(value, 'base64').toString().replaceAll('"mountPath":"/volumes/data"', `"mountPath":${JSON.stringify(this.#volume)}`);
      await writeFile(join(directory, file), text);
    }
    const exits = [];
    for (let shard = 0; shard < completions; shard++) {
      exits.push(
        await runMover({
          ordersDirectory: directory,
          terminationMessage: join(directory, `termination-${shard}`),
          write: () => undefined,
          signal: this.#stopping.signal,
          engine,
          now: () => Date.now(),
          bridgeSocket: '/nowhere',
          shard,
          peakMemory: () => 0,
        }),
      );
    }
    if (exits.some((exit) => exit !== 0)) this.failures.push(new Error(`a mover failed: ${await readFile(join(directory, 'termination-0'), 'utf8')}`));
    const now = new Date().toISOString().replace(/\.\d+Z/, 'Z');
    const conditions = ['SuccessCriteriaMet', 'Complete'].map((type) => ({ type, status: 'True', lastProbeTime: now, lastTransitionTime: now }));
    await this.client(resourceTypes.jobs).patch(name, namespace, { status: { startTime: now, completionTime: now, succeeded: completions, conditions } }, { subresource: 'status' });
  }
}


describe('the second data center', () => {
  it('has what was backed up, and gives it back on an empty cluster when the first one is gone, though somebody deleted all that could be', async () => {
    const content = randomBytes(3 * 1024 * 1024);
    const before = await World.start(join(folder, 'before'));
    try {
      await writeFile(join(folder, 'before', 'orders.db'), content);
      await before.client(resourceTypes.namespaces).create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } });
      await before.claim('shop', 'data');
      const replica = { kms: kms('key-b'), s3: bucket(second, 'second'), probeCredentialsSecretRef: { name: 'probe' }, objectLock: { retainFor: '60s' }, replication: { shards: 2, schedule: '0 0 1 1 *' } };
      await before.client(resourceTypes.backupLocations).create({ apiVersion: VERSION, kind: 'BackupLocation', metadata: { name: 'here' }, spec: { s3: bucket(first, 'first'), kms: kms('key-a'), replica } });
      await before.client(resourceTypes.backupPolicies).create({ apiVersion: VERSION, kind: 'BackupPolicy', metadata: { name: 'daily', namespace: 'shop' }, spec: { location: 'here', copyMethod: 'Direct' } });
      await before.client(resourceTypes.backups).create({ apiVersion: VERSION, kind: 'Backup', metadata: { name: 'one', namespace: 'shop' }, spec: { policy: 'daily' } });
      await before.until('the backup', async () => ((is) => (is?.status?.phase === 'Stored' ? is : undefined))(await before.client<Backup>(resourceTypes.backups).get('one', 'shop')));
      const tenants = before.client(resourceTypes.backupTenants);
      await before.until('its record', async () => (await tenants.list()).items.find(({ metadata }) => metadata.annotations?.['backup.dupp.de/record'] !== undefined));
      // What is stored after the record that was seen has another one; gathering takes ten seconds.
      await sleep(11_000);

      await before.client(resourceTypes.backupLocations).patch('here', undefined, { metadata: { annotations: { 'backup.dupp.de/replicate': 'now' } } });

      const copied = await before.until('the copy', async () => ((is) => (is?.status?.replication?.phase === 'Completed' || is?.status?.replication?.phase === 'Failed' ? is : undefined))(await before.client<BackupLocation>(resourceTypes.backupLocations).get('here')));
      expect(copied.status?.replication).toMatchObject({ phase: 'Completed', tenants: 1, tenantsDone: 1 });
      const policy = await before.until('what the policy says', async () => ((is) => (is?.status?.conditions?.some(({ type, reason }) => type === 'Replicated' && reason === 'UpToDate') === true ? is : undefined))(await before.client<BackupPolicy>(resourceTypes.backupPolicies).get('daily', 'shop')));
      expect(policy.status?.replicatedUpTo).toBeDefined();
      await before.until('what the backup says', async () => (await before.client<Backup>(resourceTypes.backups).get('one', 'shop'))?.status?.conditions?.find(({ type, status }) => type === 'Replicated' && status === 'True'));
      expect(before.failures).toEqual([]);
    } finally {
      await before.stop();
      await first.stop();
    }

    await bury();
    const after = await World.start(join(folder, 'after'));
    try {
      await after.client(resourceTypes.backupLocations).create({ apiVersion: VERSION, kind: 'BackupLocation', metadata: { name: 'second' }, spec: { recover: true, s3: bucket(second, 'second'), kms: kms('key-b') } });
      await after.until('the backup', async () => ((is) => (is?.status?.phase === 'Stored' ? is : undefined))(await after.client<Backup>(resourceTypes.backups).get('one', 'shop')));
      await after.claim('shop', 'data');
      await after.client(resourceTypes.restores).create({ apiVersion: VERSION, kind: 'Restore', metadata: { name: 'back', namespace: 'shop' }, spec: { source: { backup: 'one' }, safetyBackup: 'Skip' } });
      const restored = await after.until('the restore', async () => ((is) => (is?.status?.phase === 'Succeeded' || is?.status?.phase === 'Failed' ? is : undefined))(await after.client<Restore>(resourceTypes.restores).get('back', 'shop')));
      expect(restored.status?.conditions?.find(({ type }) => type === 'Succeeded')).toMatchObject({ status: 'True' });
      expect((await readFile(join(folder, 'after', 'orders.db'))).equals(content)).toBe(true);
      expect(after.failures).toEqual([]);
    } finally {
      await after.stop();
    }
  }, 240_000);
});
