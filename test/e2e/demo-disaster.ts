/**
 * `make demo-disaster`: somebody holds every credential of the first data center and uses them; then it is gone. What the second one has (its bucket, its KMS)
 * brings every customer back on an empty cluster, and every byte is compared. A real API server, S3 services and KMS; the movers' Jobs run in this process in place
 * of a kubelet. Prints a report and ends 0 or 1. Nothing stays.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Backup, BackupLocation, BackupTenant, Restore } from '../../src/api/index.ts';
import { resourceTypes } from '../../src/kube/index.ts';
import { proberUser, replicatorUser, setUpS3, type Credentials } from '../ground/s3.ts';
import { compareTrees } from '../support/compare-tree.ts';
import { PlayedCluster } from '../support/played-cluster.ts';
import { buildTree } from '../support/seeded-tree.ts';
import { startKms, startS3, type KmsService, type S3Service } from '../support/services.ts';
import { attackReplica, destroyKey, emptyBucket } from './demo/attack.ts';
import { startReport, type Report } from './demo/report.ts';

const CUSTOMERS = ['bakery', 'joinery', 'pharmacy'];
const apiVersion = 'backup.dupp.de/v1alpha1';

interface Centers {
  readonly folder: string;
  readonly first: { readonly s3: S3Service; readonly kms: KmsService };
  readonly second: { readonly s3: S3Service; readonly kms: KmsService };
  /** What the first data center writes into the second one with. */
  readonly replicator: Credentials;
  readonly secrets: ReadonlyMap<string, Readonly<Record<string, string>>>;
}

async function demo(report: Report, started: (stop: () => Promise<void>) => void): Promise<void> {
  const centers = await report.step('two data centers, each with S3 and KMS of its own; the second bucket has Object Lock', () => startCenters(started));
  await beforeTheAttack(report, centers);
  await report.step('the first data center is emptied and its KMS key scheduled for deletion, with its own credentials', async (say) => {
    say(`${await emptyBucket(centers.first.s3)} objects deleted`);
    await destroyKey(centers.first.kms);
  });
  await report.step('the same credentials are tried on the second one', async (say) => {
    const { versions, kept, locked, overwritten } = await attackReplica(centers.second.s3, centers.replicator);
    say(`${kept} of ${versions} deletions refused, ${locked} of ${versions} locks not to be shortened, ${overwritten} names overwritten`);
    if (versions === 0 || kept < versions || locked < versions) throw new Error('something in the second data center could be deleted or unlocked');
    if (overwritten === 0) throw new Error('nothing could be overwritten: the attack was none');
  });
  await report.step('the first data center is gone', () => Promise.all([centers.first.s3.stop(), centers.first.kms.stop()]));
  await afterTheAttack(report, centers);
}

async function startCenters(started: (stop: () => Promise<void>) => void): Promise<Centers> {
  const folder = await mkdtemp(join(tmpdir(), 'tenant-backup-disaster-'));
  started(() => rm(folder, { recursive: true, force: true }));
  const service = async <T extends { readonly stop: () => Promise<void> }>(starting: Promise<T>): Promise<T> => {
    const it = await starting;
    started(it.stop);
    return it;
  };
  const [a, b, kmsA, kmsB] = await Promise.all([service(startS3()), service(startS3({ objectLock: true })), service(startKms()), service(startKms())]);
  const [replicator, prober] = [replicatorUser(b.bucket), proberUser(b.bucket)];
  const root = { accessKeyId: b.rootAccessKeyId, secretAccessKey: b.rootSecretAccessKey };
  await setUpS3({ endpoint: b.endpoint, root, bucket: b.bucket, objectLock: true, users: [replicator, prober] });
  const secrets = new Map(Object.entries({ first: a, second: replicator, probe: prober, 'kms-a': kmsA, 'kms-b': kmsB }).map(([name, { accessKeyId, secretAccessKey }]) => [name, { accessKeyId, secretAccessKey }]));
  return { folder, first: { s3: a, kms: kmsA }, second: { s3: b, kms: kmsB }, replicator, secrets };
}

