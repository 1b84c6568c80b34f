// Copies that real services make by themselves: what they say of them, and that what they say is true.
import { hash, randomBytes } from 'node:crypto';
import { readFile, readdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CreateBucketCommand, GetObjectRetentionCommand, ListObjectVersionsCommand, S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ServiceCopier } from '../../src/mover/index.ts';
import { openStore, s3Url, type ObjectStore } from '../../src/storage/index.ts';
import { FakeTenant, night, replicationWork } from '../support/replicated-tenant.ts';
import { startS3, type S3Service } from '../support/services.ts';
import { startVersity } from '../support/versity.ts';

interface Candidate {
  readonly name: string;
  readonly start: () => Promise<S3Service>;
  /** It keeps files as they are, on this machine, and does not notice when somebody changes them. MinIO has hashes of its own. */
  readonly isCredulous: boolean;
}

const SERVICES: readonly Candidate[] = [
  { name: 'MinIO', start: () => startS3({ objectLock: true }), isCredulous: false },
  { name: 'the Versity gateway', start: () => startVersity({ objectLock: true }), isCredulous: true },
];

describe.each(SERVICES)('$name, which has both buckets', ({ start, isCredulous }) => {
  let service: S3Service;
  let admin: S3Client;
  let source: ObjectStore;
  let replica: ObjectStore;
  const refusals: string[] = [];
  const now = () => new Date();
  const lock = { mode: 'COMPLIANCE', retainForMs: 3_600_000 } as const;
  const work = (bucket = 'first') => replicationWork(source, replica, now, { lock, byService: new ServiceCopier({ bucket, key: 'here/tenants' }, (message) => refusals.push(message)) });
  const open = (bucket: string) =>
    openStore(s3Url({ endpoint: service.endpoint, region: service.region, bucket, forcePathStyle: true }, 'here'), {
      s3: { credentials: { accessKeyId: service.rootAccessKeyId, secretAccessKey: service.rootSecretAccessKey } },
    });

  beforeAll(async () => {
    service = await start();
    admin = new S3Client({ endpoint: service.endpoint, region: service.region, forcePathStyle: true, credentials: { accessKeyId: service.rootAccessKeyId, secretAccessKey: service.rootSecretAccessKey } });
    await admin.send(new CreateBucketCommand({ Bucket: 'first' }));
    [source, replica] = await Promise.all([open('first'), open(service.bucket)]);
  });
  afterAll(async () => {
    await Promise.all([source.close(), replica.close()]);
    admin.destroy();
    await service.stop();
  });

  it('copies what is named by its content, under locks, proven by the hash that it computed', async () => {
    const tenant = await new FakeTenant(source, now).begin();
    await tenant.backup(5);
    const job = work();

    expect(await night(job)).toMatchObject({ findings: [], tenants: [{ tenant: tenant.id, state: 'done', snapshots: [tenant.snapshots[0]!.id] }] });

    expect(refusals).toEqual([]);
    expect(job.tally.byService).toBe(10);
    const { Versions = [] } = await admin.send(new ListObjectVersionsCommand({ Bucket: service.bucket, Prefix: `here/tenants/${tenant.id}/g1/` }));
    expect(Versions).toHaveLength(13);
    for (const { Key, VersionId } of Versions) {
      const { Retention } = await admin.send(new GetObjectRetentionCommand({ Bucket: service.bucket, Key, VersionId }));
      expect(Retention?.Mode).toBe('COMPLIANCE');
    }
  });

  it('marks otherwise in its listing what somebody put anew at its old size', async () => {
    const tenant = await new FakeTenant(source, now).begin();
    await tenant.backup();
    await night(work());
    const key = `tenants/${tenant.id}/g1/config`;
    const config = await source.get(key);
    expect((await night(work())).findings).toEqual([]);
    await source.put(key, new Uint8Array(config.length));
    expect((await night(work())).findings).toMatchObject([{ tenant: tenant.id, kind: 'Altered', names: ['g1/config'] }]);
    await source.put(key, config);
  });

  it('goes through the worker where it does not find the first bucket', async () => {
    refusals.length = 0;
    const tenant = await new FakeTenant(source, now).begin();
    await tenant.backup();
    const job = work('no-such-bucket');
    const { tenants } = await night(job);
    expect(tenants.find((each) => each.tenant === tenant.id)).toMatchObject({ state: 'done' });
    expect(job.tally.byService).toBe(0);
    expect(refusals).toEqual([expect.stringContaining('no-such-bucket')]);
  });

  if (isCredulous) {
    it('is not believed where its disk has damaged what it copied', async () => {
      const tenant = await new FakeTenant(source, now).begin();
      const pack = randomBytes(2_000_000);
      const id = hash('sha256', pack, 'hex');
      const name = `g1/data/${id.slice(0, 2)}/${id}`;
      await source.put(`tenants/${tenant.id}/${name}`, pack);
      await damageOnDisk(pack);

      const { findings } = await night(work());

      expect(findings).toMatchObject([{ tenant: tenant.id, kind: 'Altered', names: [name] }]);
    });
  }
});

/** Changes a byte in the file in which a service keeps these bytes. */
async function damageOnDisk(bytes: Buffer): Promise<void> {
  const needle = bytes.subarray(1_000_000, 1_000_032);
  for (const folder of (await readdir(tmpdir())).filter((name) => /^tenant-backup-versity-/.test(name))) {
    for (const entry of await readdir(join(tmpdir(), folder), { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const file = join(entry.parentPath, entry.name);
      const content = await readFile(file);
      const at = content.indexOf(needle);
      if (at < 0) continue;
      content[at] = (content[at] ?? 0) ^ 1;
      await writeFile(file, content);
      return;
    }
  }
  throw new Error('no file holds these bytes');
}
