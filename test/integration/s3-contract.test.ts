import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomBytes, randomUUID } from 'node:crypto';
import { openStore, type ObjectStore, type OpenStoreOptions } from '../../src/storage/index.ts';
import { describeObjectStore } from '../contract/object-store-suite.ts';
import { startS3, type S3Service } from '../support/services.ts';

let service: S3Service;

beforeAll(async () => {
  service = await startS3();
});
afterAll(() => service.stop());

function open(options: OpenStoreOptions['s3'] = {}): Promise<ObjectStore> {
  const { endpoint, region, bucket, accessKeyId, secretAccessKey } = service;
  return openStore(`s3://${bucket}/suite-${randomUUID()}/?endpoint=${endpoint}&region=${region}`, {
    s3: { credentials: { accessKeyId, secretAccessKey }, ...options },
  });
}

describeObjectStore('S3', async () => ({ store: await open(), dispose: () => Promise.resolve() }));

describeObjectStore('S3, bodies in parts of 5 MiB', async () => ({
  store: await open({ partSize: 5 * 1024 * 1024 }),
  dispose: () => Promise.resolve(),
}));

describe('S3 uploads', () => {
  it('refuses bytes that are not those of the SHA-256 that was given, and stores nothing', async () => {
    const store = await open();
    const put = store.put('wrong', randomBytes(1000), { sha256: randomBytes(32) });
    await expect(put).rejects.toMatchObject({ name: 'StorageError' });
    expect(await store.head('wrong')).toBeUndefined();
    await store.close();
  });

  it('puts a large body in parts only where the name is free', async () => {
    const store = await open({ partSize: 5 * 1024 * 1024 });
    const body = [randomBytes(6_000_000), randomBytes(6_000_000)];
    await store.put('large', body, { ifAbsent: true });
    await expect(store.put('large', body, { ifAbsent: true })).rejects.toMatchObject({ code: 'AlreadyExists' });
    expect(Buffer.concat(body).equals(await store.get('large'))).toBe(true);
    await store.close();
  });
});
