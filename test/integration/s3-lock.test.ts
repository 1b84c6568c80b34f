import { DeleteObjectCommand, GetObjectCommand, ListObjectVersionsCommand, S3Client } from '@aws-sdk/client-s3';
import { hash, randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { copyRepository } from '../../src/mover/copy.ts';
import { MemoryStore, openStore, type ObjectStore } from '../../src/storage/index.ts';
import { startS3, type S3Service } from '../support/services.ts';
import { hasAttributes, startVersity } from '../support/versity.ts';

const MINUTE = 60_000;

const services = [
  ['MinIO', startS3],
  ...(hasAttributes() ? [['Versity', (options: { readonly objectLock: boolean }) => startVersity({ ...options, inAttributes: true })] as const] : []),
] as const;

describe.each(services)('a locked bucket of %s', (_, start) => {
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

  it('tells what its clock shows, by which its locks end', async () => {
    const { versions } = store.within('anything');
    await store.head('anything');
    const time = versions?.serviceTime?.() ?? 0;
    expect(Math.abs(time - Date.now())).toBeLessThan(5000);
  });

  it.each([
    ['in one request', 1_000],
    ['in parts', 6_000_000],
  ])('takes a name under a delete marker for a free one, put %s, and any other for taken', async (how, size) => {
    const key = `marked ${how}`;
    await store.put(key, Buffer.alloc(size, 1), { ifAbsent: true });
    await expect(store.put(key, Buffer.alloc(size, 2), { ifAbsent: true })).rejects.toMatchObject({ code: 'AlreadyExists' });
    await store.delete(key);
    await store.put(key, Buffer.alloc(size, 3), { ifAbsent: true });
    await expect(store.put(key, Buffer.alloc(size, 4), { ifAbsent: true })).rejects.toMatchObject({ code: 'AlreadyExists' });
    expect((await store.get(key))[0]).toBe(3);
  });

  it('lists every version of every name once, over pages that end in the middle of a name, and from any place on', async () => {
    const many = store.within('many');
    const names = Array.from({ length: 340 }, (_, index) => `${String(index).padStart(4, '0')}/object`);
    const queue = names.values();
    const worker = async (): Promise<void> => {
      for (const name of queue) for (const body of ['a', 'bb', 'ccc']) await many.put(name, Buffer.from(body));
    };
    await Promise.all(Array.from({ length: 16 }, worker));
    await many.delete('0007/object');
    const list = async (startAfter?: string) => {
      const found: { key: string; sizes: number[]; markers: number; isHidden: boolean }[] = [];
      for await (const { key, versions, markers, isHidden } of many.versions!.list('', startAfter === undefined ? {} : { startAfter })) {
        found.push({ key, sizes: versions.map(({ size }) => size), markers: markers.length, isHidden });
      }
      return found;
    };

    const due = names.map((key) => ({ key, sizes: [1, 2, 3], markers: Number(key === '0007/object'), isHidden: key === '0007/object' }));
    expect(await list()).toEqual(due);
    expect(await list('0100')).toEqual(due.slice(100));
    expect(await list('0100/object')).toEqual(due.slice(101));
  });

  it('is refilled by a copy after somebody deleted what was in it', async () => {
    const source = new MemoryStore();
    await source.put('config', Buffer.from('config'));
    for (const folder of ['keys', 'data', 'index', 'snapshots']) {
      const content = randomBytes(2_000);
      const id = hash('sha256', content, 'hex');
      await source.put(folder === 'data' ? `data/${id.slice(0, 2)}/${id}` : `${folder}/${id}`, content);
    }
    const target = store.within('copied');
    const lock = { mode: 'COMPLIANCE', retainForMs: MINUTE } as const;
    expect(await copyRepository({ from: source, to: target, lock })).toMatchObject({ copied: 5, present: 0 });
    for await (const { key } of source.list('')) await target.delete(key);
    expect(await copyRepository({ from: source, to: target, lock })).toMatchObject({ copied: 5, present: 0 });
    for await (const { key } of source.list('')) expect(Buffer.from(await target.get(key)).equals(await source.get(key))).toBe(true);
    expect(await copyRepository({ from: source, to: target, lock })).toMatchObject({ copied: 0, present: 5 });
  });
});

describe('a service that hides what is put under a delete marker', () => {
  it('is told of as such, and the copy ends: nothing is taken for stored that nobody can read', async () => {
    const service = await startVersity({ objectLock: true });
    const { endpoint, region, bucket, accessKeyId, secretAccessKey } = service;
    const store = await openStore(`s3://${bucket}/hiding?endpoint=${endpoint}&region=${region}`, { s3: { credentials: { accessKeyId, secretAccessKey } }, retry: { attempts: 1 } });
    const refused = { code: 'Unsupported', retryable: false, message: expect.stringMatching(/config in .*hiding lies under a delete marker.*remove the marker/s) };
    try {
      for (const options of [{ ifAbsent: true }, { ifAbsent: true, retention: { mode: 'COMPLIANCE', until: new Date(Date.now() + MINUTE) } }] as const) {
        await store.put('config', Buffer.from('config'));
        await store.delete('config');
        await expect(store.put('config', Buffer.from('config'), options)).rejects.toMatchObject(refused);
      }
      const source = new MemoryStore();
      await source.put('config', Buffer.from('config'));
      await expect(copyRepository({ from: source, to: store })).rejects.toMatchObject(refused);
    } finally {
      await store.close();
      await service.stop();
    }
  });
});
