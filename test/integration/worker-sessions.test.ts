// What the workers that copy and collect hold: sessions that reach what their task takes, and nothing else.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { BackupLocation, MoverCredentials } from '../../src/api/index.ts';
import { RealReplicationAccess } from '../../src/cmd/operator/replication-access.ts';
import { collectLocation, replicateLocation } from '../../src/mover/index.ts';
import { openStore, s3Url, type ObjectStore, type S3Credentials } from '../../src/storage/index.ts';
import { startTogether } from '../support/loopback-process.ts';
import { FakeTenant, keysOf } from '../support/replicated-tenant.ts';
import { startS3, type S3Service } from '../support/services.ts';
import { startVersity } from '../support/versity.ts';

const LOCK = { mode: 'GOVERNANCE', retainForMs: 60_000 } as const;

describe('workers', () => {
  let first: S3Service;
  let second: S3Service;
  let tenant: FakeTenant;
  const open = (service: S3Service, credentials: S3Credentials, prefix = 'main') => openStore(s3Url({ endpoint: service.endpoint, region: service.region, bucket: service.bucket, forcePathStyle: true }, prefix), { s3: { credentials }, retry: { attempts: 1 } });
  const asS3 = ({ s3 }: MoverCredentials): S3Credentials => ({ ...s3, expiration: new Date(s3.expiration ?? 0) }) as S3Credentials;
  const bucket = (service: S3Service, secret: string, mode = 'Auto') => ({ bucket: service.bucket, prefix: 'main', endpoint: service.endpoint, region: service.region, forcePathStyle: true, credentialsSecretRef: { name: secret }, sts: { mode, sessionDuration: '15m' } });
  const location = (mode?: string, replicaOf = second) =>
    ({
      metadata: { name: 'here' },
      spec: { s3: bucket(first, 'first', mode), replica: { mode: 'Push', s3: bucket(replicaOf, 'second', mode), objectLock: {}, replication: {}, probeCredentialsSecretRef: { name: 'second' }, collectorCredentialsSecretRef: { name: 'second' } } },
    }) as unknown as BackupLocation;
  const access = () =>
    new RealReplicationAccess({ lookup: (name) => ((of) => ({ accessKeyId: of.accessKeyId, secretAccessKey: of.secretAccessKey }))(name === 'first' ? first : second), namespace: 'default' });
  const signal = () => AbortSignal.timeout(30_000);
  const common = { lock: LOCK, shard: 0, shards: 1, tenants: undefined, released: [], now: () => Date.now(), onProgress: () => undefined };

  beforeAll(async () => {
    [first, second] = await startTogether([startS3(), startS3({ objectLock: true })]);
    const store = await open(first, first);
    tenant = await new FakeTenant(store, () => new Date()).begin();
    await tenant.backup();
    await store.put('elsewhere', Buffer.from('x'));
    await store.close();
  }, 120_000);
  afterAll(() => Promise.all([first.stop(), second.stop()]));

  async function opened(task: 'replicate' | 'collect'): Promise<{ source: ObjectStore; replica: ObjectStore }> {
    const { files, expiresAt, shared } = await access().credentials(location(), task, signal());
    expect(shared).toEqual([]);
    expect(expiresAt).toBeGreaterThan(Date.now() + 10 * 60_000);
    return { source: await open(first, asS3(files['source.json'] ?? files['replica.json']!)), replica: await open(second, asS3(files['replica.json']!)) };
  }

  it('copy with sessions that read the first bucket, put into the second, and delete in neither', async () => {
    const { source, replica } = await opened('replicate');
    const outcome = await replicateLocation({ ...common, source, replica, concurrency: 4, signal: signal() });
    expect(outcome).toMatchObject({ tenants: [{ tenant: tenant.id, state: 'done' }] });

    const [key] = await keysOf(source, `tenants/${tenant.id}/`);
    const denied = { code: 'AccessDenied' };
    await expect(source.put(`tenants/${tenant.id}/tenant/9.json`, Buffer.from('{}'))).rejects.toMatchObject(denied);
    await expect(source.delete(key!)).rejects.toMatchObject(denied);
    await expect(source.get('elsewhere')).rejects.toMatchObject(denied);
    await source.put('replication/run-0.json', Buffer.from('{}'), { ifAbsent: true });
    await expect(replica.delete(key!)).rejects.toMatchObject(denied);
    await expect(replica.put('elsewhere', Buffer.from('x'))).rejects.toMatchObject(denied);
    for await (const { versions } of replica.versions!.list(key!)) await expect(replica.versions!.remove(key!, versions[0]!.versionId)).rejects.toMatchObject({ code: expect.stringMatching(/AccessDenied|Locked/) });
    await Promise.all([source.close(), replica.close()]);
  });

  it('collect with a session that deletes among the tenants alone', async () => {
    const { replica } = await opened('collect');
    expect(await collectLocation({ ...common, replica, dryRun: false, signal: signal() })).toMatchObject({ tenants: [{ state: 'done' }] });
    await expect(replica.put(`tenants/${tenant.id}/tenant/9.json`, Buffer.from('{}'))).rejects.toMatchObject({ code: 'AccessDenied' });
    await expect(replica.delete('probe/one')).rejects.toMatchObject({ code: 'AccessDenied' });
    await replica.put('replication/run-c1-0.json', Buffer.from('{}'), { ifAbsent: true });
    await replica.close();
  });

  it('get the buckets\' own credentials where there is no STS, and it is told; `Required` refuses', async () => {
    const without = await startVersity({ objectLock: true });
    try {
      const { files, expiresAt, shared } = await access().credentials(location('Auto', without), 'replicate', signal());
      expect(files['source.json']?.s3.sessionToken).toBeDefined();
      expect(files['replica.json']?.s3.sessionToken).toBeUndefined();
      expect(expiresAt).toBeDefined();
      expect(shared).toEqual([expect.stringContaining(without.bucket)]);
      await expect(access().credentials(location('Required', without), 'replicate', signal())).rejects.toMatchObject({ name: 'PortError' });
    } finally {
      await without.stop();
    }
  });
});
