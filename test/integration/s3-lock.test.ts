import { DeleteObjectCommand, GetObjectCommand, ListObjectVersionsCommand, S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { openStore, type ObjectStore } from '../../src/storage/index.ts';
import { startS3, type S3Service } from '../support/services.ts';
import { startVersity } from '../support/versity.ts';

const MINUTE = 60_000;

describe.each([
  ['MinIO', startS3],
  ['Versity', startVersity],
] as const)('a locked bucket of %s', (_, start) => {
  let service: S3Service;
  let root: S3Client;
  let store: ObjectStore;

  beforeAll(async () => {
    service = await start({ objectLock: true });
    const { endpoint, region, bucket, accessKeyId, secretAccessKey, rootAccessKeyId, rootSecretAccessKey } = service;
    root = new S3Client({ endpoint, region, forcePathStyle: true, credentials: { accessKeyId: rootAccessKeyId, secretAccessKey: rootSecretAccessKey } });
    store = await openStore(`s3://${bucket}/locked?endpoint=${endpoint}&region=${region}`, {
      s3: { credentials: { accessKeyId, secretAccessKey }, partSize: 5 * 1024 * 1024 },
      retry: { attempts: 1 },
    });
  });
  afterAll(async () => {
    await store.close();
    root.destroy();
    await service.stop();
  });

  it.each([
    ['in one request', 1_000],
    ['in parts', 6_000_000],
  ])('keeps a version that was put %s, whatever is done on top of it', async (how, size) => {
    const key = `object ${how}`;
    const body = Buffer.alloc(size, 7);
    const retention = { mode: 'COMPLIANCE', until: new Date(Date.now() + MINUTE) } as const;

    await store.put(key, body, { retention, ifAbsent: true });
    await store.put(key, Buffer.from('another version'));
    await store.delete(key);

    expect(await store.head(key)).toBeUndefined();
    const { Versions = [], DeleteMarkers = [] } = await root.send(new ListObjectVersionsCommand({ Bucket: service.bucket, Prefix: `locked/${key}` }));
    expect([Versions.length, DeleteMarkers.length]).toEqual([2, 1]);
    const oldest = { Bucket: service.bucket, Key: `locked/${key}`, VersionId: Versions.find(({ Size }) => Size === size)?.VersionId };
    await expect(root.send(new DeleteObjectCommand(oldest))).rejects.toThrow(/WORM|object lock/i);
    const { Body } = await root.send(new GetObjectCommand(oldest));
    expect(body.equals((await Body?.transformToByteArray()) ?? new Uint8Array())).toBe(true);
  });
});
