// From a customer's backup to the copy in the second data center, and back on an empty cluster with the first one off: the operator as it is wired, a real
// API server and real S3 services, and the movers that its Jobs ask for, run by hand in place of a kubelet.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Backup, BackupLocation, BackupPolicy } from '../../src/api/index.ts';
import { resourceTypes } from '../../src/kube/index.ts';
import { openStore } from '../../src/storage/index.ts';
import { proberUser, replicatorUser, setUpS3 } from '../ground/s3.ts';
import { recoverOnEmptyCluster, untilStored } from '../support/empty-cluster.ts';
import { startTogether } from '../support/loopback-process.ts';
import { PlayedCluster } from '../support/played-cluster.ts';
import { startS3, type S3Service } from '../support/services.ts';

const VERSION = 'backup.dupp.de/v1alpha1';

let first: S3Service;
let second: S3Service;
const secrets = new Map<string, Readonly<Record<string, string>>>();
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tenant-backup-second-'));
  [first, second] = await startTogether([startS3(), startS3({ objectLock: true })]);
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


describe('the second data center', () => {
  it('has what was backed up, and gives it back on an empty cluster when the first one is gone, though somebody deleted all that could be', async () => {
    const content = randomBytes(3 * 1024 * 1024);
    const before = await PlayedCluster.start(join(folder, 'before'), secrets);
    try {
      await before.client(resourceTypes.namespaces).create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } });
      await before.claim('shop', 'data');
      await writeFile(join(before.volumeOf('shop'), 'orders.db'), content);
      const replica = { kms: kms('key-b'), s3: bucket(second, 'second'), probeCredentialsSecretRef: { name: 'probe' }, objectLock: { retainFor: '60s' }, replication: { shards: 2, schedule: '0 0 1 1 *' } };
      await before.client(resourceTypes.backupLocations).create({ apiVersion: VERSION, kind: 'BackupLocation', metadata: { name: 'here' }, spec: { s3: bucket(first, 'first'), kms: kms('key-a'), replica } });
      await before.client(resourceTypes.backupPolicies).create({ apiVersion: VERSION, kind: 'BackupPolicy', metadata: { name: 'daily', namespace: 'shop' }, spec: { location: 'here', copyMethod: 'Direct' } });
      await before.client(resourceTypes.backups).create({ apiVersion: VERSION, kind: 'Backup', metadata: { name: 'one', namespace: 'shop' }, spec: { policy: 'daily' } });
      await untilStored(before);
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
    const after = await recoverOnEmptyCluster(join(folder, 'after'), secrets, { s3: bucket(second, 'second'), kms: kms('key-b') }, 'orders.db');
    expect(after.succeeded).toMatchObject({ status: 'True' });
    expect(after.bytes?.equals(content)).toBe(true);
    expect(after.failures).toEqual([]);
  }, 240_000);
});
