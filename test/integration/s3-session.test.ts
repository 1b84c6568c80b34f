import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mintSession, openStore, tenantPrefix, tenantSessionPolicy, type ObjectStore, type S3Credentials } from '../../src/storage/index.ts';
import { startS3, type S3Service } from '../support/services.ts';

const OWN = 'a'.repeat(32);
const OTHER = 'b'.repeat(32);
const REFUSED = { name: 'StorageError', code: 'AccessDenied', retryable: false };

describe('a session that is confined to one tenant', () => {
  let service: S3Service;
  let whole: ObjectStore;
  let session: ObjectStore;

  beforeAll(async () => {
    service = await startS3();
    whole = await open(service);
    for (const tenant of [OWN, OTHER]) await whole.put(`${tenantPrefix('dc/one', tenant)}g1/config`, Buffer.from(tenant));
    await whole.put('dc/one/location.json', Buffer.from('{}'));
    session = await open(await mint(service, OWN));
  });
  afterAll(async () => {
    await Promise.all([whole.close(), session.close()]);
    await service.stop();
  });

  async function mint(credentials: S3Credentials, tenantId: string): Promise<S3Credentials> {
    return mintSession({
      endpoint: service.endpoint,
      region: service.region,
      credentials,
      policy: tenantSessionPolicy(service.bucket, 'dc/one', tenantId),
      durationSeconds: 900,
      sessionName: 'backup of tenant/one',
    });
  }

  function open({ accessKeyId, secretAccessKey, sessionToken }: S3Credentials): Promise<ObjectStore> {
    return openStore(`s3://${service.bucket}?endpoint=${service.endpoint}&region=${service.region}`, {
      s3: { credentials: { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) } },
    });
  }

  async function keys(store: ObjectStore, prefix: string): Promise<string[]> {
    const found: string[] = [];
    for await (const { key } of store.list(prefix)) found.push(key);
    return found;
  }

  it('ends at the time that was asked for', async () => {
    const { expiration } = await mintSession({
      endpoint: service.endpoint,
      region: service.region,
      credentials: service,
      policy: tenantSessionPolicy(service.bucket, '', OWN),
      durationSeconds: 900,
      sessionName: 'x',
    });
    expect(expiration.getTime() - Date.now()).toBeGreaterThan(840_000);
    expect(expiration.getTime() - Date.now()).toBeLessThan(960_000);
  });

  it('reads, writes, lists and deletes in its own prefix', async () => {
    const own = session.within(tenantPrefix('dc/one', OWN));
    expect(Buffer.from(await own.get('g1/config')).toString()).toBe(OWN);
    await own.put('g1/data/aa/x', Buffer.from('x'), { ifAbsent: true });
    expect(await keys(own, 'g1/')).toEqual(['g1/config', 'g1/data/aa/x']);
    expect(await own.head('g1/data/aa/x')).toMatchObject({ size: 1 });
    await own.deleteMany(['g1/data/aa/x']);
    expect(await own.head('g1/data/aa/x')).toBeUndefined();
  });

  it.each([`dc/one/tenants/${OTHER}/g1/config`, 'dc/one/location.json', `dc/one/tenants/${OWN}0/g1/config`, `tenants/${OWN}/g1/config`])(
    'is refused at %s',
    async (key) => {
      await expect(session.get(key)).rejects.toMatchObject(REFUSED);
      await expect(session.head(key)).rejects.toMatchObject(REFUSED);
      await expect(session.put(key, Buffer.from('x'))).rejects.toMatchObject(REFUSED);
      await expect(session.delete(key)).rejects.toMatchObject(REFUSED);
      await expect(session.deleteMany([key])).rejects.toMatchObject(REFUSED);
    },
  );

  it.each(['', 'dc/one/', 'dc/one/tenants/', `dc/one/tenants/${OTHER}/`, `dc/one/tenants/${OWN}`])('must not list below "%s"', async (prefix) => {
    await expect(keys(session, prefix)).rejects.toMatchObject(REFUSED);
  });

  it('leaves what it may not touch as it was', async () => {
    expect(Buffer.from(await whole.get(`${tenantPrefix('dc/one', OTHER)}g1/config`)).toString()).toBe(OTHER);
    expect(Buffer.from(await whole.get('dc/one/location.json')).toString()).toBe('{}');
  });

  it('says that the credentials are wrong when they are', async () => {
    const wrong = { accessKeyId: service.accessKeyId, secretAccessKey: 'not-the-secret-key' };
    await expect(mint(wrong, OWN)).rejects.toMatchObject({ code: 'BadCredentials', message: expect.stringContaining('secret key is wrong') });
    const nobody = { accessKeyId: 'NOBODYATALL12345', secretAccessKey: 'not-the-secret-key' };
    await expect(mint(nobody, OWN)).rejects.toMatchObject({ code: 'BadCredentials' });
  });
});
