import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomBytes, randomUUID } from 'node:crypto';
import { openStore, type ObjectStore, type OpenStoreOptions } from '../../src/storage/index.ts';
import { describeObjectStore } from '../contract/object-store-suite.ts';
import { startS3, type S3Service } from '../support/services.ts';
import { startVersity } from '../support/versity.ts';

const SERVICES = [
  ['MinIO', startS3],
  ['Versity', startVersity],
] as const;

describe.each(SERVICES)('%s', (name, start) => {
  let service: S3Service;

  beforeAll(async () => {
    service = await start();
  });
  afterAll(() => service.stop());

  function open(options: OpenStoreOptions['s3'] = {}, attempts = 8, bucket = service.bucket): Promise<ObjectStore> {
    const { endpoint, region, accessKeyId, secretAccessKey } = service;
    return openStore(`s3://${bucket}/suite-${randomUUID()}/?endpoint=${endpoint}&region=${region}`, {
      s3: { credentials: { accessKeyId, secretAccessKey }, ...options },
      retry: { attempts },
    });
  }

  describeObjectStore(name, async () => ({ store: await open(), dispose: () => Promise.resolve() }));

  describeObjectStore(`${name}, bodies in parts of 5 MiB`, async () => ({
    store: await open({ partSize: 5 * 1024 * 1024 }),
    dispose: () => Promise.resolve(),
  }));

  describe('uploads', () => {
    it('refuses bytes that are not those of the SHA-256 that was given, and stores nothing', async () => {
      const store = await open({}, 1);
      const put = store.put('wrong', randomBytes(1000), { sha256: randomBytes(32) });
      await expect(put).rejects.toMatchObject({ name: 'StorageError', retryable: true, message: expect.stringContaining('not those that were sent') });
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

  describe('refusals', () => {
    it.each([
      ['a wrong secret key', { secretAccessKey: 'w'.repeat(40) }, 'BadCredentials', 'secret key is wrong'],
      ['a key id that it does not know', { accessKeyId: 'NOSUCHKEYIDATALL1234' }, 'BadCredentials', 'access key'],
    ] as const)('of %s are told as such', async (_, wrong, code, words) => {
      const { accessKeyId, secretAccessKey } = service;
      const store = await open({ credentials: { accessKeyId, secretAccessKey, ...wrong } }, 1);
      for (const call of [() => store.get('k'), () => store.head('k'), () => store.put('k', Buffer.from('x')), () => store.delete('k'), () => firstOf(store)]) {
        await expect(call()).rejects.toMatchObject({ code, retryable: false, message: expect.stringContaining(words) });
      }
      await store.close();
    });

    it('of a bucket that does not exist are told as such', async () => {
      // As root: to whom a bucket is forbidden, a service does not tell whether it exists.
      const { rootAccessKeyId, rootSecretAccessKey } = service;
      const store = await open({ credentials: { accessKeyId: rootAccessKeyId, secretAccessKey: rootSecretAccessKey } }, 1, 'no-such-bucket-here');
      const refused = { code: 'BucketMissing', retryable: false, message: expect.stringContaining('no-such-bucket-here') };
      for (const call of [() => store.get('k'), () => store.put('k', Buffer.from('x')), () => firstOf(store)]) await expect(call()).rejects.toMatchObject(refused);
      await store.close();
    });

    it('of another region are told as such', async () => {
      const { endpoint, bucket, accessKeyId, secretAccessKey } = service;
      const store = await openStore(`s3://${bucket}?endpoint=${endpoint}&region=mars-north-1`, { s3: { credentials: { accessKeyId, secretAccessKey } }, retry: { attempts: 1 } });
      await expect(store.put('k', Buffer.from('x'))).rejects.toMatchObject({ code: 'BadCredentials', retryable: false, message: expect.stringContaining(name === 'MinIO' ? `region=${service.region}` : 'region') });
      await store.close();
    });

    it('of a lock in a bucket without Object Lock are told as such', async () => {
      const store = await open({}, 1);
      const put = store.put('k', Buffer.from('x'), { retention: { mode: 'COMPLIANCE', until: new Date(Date.now() + 60_000) } });
      await expect(put).rejects.toMatchObject({ code: 'Unsupported', retryable: false });
      await store.close();
    });
  });
});

async function firstOf(store: ObjectStore): Promise<unknown> {
  for await (const info of store.list('')) return info;
  return undefined;
}
