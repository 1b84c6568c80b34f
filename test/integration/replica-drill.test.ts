import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { KMSClient, ScheduleKeyDeletionCommand } from '@aws-sdk/client-kms';
import { DeleteObjectCommand, ListObjectVersionsCommand, PutObjectCommand, PutObjectRetentionCommand, S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ReplicationResult, type CollectOrders, type ReplicateOrders, type ReplicationPlace } from '../../src/api/index.ts';
import { openStore, type ObjectStore } from '../../src/storage/index.ts';
import { collectorUser, readerUser, replicatorUser, setUpS3, type S3User } from '../ground/s3.ts';
import { compareTrees } from '../support/compare-tree.ts';
import { startTogether } from '../support/loopback-process.ts';
import { MoverBench, attempt, newTenant } from '../support/mover-bench.ts';
import { runProcess } from '../support/program.ts';
import { buildTree } from '../support/seeded-tree.ts';
import { keysOf } from '../support/replicated-tenant.ts';
import { startS3, type S3Service } from '../support/services.ts';

/** A wrapped key is locked for a quarter of it. */
const RETAIN_MS = { Push: 300_000, Pull: 40_000 } as const;

/** Everything of the first data center is lost, and an attacker holds its credentials. */
describe.each(['Push', 'Pull'] as const)('a second data center in %s mode', (mode) => {
  let bench: MoverBench;
  let b: S3Service;
  let folder: string;
  let users: Record<'replicator' | 'collector' | 'reader', S3User>;
  let replicaStore: ObjectStore;
  let runs = 0;
  const tenants = [newTenant(), newTenant()];
  const snapshots: string[] = [];
  const data = (index: number) => join(folder, `data-${index}`);

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'drill-'));
    [bench, b] = await startTogether([MoverBench.start(), startS3({ objectLock: true })]);
    users = { replicator: replicatorUser(b.bucket), collector: collectorUser(b.bucket), reader: readerUser(bench.s3.bucket) };
    await setUpS3({ endpoint: b.endpoint, root: rootOf(b), bucket: b.bucket, objectLock: true, users: [users.replicator, users.collector] });
    await setUpS3({ endpoint: bench.s3.endpoint, root: rootOf(bench.s3), bucket: bench.s3.bucket, objectLock: false, users: [users.reader] });
    replicaStore = await openStore(`s3://${b.bucket}/replica?endpoint=${b.endpoint}&region=${b.region}`, { s3: { credentials: rootOf(b) } });
    for (const [index, tenant] of tenants.entries()) {
      buildTree(data(index), { seed: index + 1, files: 60 });
      const run = await bench.run(bench.backupOrders({ tenant, volumes: [{ claim: 'data', mountPath: data(index) }], attempt: attempt(`b${index}`) }));
      expect(run.message.failure).toBeUndefined();
      snapshots.push(run.message.backup!.snapshotId);
    }
  }, 120_000);
  afterAll(async () => {
    await replicaStore.close();
    await Promise.all([bench.stop(), b.stop(), rm(folder, { recursive: true, force: true })]);
  });

  function rootOf({ rootAccessKeyId, rootSecretAccessKey }: S3Service) {
    return { accessKeyId: rootAccessKeyId, secretAccessKey: rootSecretAccessKey };
  }

  function place(service: S3Service, prefix: string, credentialsFile: string): ReplicationPlace {
    const { endpoint, region, bucket } = service;
    return { endpoint, region, bucket, prefix, forcePathStyle: true, credentialsFile };
  }

  /** As the Job's pod runs it: orders and both credentials in a folder. */
  async function run(orders: Partial<ReplicateOrders> | Partial<CollectOrders>): Promise<ReplicationResult> {
    runs += 1;
    const task = orders.task ?? 'replicate';
    const mounted = join(folder, `run-${runs}`);
    await mkdir(mounted);
    const common = { version: 1, attempt: attempt('location', runs), runId: `run-${runs}`, replica: place(b, 'replica', 'replica.json'), lock: { mode: 'COMPLIANCE', retainForMs: RETAIN_MS[mode] }, shards: 1, released: [] };
    const rest = task === 'replicate' ? { task, mode, source: place(bench.s3, 'test', 'source.json'), concurrency: 8 } : { task, dryRun: false };
    await writeFile(join(mounted, 'orders.json'), JSON.stringify({ ...common, ...rest, ...orders }));
    const credentials = (s3: { readonly accessKeyId: string; readonly secretAccessKey: string }) => JSON.stringify({ version: 1, s3: { accessKeyId: s3.accessKeyId, secretAccessKey: s3.secretAccessKey }, kms: {} });
    await writeFile(join(mounted, 'source.json'), credentials(mode === 'Pull' ? users.reader : bench.s3));
    await writeFile(join(mounted, 'replica.json'), credentials(task === 'collect' ? users.collector : users.replicator));
    const ended = await runProcess(['mover', '--orders', mounted, '--termination-message', join(mounted, 'message')], { env: { JOB_COMPLETION_INDEX: '0' } });
    const message = ReplicationResult.parse(JSON.parse(await readFile(join(mounted, 'message'), 'utf8')));
    const where = mode === 'Pull' || task === 'collect' ? replicaStore : bench.store.within('test');
    const result = ReplicationResult.parse(JSON.parse(Buffer.from(await where.get(`replication/run-${runs}-0.json`)).toString()));
    expect(result).toMatchObject({ counts: message.counts, outcome: message.outcome });
    expect([ended.status === 0, result.failure]).toEqual([result.failure === undefined, result.failure]);
    return result;
  }

  /** From the second data center alone: its bucket and its KMS; the command line is all that is left. */
  async function restoreAll(what: string): Promise<void> {
    for (const [index, tenant] of tenants.entries()) {
      const target = join(folder, `${what}-${index}`);
      await mkdir(target);
      const kms = `aws:${bench.kmsB.keyId},endpoint=${bench.kmsB.endpoint},region=${bench.kmsB.region}`;
      const url = `s3://${b.bucket}/replica/tenants/${tenant.id}/g1?endpoint=${b.endpoint}&region=${b.region}`;
      const env = { AWS_ACCESS_KEY_ID: users.replicator.accessKeyId, AWS_SECRET_ACCESS_KEY: users.replicator.secretAccessKey, AWS_REGION: b.region };
      for (const args of [
        ['check', '--read-data', '--no-lock'],
        ['restore', '--snapshot', snapshots[index]!, '--subtree', '/volumes/data', '--target', target],
      ]) {
        const [command = '', ...more] = args;
        const ended = await runProcess([command, '--repository', url, '--kms', kms, '--from-replica', ...more], { env });
        expect({ status: ended.status, stderr: ended.stderr }).toEqual({ status: 0, stderr: expect.anything() });
      }
      expect(compareTrees(data(index), target)).toEqual([]);
    }
  }

  const clientOf = (service: S3Service, credentials: { readonly accessKeyId: string; readonly secretAccessKey: string }) =>
    new S3Client({ endpoint: service.endpoint, region: service.region, forcePathStyle: true, maxAttempts: 1, credentials });

  it('has everything that the first one has, night after night, for no more than listings', async () => {
    const first = await run({});
    expect(first.counts).toMatchObject({ done: 2, failed: 0, diverged: 0 });
    expect(first.tenants.map(({ snapshots: ids }) => ids).flat().sort()).toEqual([...snapshots].sort());
    const second = await run({});
    expect(second).toMatchObject({ findings: [], counts: { done: 2, objects: 0 } });
  }, 60_000);

  it('outlives an attacker with all credentials of the first: nothing can be deleted, shortened or hidden, and every byte comes back', async () => {
    // What the first data center holds: its bucket, its KMS, and in Push mode what writes into the second.
    for (const key of await keysOf(bench.store)) await bench.store.delete(key);
    const kmsA = new KMSClient({ endpoint: bench.kmsA.endpoint, region: bench.kmsA.region, credentials: { accessKeyId: bench.kmsA.accessKeyId, secretAccessKey: bench.kmsA.secretAccessKey } });
    await kmsA.send(new ScheduleKeyDeletionCommand({ KeyId: bench.kmsA.keyId, PendingWindowInDays: 7 }));
    kmsA.destroy();
    const attacker = clientOf(b, mode === 'Push' ? users.replicator : users.reader);
    // Who pulls gives away nothing; even with its root nothing that is locked goes.
    const root = clientOf(b, rootOf(b));
    const { Versions = [] } = await root.send(new ListObjectVersionsCommand({ Bucket: b.bucket, Prefix: 'replica/tenants/' }));
    const locked = Versions.filter(({ Key }) => !/\/ledger\//.test(Key ?? ''));
    expect(locked.length).toBeGreaterThanOrEqual(20);
    for (const { Key, VersionId } of locked) {
      const version = { Bucket: b.bucket, Key, VersionId };
      for (const client of [attacker, root]) {
        await expect(client.send(new DeleteObjectCommand(version))).rejects.toThrow();
        await expect(client.send(new PutObjectRetentionCommand({ ...version, Retention: { Mode: 'COMPLIANCE', RetainUntilDate: new Date(Date.now() + 1000) } }))).rejects.toThrow();
      }
    }
    if (mode === 'Push') {
      for (const { Key } of locked) await attacker.send(new PutObjectCommand({ Bucket: b.bucket, Key, Body: 'pay us' }));
      await expect(attacker.send(new DeleteObjectCommand({ Bucket: b.bucket, Key: locked[0]?.Key }))).rejects.toThrow();
      // And a careless administrator of the second one.
      for (const { Key } of locked.slice(0, 10)) await root.send(new DeleteObjectCommand({ Bucket: b.bucket, Key }));
    }
    attacker.destroy();
    root.destroy();

    await restoreAll('after');

    const night = await run({});
    expect(night.counts).toMatchObject({ diverged: 2, done: 0, objects: 0 });
    expect(night.findings.filter(({ kind }) => kind === 'Missing').map(({ tenant }) => tenant)).toEqual(expect.arrayContaining(tenants.map(({ id }) => id)));
  }, 120_000);

  if (mode === 'Pull') {
    it('outlives the retention as well, because it goes on extending what the first one never gave up, and collects none of it', async () => {
      const end = Date.now() + 1.3 * RETAIN_MS.Pull;
      while (Date.now() < end) {
        await run({});
        await delay(2_000);
      }
      expect((await run({ task: 'collect' })).counts.failed).toBe(0);
      const root = clientOf(b, rootOf(b));
      const { Versions = [] } = await root.send(new ListObjectVersionsCommand({ Bucket: b.bucket, Prefix: 'replica/tenants/' }));
      for (const { Key, VersionId } of Versions.filter(({ Key: key }) => !/\/ledger\//.test(key ?? ''))) {
        await expect(root.send(new DeleteObjectCommand({ Bucket: b.bucket, Key, VersionId }))).rejects.toThrow();
      }
      root.destroy();
      await restoreAll('later');
    }, 180_000);
  }
});
