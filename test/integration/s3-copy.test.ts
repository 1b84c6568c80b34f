import { createHash, randomBytes } from 'node:crypto';
import { DeleteObjectCommand, GetObjectRetentionCommand, ListObjectVersionsCommand, S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { copyRepository } from '../../src/mover/copy.ts';
import { MemoryStore, openStore, type ObjectStore } from '../../src/storage/index.ts';
import { FaultyStore, passing } from '../support/faulty-store.ts';
import { startS3, type S3Service } from '../support/services.ts';

const DAY = 86_400_000;

describe('copying a repository into a locked bucket', () => {
  let service: S3Service;
  let admin: S3Client;
  let source: MemoryStore;

  beforeAll(async () => {
    service = await startS3({ objectLock: true });
    admin = new S3Client({
      endpoint: service.endpoint,
      region: service.region,
      forcePathStyle: true,
      credentials: { accessKeyId: service.rootAccessKeyId, secretAccessKey: service.rootSecretAccessKey },
    });
    source = await repository();
  });
  afterAll(async () => {
    admin.destroy();
    await service.stop();
  });

  function target(prefix: string): Promise<ObjectStore> {
    return openStore(`s3://${service.bucket}/${prefix}?endpoint=${service.endpoint}&region=${service.region}`, {
      s3: { credentials: { accessKeyId: service.accessKeyId, secretAccessKey: service.secretAccessKey } },
    });
  }

  it('locks each object for its own time, locks no lock files, and even root cannot delete a version earlier', async () => {
    const to = await target('locked');
    const now = new Date();
    const outcome = await copyRepository({ from: source, to, lock: { mode: 'COMPLIANCE', retainForMs: DAY }, now: () => now });
    expect(outcome.copied).toBe(7);

    const { Versions = [] } = await admin.send(new ListObjectVersionsCommand({ Bucket: service.bucket, Prefix: 'locked/' }));
    expect(Versions).toHaveLength(7);
    for (const { Key, VersionId } of Versions) {
      const { Retention } = await admin.send(new GetObjectRetentionCommand({ Bucket: service.bucket, Key, VersionId }));
      expect(Retention?.Mode).toBe('COMPLIANCE');
      expect(Math.abs((Retention?.RetainUntilDate?.getTime() ?? 0) - now.getTime() - DAY)).toBeLessThan(2_000);
      await expect(admin.send(new DeleteObjectCommand({ Bucket: service.bucket, Key, VersionId }))).rejects.toThrow();
    }
    expect(Versions.map(({ Key }) => Key).filter((key) => /locks|results|prune/.test(key ?? ''))).toEqual([]);
    await to.close();
  });

  it('copies only what is new the next time', async () => {
    const to = await target('again');
    const from = await repository();
    const first = await copyRepository({ from, to });
    const pack = randomBytes(1000);
    const id = createHash('sha256').update(pack).digest('hex');
    await from.put(`data/${id.slice(0, 2)}/${id}`, pack);
    expect(await copyRepository({ from, to })).toEqual({ copied: 1, bytesCopied: 1000, present: first.copied });
    await to.close();
  });

  it('says that a bucket without Object Lock cannot lock', async () => {
    const plain = await startS3();
    const to = await openStore(`s3://${plain.bucket}?endpoint=${plain.endpoint}&region=${plain.region}`, { s3: { credentials: { accessKeyId: plain.accessKeyId, secretAccessKey: plain.secretAccessKey } } });
    const copying = copyRepository({ from: source, to, lock: { mode: 'COMPLIANCE', retainForMs: DAY } });
    await expect(copying).rejects.toMatchObject({ code: 'Unsupported', message: expect.stringContaining('without Object Lock') });
    await to.close();
    await plain.stop();
  });

  it('says which bucket is missing, and that the keys are wrong', async () => {
    const { endpoint, region, bucket, accessKeyId, secretAccessKey } = service;
    const missing = await openStore(`s3://no-such-bucket?endpoint=${endpoint}&region=${region}`, {
      s3: { credentials: { accessKeyId: service.rootAccessKeyId, secretAccessKey: service.rootSecretAccessKey } },
    });
    await expect(missing.get('k')).rejects.toMatchObject({ code: 'BucketMissing', message: expect.stringContaining('no-such-bucket') });
    for (const credentials of [{ accessKeyId, secretAccessKey: 'wrong-secret' }, { accessKeyId: 'NOBODYATALL12345', secretAccessKey }]) {
      const wrong = await openStore(`s3://${bucket}?endpoint=${endpoint}&region=${region}`, { s3: { credentials } });
      await expect(wrong.get('k')).rejects.toMatchObject({ code: 'BadCredentials' });
      await expect(wrong.head('k')).rejects.toMatchObject({ code: 'BadCredentials' });
      await wrong.close();
    }
    await missing.close();
  });
});

describe('copying a repository', () => {
  it('puts what refers after what it refers to, whenever it is stopped', async () => {
    const rank = ['keys/', 'wrappings/', 'config', 'data/', 'index/', 'exports/', 'snapshots/', 'manifests/'];
    const source = await repository();
    const total = (await copyRepository({ from: source, to: new MemoryStore() })).copied;
    for (let stopAt = 1; stopAt <= total; stopAt += 1) {
      const memory = new MemoryStore();
      let puts = 0;
      const to = new FaultyStore(memory, ({ operation }) => (operation === 'put' && (puts += 1) === stopAt ? { error: passing() } : undefined));
      await expect(copyRepository({ from: source, to })).rejects.toThrow('the line broke');
      const there = await keysOf(memory);
      const highest = Math.max(-1, ...there.map((key) => rank.findIndex((part) => key.startsWith(part))));
      const before = (await keysOf(source)).filter((key) => {
        const own = rank.findIndex((part) => key.startsWith(part));
        return own >= 0 && own < highest;
      });
      expect(there).toEqual(expect.arrayContaining(before));
      await copyRepository({ from: source, to: memory });
      expect(await keysOf(memory)).toHaveLength(total);
    }
  });

  it.each(['data/', 'index/', 'snapshots/', 'keys/'])('stops at damage in %s and puts nothing that may need it', async (part) => {
    const source = await repository();
    const victim = (await keysOf(source)).find((key) => key.startsWith(part))!;
    await source.put(victim, Buffer.from('something else'));
    const to = new MemoryStore();
    await expect(copyRepository({ from: source, to })).rejects.toMatchObject({ code: 'Damaged', message: expect.stringContaining(victim) });
    const there = await keysOf(to);
    expect(there).not.toContain(victim);
    expect(there.filter((key) => key.startsWith('snapshots/') && part !== 'snapshots/')).toEqual([]);
  });

  it('never goes into another repository, nor on with an object of another size', async () => {
    const source = await repository();
    const other = new MemoryStore();
    await other.put('config', Buffer.from('another'));
    await expect(copyRepository({ from: source, to: other })).rejects.toMatchObject({ code: 'AlreadyInitialized' });
    await expect(copyRepository({ from: new MemoryStore(), to: other })).rejects.toMatchObject({ code: 'NoRepository' });

    const to = new MemoryStore();
    await copyRepository({ from: source, to });
    const victim = (await keysOf(to)).find((key) => key.startsWith('data/'))!;
    await to.put(victim, Buffer.from('cut'));
    await expect(copyRepository({ from: source, to })).rejects.toMatchObject({ code: 'Damaged', message: expect.stringContaining(victim) });
    expect(Buffer.from(await to.get(victim)).toString()).toBe('cut');
  });
});

/** Looks like one; nobody without the key can tell. */
async function repository(): Promise<MemoryStore> {
  const store = new MemoryStore();
  await store.put('config', Buffer.from('config'));
  for (const folder of ['keys', 'index', 'snapshots', 'exports', 'data', 'data', 'locks']) {
    const content = randomBytes(2_000);
    const id = createHash('sha256').update(content).digest('hex');
    await store.put(folder === 'data' ? `data/${id.slice(0, 2)}/${id}` : `${folder}/${id}`, content);
  }
  await store.put('results/uid-1.json', Buffer.from('{}'));
  await store.put('prune/now-x.json', Buffer.from('{}'));
  return store;
}

async function keysOf(store: ObjectStore): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of store.list('')) keys.push(key);
  return keys;
}
