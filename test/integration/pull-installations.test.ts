// Two installations in two clusters: the first makes backups and knows no way into the second data center, the second one's reads the first with a reader's rights
// and copies by itself. The operators as they are wired, real API servers and real S3 services, and the movers that their Jobs ask for, run by hand in place of kubelets.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { API_VERSION, type BackupLocation, type BackupPolicy } from '../../src/api/index.ts';
import { resourceTypes } from '../../src/kube/index.ts';
import { openStore } from '../../src/storage/index.ts';
import { proberUser, readerUser, replicatorUser, setUpS3 } from '../ground/s3.ts';
import { recoverOnEmptyCluster, untilStored } from '../support/empty-cluster.ts';
import { startTogether } from '../support/loopback-process.ts';
import { PlayedCluster } from '../support/played-cluster.ts';
import { startS3, type S3Service } from '../support/services.ts';

type Secrets = ReadonlyMap<string, Readonly<Record<string, string>>>;

let first: S3Service;
let second: S3Service;
/** What each installation has: neither has what the other one has, but for the key that the first one wraps for the second. */
let ofFirst: Secrets;
let ofSecond: Secrets;
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tenant-backup-pull-'));
  [first, second] = await startTogether([startS3(), startS3({ objectLock: true })]);
  const [writer, prober, reader] = [replicatorUser(second.bucket), proberUser(second.bucket), readerUser(first.bucket)];
  await setUpS3({ endpoint: second.endpoint, root: rootOf(second), bucket: second.bucket, objectLock: true, users: [writer, prober] });
  await setUpS3({ endpoint: first.endpoint, root: rootOf(first), bucket: first.bucket, objectLock: false, users: [reader] });
  const access = ({ accessKeyId, secretAccessKey }: { accessKeyId: string; secretAccessKey: string }) => ({ accessKeyId, secretAccessKey });
  const [a, b] = [0, 1].map(() => ({ key: randomBytes(32).toString('base64') }));
  ofFirst = new Map(Object.entries({ writer: access(first), 'key-a': a ?? {}, 'key-b': b ?? {} }));
  ofSecond = new Map(Object.entries({ writer: access(writer), probe: access(prober), reader: access(reader), 'key-b': b ?? {} }));
}, 120_000);

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
  await Promise.all([first.stop(), second.stop()]);
});

const rootOf = ({ rootAccessKeyId, rootSecretAccessKey }: S3Service) => ({ accessKeyId: rootAccessKeyId, secretAccessKey: rootSecretAccessKey });
const bucket = ({ bucket: name, endpoint, region }: S3Service, secret: string) => ({ bucket: name, prefix: 'main', endpoint, region, credentialsSecretRef: { name: secret } });
const kms = (name: string) => ({ provider: 'local', local: { secretRef: { name } } });
const named = (kind: string, name: string, spec: object, namespace?: string) => ({ apiVersion: API_VERSION, kind, metadata: { name, ...(namespace === undefined ? {} : { namespace }) }, spec });

async function emptyFirst(): Promise<void> {
  const store = await openStore(`s3://${first.bucket}/main?endpoint=${first.endpoint}&region=${first.region}`, { s3: { credentials: rootOf(first) } });
  try {
    const keys: string[] = [];
    for await (const { key } of store.list('')) keys.push(key);
    await store.deleteMany(keys);
  } finally {
    await store.close();
  }
}

const locationOf = (cluster: PlayedCluster, name: string) => cluster.client<BackupLocation>(resourceTypes.backupLocations).get(name);

/** A copy that is asked for, and what came of it. */
async function copyNow(cluster: PlayedCluster, name: string, stamp: string): Promise<BackupLocation> {
  const runBefore = (await locationOf(cluster, name))?.status?.replication?.runId;
  await cluster.client(resourceTypes.backupLocations).patch(name, undefined, { metadata: { annotations: { 'backup.dupp.de/replicate': stamp } } });
  return cluster.until(`the copy ${stamp}`, async () => {
    const found = await locationOf(cluster, name);
    const { phase, runId } = found?.status?.replication ?? {};
    return runId !== runBefore && (phase === 'Completed' || phase === 'Failed') ? found : undefined;
  });
}

describe('a second installation that pulls', () => {
  it('has what the first one has, says so where it is, raises an alarm when that is emptied, and gives everything back to an empty cluster', async () => {
    const content = randomBytes(3 * 1024 * 1024);
    const [here, there] = await startTogether([PlayedCluster.start(join(folder, 'first'), ofFirst), PlayedCluster.start(join(folder, 'second'), ofSecond)]);
    try {
      await here.client(resourceTypes.namespaces).create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } });
      await here.claim('shop', 'data');
      await writeFile(join(here.volumeOf('shop'), 'orders.db'), content);
      await here.client(resourceTypes.backupLocations).create(named('BackupLocation', 'here', { s3: bucket(first, 'writer'), kms: kms('key-a'), replica: { mode: 'Pull', kms: kms('key-b') } }));
      await here.client(resourceTypes.backupPolicies).create(named('BackupPolicy', 'daily', { location: 'here', copyMethod: 'Direct' }, 'shop'));
      await here.client(resourceTypes.backups).create(named('Backup', 'one', { policy: 'daily' }, 'shop'));
      await untilStored(here);
      await here.until('its record', async () => (await here.client(resourceTypes.backupTenants).list()).items.find(({ metadata }) => metadata.annotations?.['backup.dupp.de/record'] !== undefined));
      // What is stored after the record that was seen has another one; gathering takes ten seconds.
      await sleep(11_000);

      const pull = { from: bucket(first, 'reader'), probeCredentialsSecretRef: { name: 'probe' }, objectLock: { retainFor: '60s' }, replication: { shards: 2, schedule: '0 0 1 1 *' } };
      await there.client(resourceTypes.backupLocations).create(named('BackupLocation', 'there', { s3: bucket(second, 'writer'), kms: kms('key-b'), pull }));
      await there.until('the location', async () => ((is) => (is?.status?.phase === 'Ready' ? is : undefined))(await locationOf(there, 'there')));
      expect((await copyNow(there, 'there', 'once')).status?.replication).toMatchObject({ phase: 'Completed', tenants: 1, tenantsDone: 1, tenantsDiverged: 0 });
      await there.until('what the second one says', async () => (await locationOf(there, 'there'))?.status?.conditions?.find(({ type, status }) => type === 'Replicated' && status === 'True'));
      // Of what is copied elsewhere the first one knows nothing, and says so.
      await here.until('what the first one says', async () => (await here.client<BackupPolicy>(resourceTypes.backupPolicies).get('daily', 'shop'))?.status?.conditions?.find(({ type, reason }) => type === 'Replicated' && reason === 'PulledElsewhere'));
      expect([...here.failures, ...there.failures]).toEqual([]);

      await emptyFirst();

      expect((await copyNow(there, 'there', 'twice')).status?.replication).toMatchObject({ tenantsDiverged: 1 });
      await there.until('the alarm', async () => (await locationOf(there, 'there'))?.status?.conditions?.find(({ type, status }) => type === 'ReplicaDiverged' && status === 'True'));
    } finally {
      await Promise.all([here.stop(), there.stop(), first.stop()]);
    }

    const after = await recoverOnEmptyCluster(join(folder, 'after'), ofSecond, { s3: bucket(second, 'writer'), kms: kms('key-b') }, 'orders.db');
    expect(after.succeeded).toMatchObject({ status: 'True' });
    expect(after.bytes?.equals(content)).toBe(true);
    expect(after.failures).toEqual([]);
  }, 300_000);
});