async function beforeTheAttack(report: Report, { folder, first, second, secrets }: Centers): Promise<void> {
  const cluster = await report.step(`a cluster in the first one, with ${CUSTOMERS.length} customers`, () => startCluster(join(folder, 'first'), secrets));
  try {
    const replica = { s3: bucketOf(second.s3, 'second'), kms: kmsOf(second.kms, 'kms-b'), probeCredentialsSecretRef: { name: 'probe' }, objectLock: { retainFor: '10m' }, replication: { schedule: '0 0 1 1 *' } };
    await cluster.client(resourceTypes.backupLocations).create({ apiVersion, kind: 'BackupLocation', metadata: { name: 'here' }, spec: { s3: bucketOf(first.s3, 'first'), kms: kmsOf(first.kms, 'kms-a'), replica } });
    for (const [index, namespace] of CUSTOMERS.entries()) {
      await cluster.client(resourceTypes.namespaces).create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
      await cluster.claim(namespace, 'data');
      buildTree(cluster.volumeOf(namespace), { seed: index + 1, files: 200 });
      await cluster.client(resourceTypes.backupPolicies).create({ apiVersion, kind: 'BackupPolicy', metadata: { name: 'daily', namespace }, spec: { location: 'here', copyMethod: 'Direct' } });
      await report.step(`${namespace} is backed up`, async (say) => {
        await cluster.client(resourceTypes.backups).create({ apiVersion, kind: 'Backup', metadata: { name: 'night', namespace }, spec: { policy: 'daily' } });
        const { status } = await storedBackup(cluster, namespace);
        say(`snapshot ${status?.snapshotId?.slice(0, 8) ?? ''}`);
      });
    }
    await report.step('its records are written', () => recordsWritten(cluster));
    await report.step('the night: everything is copied into the second data center, each object under its own lock', async (say) => {
      await cluster.client(resourceTypes.backupLocations).patch('here', undefined, { metadata: { annotations: { 'backup.dupp.de/replicate': 'now' } } });
      const { status } = await cluster.until('the copy', async () => ((is) => (['Completed', 'Failed'].includes(is?.status?.replication?.phase ?? '') ? is : undefined))(await cluster.client<BackupLocation>(resourceTypes.backupLocations).get('here')));
      say(`${status?.replication?.tenantsDone ?? 0} of ${status?.replication?.tenants ?? 0} customers`);
      if (status?.replication?.phase !== 'Completed' || status.replication.tenantsDone !== CUSTOMERS.length) throw new Error(`the copy ended ${status?.replication?.phase ?? ''}`);
    });
  } finally {
    await cluster.stop();
  }
}

async function afterTheAttack(report: Report, { folder, second, secrets }: Centers): Promise<void> {
  const cluster = await report.step('an empty cluster that knows the second bucket and its KMS, and nothing else', () => startCluster(join(folder, 'second'), secrets));
  try {
    await report.step('BackupLocation with recover: true', async (say) => {
      await cluster.client(resourceTypes.backupLocations).create({ apiVersion, kind: 'BackupLocation', metadata: { name: 'second' }, spec: { recover: true, s3: bucketOf(second.s3, 'second'), kms: kmsOf(second.kms, 'kms-b') } });
      for (const namespace of CUSTOMERS) say(`${namespace}: ${(await storedBackup(cluster, namespace)).metadata.name} is back`);
    });
    for (const namespace of CUSTOMERS) {
      await report.step(`${namespace} is restored, and every byte compared`, async () => {
        await cluster.claim(namespace, 'data');
        await cluster.client(resourceTypes.restores).create({ apiVersion, kind: 'Restore', metadata: { name: 'back', namespace }, spec: { source: { backup: 'night' }, safetyBackup: 'Skip' } });
        const { status } = await cluster.until('the restore', async () => ((is) => (['Succeeded', 'Failed'].includes(is?.status?.phase ?? '') ? is : undefined))(await cluster.client<Restore>(resourceTypes.restores).get('back', namespace)), 120_000);
        if (status?.phase !== 'Succeeded') throw new Error(status?.conditions?.map(({ message }) => message).join('; '));
        const differences = compareTrees(join(folder, 'first', `volume-${namespace}`), cluster.volumeOf(namespace));
        if (differences.length > 0) throw new Error(`it came back changed: ${differences.slice(0, 5).join('; ')}`);
      });
    }
  } finally {
    await cluster.stop();
  }
}

function startCluster(folder: string, secrets: Centers['secrets']): Promise<PlayedCluster> {
  return PlayedCluster.start(folder, secrets);
}

function storedBackup(cluster: PlayedCluster, namespace: string): Promise<Backup> {
  return cluster.until(`the backup of ${namespace}`, async () => ((is) => (is?.status?.phase === 'Stored' ? is : undefined))(await cluster.client<Backup>(resourceTypes.backups).get('night', namespace)), 120_000);
}

/** What a recovery goes by. What is stored after a record was written is gathered for ten seconds into the next. */
async function recordsWritten(cluster: PlayedCluster): Promise<void> {
  await cluster.until('the records', async () => {
    const { items } = await cluster.client<BackupTenant>(resourceTypes.backupTenants).list();
    return items.length === CUSTOMERS.length && items.every(({ metadata }) => metadata.annotations?.['backup.dupp.de/record'] !== undefined) ? items : undefined;
  });
  await sleep(11_000);
}

function bucketOf({ bucket, endpoint, region }: S3Service, secret: string): object {
  return { bucket, prefix: 'main', endpoint, region, credentialsSecretRef: { name: secret } };
}

function kmsOf({ endpoint, region, keyId }: KmsService, secret: string): object {
  return { provider: 'aws', aws: { endpoint, region, keyId, credentialsSecretRef: { name: secret }, moverCredentialsSecretRef: { name: secret } } };
}

const report = startReport();
const stops: (() => Promise<void>)[] = [];
try {
  await demo(report, (stop) => stops.push(stop));
  process.stdout.write(`\nEvery customer is back from the second data center alone, after ${report.seconds().toFixed(0)} s.\n`);
} catch (error) {
  process.stdout.write(`\nThe drill failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  process.exitCode = 1;
} finally {
  // What was stopped as part of the drill is stopped again, which does nothing.
  for (const stop of stops.reverse()) await stop().catch(() => undefined);
}
