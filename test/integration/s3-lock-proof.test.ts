// The proof that nothing in the second bucket can be deleted early, against two S3 services that answer with words of their own.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { CreateBucketCommand, ListObjectVersionsCommand, PutBucketVersioningCommand, PutObjectLockConfigurationCommand, S3Client } from '@aws-sdk/client-s3';
import { proveObjectLock, type LockProof, type LockProofRequest } from '../../src/storage/index.ts';
import { proberUser, replicatorUser, setUpS3, type Credentials, type S3User } from '../ground/s3.ts';
import { startS3, type S3Service } from '../support/services.ts';
import { startVersity } from '../support/versity.ts';

const BUCKETS = { lockable: true, plain: false } as const;

interface Asked {
  readonly bucket?: string;
  readonly writer?: Credentials;
  readonly prober?: Credentials;
  readonly mode?: LockProofRequest['mode'];
}

function prove(service: S3Service, asked: Asked = {}): Promise<LockProof> {
  const root = { accessKeyId: service.rootAccessKeyId, secretAccessKey: service.rootSecretAccessKey };
  return proveObjectLock({
    address: { kind: 's3', bucket: asked.bucket ?? service.bucket, prefix: 'copy/', endpoint: service.endpoint, region: service.region, pathStyle: true },
    connection: { credentials: asked.writer ?? root },
    prober: asked.prober ?? root,
    mode: asked.mode ?? 'COMPLIANCE',
    now: Date.now(),
  });
}

function rootOf(service: S3Service): S3Client {
  const credentials = { accessKeyId: service.rootAccessKeyId, secretAccessKey: service.rootSecretAccessKey };
  return new S3Client({ endpoint: service.endpoint, region: service.region, forcePathStyle: true, credentials });
}

describe('a MinIO', () => {
  let service: S3Service;
  let client: S3Client;
  let writer: S3User;
  let prober: S3User;

  beforeAll(async () => {
    service = await startS3({ objectLock: true });
    client = rootOf(service);
    [writer, prober] = [replicatorUser(service.bucket), proberUser(service.bucket)];
    const root = { accessKeyId: service.rootAccessKeyId, secretAccessKey: service.rootSecretAccessKey };
    await setUpS3({ endpoint: service.endpoint, root, bucket: service.bucket, objectLock: true, users: [writer, prober] });
    for (const [bucket, ObjectLockEnabledForBucket] of Object.entries(BUCKETS)) await client.send(new CreateBucketCommand({ Bucket: bucket, ObjectLockEnabledForBucket }));
  });
  afterAll(async () => {
    client.destroy();
    await service.stop();
  });

  it.each(['COMPLIANCE', 'GOVERNANCE'] as const)('is proven to keep what is under a lock in mode %s', async (mode) => {
    expect(await prove(service, { writer, prober, mode })).toEqual({ kind: 'proven' });
  });

  it('keeps the probe under its lock, and no other version', async () => {
    const versions = async () => (await client.send(new ListObjectVersionsCommand({ Bucket: service.bucket, Prefix: 'copy/probe/' }))).Versions?.length ?? 0;
    const before = await versions();

    await prove(service, { writer, prober });

    expect(await versions()).toBe(before + 1);
  });

  it('is told of when whoever puts copies may delete them as well', async () => {
    expect(await prove(service, { prober })).toEqual({ kind: 'proven', warning: expect.stringContaining('may also delete versions whose lock has ended') });
  });

  it('is refused when a principal may bypass its locks', async () => {
    expect(await prove(service, { writer, mode: 'GOVERNANCE' })).toMatchObject({ kind: 'refuted', reason: 'NotImmutable' });
  });

  it('proves nothing by refusing somebody who may delete nothing at all', async () => {
    expect(await prove(service, { writer, prober: writer })).toMatchObject({ kind: 'refuted', reason: 'ProbePowerless', message: expect.stringContaining('s3:DeleteObjectVersion') });
  });

  it('proves nothing by refusing wrong credentials', async () => {
    const stranger = { accessKeyId: 'TBSTRANGER', secretAccessKey: 'not-the-secret-of-anybody' };
    expect(await prove(service, { writer, prober: stranger })).toMatchObject({ kind: 'refuted', reason: 'BadCredentials' });
  });

  it('is refused without versioning, and without Object Lock', async () => {
    expect(await prove(service, { bucket: 'plain' })).toMatchObject({ kind: 'refuted', reason: 'VersioningOff' });
    await client.send(new PutBucketVersioningCommand({ Bucket: 'plain', VersioningConfiguration: { Status: 'Enabled' } }));
    expect(await prove(service, { bucket: 'plain' })).toMatchObject({ kind: 'refuted', reason: 'ObjectLockOff' });
  });

  it('is refused with a default retention', async () => {
    const ObjectLockConfiguration = { ObjectLockEnabled: 'Enabled', Rule: { DefaultRetention: { Mode: 'GOVERNANCE', Days: 1 } } } as const;
    await client.send(new PutObjectLockConfigurationCommand({ Bucket: 'lockable', ObjectLockConfiguration }));
    expect(await prove(service, { bucket: 'lockable' })).toMatchObject({ kind: 'refuted', reason: 'DefaultRetention' });
  });

  it('is refused when there is no such bucket', async () => {
    expect(await prove(service, { bucket: 'nowhere' })).toMatchObject({ kind: 'refuted', reason: 'BucketMissing' });
  });
});

describe('a service that does not answer', () => {
  it('says nothing of the bucket', async () => {
    const nobody = { endpoint: 'http://127.0.0.1:9', region: 'us-east-1', bucket: 'copy', rootAccessKeyId: 'a', rootSecretAccessKey: 'b', accessKeyId: 'a', secretAccessKey: 'b', stop: () => Promise.resolve() };
    expect(await prove(nobody)).toMatchObject({ kind: 'unknown', reason: 'Unavailable' });
  });
});

describe('a Versity gateway, which has one principal', () => {
  it('is proven to keep what is under a lock, with the warning that its principal may delete what is not', async () => {
    const service = await startVersity({ objectLock: true });
    try {
      expect(await prove(service)).toEqual({ kind: 'proven', warning: expect.stringContaining('may also delete') });
    } finally {
      await service.stop();
    }
  });

  it('is refused without versioning', async () => {
    const service = await startVersity();
    try {
      expect(await prove(service)).toMatchObject({ kind: 'refuted', reason: expect.stringMatching(/VersioningOff|ObjectLockOff/) });
    } finally {
      await service.stop();
    }
  });
});
