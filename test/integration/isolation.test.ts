// "A mover of tenant A with its own credentials and any wrapped key of B reads nothing of B and alters nothing of B": tried with real S3 sessions, and with a KMS
// that enforces session policies. The mover of A is taken to be hostile: whatever its credentials let anybody do is tried.
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DescribeKeyCommand, DisableKeyCommand, KMSClient, ReEncryptCommand, ScheduleKeyDeletionCommand } from '@aws-sdk/client-kms';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { BackupLocationSpec, type BackupLocation, type MoverCredentials } from '../../src/api/index.ts';
import { RealCredentialMinter } from '../../src/cmd/operator/credential-minter.ts';
import { keysIsolation } from '../../src/cmd/operator/kms-isolation.ts';
import { RealReplicationAccess } from '../../src/cmd/operator/replication-access.ts';
import { RealLocationProbe } from '../../src/cmd/operator/location-probe.ts';
import { encodeWrapping, openAwsKms, readWrappings, tenantContext, wrappingKey, type KmsProvider } from '../../src/keys/index.ts';
import { openStore, type ObjectStore } from '../../src/storage/index.ts';
import { startKmsGuard, type KmsGuard } from '../support/kms-guard.ts';
import { MoverBench, attempt, newTenant } from '../support/mover-bench.ts';

let bench: MoverBench;
let guard: KmsGuard;
let data: string;
let folder: string;
const [a, b] = [newTenant(), newTenant()];
let mine: MoverCredentials;
let snapshotOfB: string;
let before: ReadonlyMap<string, string>;

beforeAll(async () => {
  bench = await MoverBench.start();
  guard = await startKmsGuard(bench.kmsA);
  folder = await mkdtemp(join(tmpdir(), 'isolation-'));
  data = join(folder, 'data');
  await mkdir(data);
  await writeFile(join(data, 'secret.txt'), 'of one customer alone');
  for (const tenant of [a, b]) {
    const run = await bench.run(bench.backupOrders({ tenant, kms: kms(), volumes: [{ claim: 'data', mountPath: data }], attempt: attempt(`b-${tenant.id.slice(0, 4)}`) }), await mint(tenant.id));
    expect({ status: run.status, failure: run.message.failure }).toEqual({ status: 0, failure: undefined });
    snapshotOfB = run.message.backup!.snapshotId;
  }
  mine = await mint(a.id);
  before = await contentOf(bench.tenantStore(b.id));
}, 120_000);
afterAll(async () => {
  await guard.stop();
  await bench.stop();
  await rm(folder, { recursive: true, force: true });
});

describe('a mover of one tenant', () => {
  it('opens its own key with its sessions', async () => {
    const [wrapping] = await readWrappings(bench.tenantStore(a.id).within('g1'));
    const own = session();
    await expect(own.unwrap(Buffer.from(wrapping!.wrapping.ciphertext, 'base64'), tenantContext(a.id, 1))).resolves.toHaveLength(32);
    own.close();
  });

  it('is refused when it is given orders for another one', async () => {
    const run = await bench.run(bench.restoreOrders({ tenant: b, kms: kms(), snapshotId: snapshotOfB, volumes: [{ claim: 'data', mountPath: await emptyFolder() }], attempt: attempt('r1') }), mine);
    expect(run.message.failure).toMatchObject({ code: 'AccessDenied', retryable: false });
    expect(run.everything).not.toContain('of one customer alone');
  });

  it('cannot read, list, write, alter or delete what is the other one’s', async () => {
    const store = await openStore(`s3://${bench.s3.bucket}/test/tenants/${b.id}?endpoint=${bench.s3.endpoint}&region=${bench.s3.region}`, { s3: { credentials: s3Of(mine) } });
    const refused = { code: 'AccessDenied' };
    for (const key of before.keys()) {
      await expect(store.get(key)).rejects.toMatchObject(refused);
      await expect(store.put(key, Buffer.from('mine now'))).rejects.toMatchObject(refused);
      await expect(store.delete(key)).rejects.toMatchObject(refused);
    }
    await expect(store.deleteMany([...before.keys()])).rejects.toMatchObject(refused);
    await expect(store.put('g1/wrappings/more.json', Buffer.from('x'))).rejects.toMatchObject(refused);
    await expect(listed(store)).rejects.toMatchObject(refused);
    await store.close();
  });

  it('cannot write into the audit trail and the records of its own tenant', async () => {
    const store = await openStore(`s3://${bench.s3.bucket}/test/tenants/${a.id}?endpoint=${bench.s3.endpoint}&region=${bench.s3.region}`, { s3: { credentials: s3Of(mine) } });
    await bench.tenantStore(a.id).put('audit/000000000001.json', Buffer.from('{}'));
    for (const key of ['audit/000000000001.json', 'audit/000000000002.json', 'audit/heads/000000000001.json', 'tenant/1.json']) {
      await expect(store.put(key, Buffer.from('x'))).rejects.toMatchObject({ code: 'AccessDenied' });
      await expect(store.delete(key)).rejects.toMatchObject({ code: 'AccessDenied' });
    }
    await store.close();
    await bench.tenantStore(a.id).delete('audit/000000000001.json');
  });

  it('unwraps no key of the other one, under that one’s context or under its own', async () => {
    const own = session();
    for (const { wrapping } of await readWrappings(bench.tenantStore(b.id).within('g1'))) {
      const ciphertext = Buffer.from(wrapping.ciphertext, 'base64');
      await expect(own.unwrap(ciphertext, tenantContext(b.id, 1))).rejects.toMatchObject({ code: 'AccessDenied' });
      await expect(own.unwrap(ciphertext, tenantContext(a.id, 1))).rejects.toMatchObject({ code: expect.stringMatching(/^(WrongContext|KeyNotFound)$/) });
    }
    await expect(own.wrap(Buffer.alloc(32), tenantContext(b.id, 1))).rejects.toMatchObject({ code: 'AccessDenied' });
    own.close();
  });

  it('opens nothing with a wrapped key of the other one laid into its own prefix, as it is or made to look like its own', async () => {
    const [{ wrapping }] = (await readWrappings(bench.tenantStore(b.id).within('g1'))) as [Awaited<ReturnType<typeof readWrappings>>[0]];
    const generation = 7;
    const forged = { ...wrapping, tenant: a.id, generation, context: tenantContext(a.id, generation) };
    for (const [each, code] of [
      [wrapping, 'WrongTenant'],
      [forged, 'WrongContext'],
    ] as const) {
      await copyRepository(bench.tenantStore(b.id), bench.tenantStore(a.id), generation, encodeWrapping(each));
      const run = await bench.run(
        bench.restoreOrders({ tenant: { ...a, generation }, kms: kms(), snapshotId: snapshotOfB, volumes: [{ claim: 'data', mountPath: await emptyFolder() }], attempt: attempt('r2') }),
        mine,
      );
      expect(run.message.failure).toMatchObject({ code });
      expect(run.everything).not.toContain('of one customer alone');
      await empty(bench.tenantStore(a.id), `g${generation}/`);
    }
  });

  it('can do nothing with the KMS key but wrap and unwrap', async () => {
    const client = new KMSClient({ endpoint: guard.endpoint, region: bench.kmsA.region, credentials: kmsOf(mine), maxAttempts: 1 });
    const KeyId = bench.kmsA.keyId;
    for (const command of [new DescribeKeyCommand({ KeyId }), new DisableKeyCommand({ KeyId }), new ScheduleKeyDeletionCommand({ KeyId })]) {
      await expect((client as { send(command: unknown): Promise<unknown> }).send(command)).rejects.toMatchObject({ name: 'AccessDeniedException' });
    }
    const reencrypt = new ReEncryptCommand({ CiphertextBlob: Buffer.alloc(40), DestinationKeyId: KeyId, SourceEncryptionContext: { ...tenantContext(a.id, 1) } });
    await expect(client.send(reencrypt)).rejects.toMatchObject({ name: 'AccessDeniedException' });
    client.destroy();
  });

  it('has left everything of the other one as it was', async () => {
    expect(await contentOf(bench.tenantStore(b.id))).toEqual(before);
  });
});

describe('sessions for the KMS', () => {
  it('are renewed under whoever uses them', async () => {
    let given = kmsOf(await mint(a.id));
    let asked = 0;
    const provider = openAwsKms({ keyId: bench.kmsA.keyId, endpoint: guard.endpoint, region: bench.kmsA.region, credentials: () => ((asked += 1), Promise.resolve(given)) });
    const { ciphertext } = await provider.wrap(Buffer.alloc(32, 7), tenantContext(a.id, 1));
    guard.endSessions();
    given = kmsOf(await mint(a.id));

    await expect(provider.unwrap(ciphertext, tenantContext(a.id, 1))).resolves.toHaveLength(32);

    expect(asked).toBe(2);
    provider.close();
    mine = await mint(a.id);
  });

  it('end with the first of a mover’s, so that all are renewed together', async () => {
    const { credentials, expiresAt } = await minter().mint(location({ sessionDuration: '30m' }), a.id, AbortSignal.timeout(10_000));
    expect('expiration' in credentials.kms['primary']! ? Date.parse(credentials.kms['primary'].expiration!) : 0).toBe(expiresAt);
    expect(expiresAt! - Date.now()).toBeLessThan(31 * 60_000);
  });

  it('for the second data center’s key wrap and never unwrap', async () => {
    const spec = location();
    const { credentials } = await minter().mint({ ...spec, spec: { ...spec.spec, replica: { ...spec.spec.replica, kms: spec.spec.kms } } as BackupLocation['spec'] }, a.id, AbortSignal.timeout(10_000));
    const provider = openAwsKms({ keyId: bench.kmsA.keyId, endpoint: guard.endpoint, region: bench.kmsA.region, credentials: kmsOf(credentials, 'replica') });
    const { ciphertext } = await provider.wrap(Buffer.alloc(32, 7), tenantContext(a.id, 1));
    await expect(provider.unwrap(ciphertext, tenantContext(a.id, 1))).rejects.toMatchObject({ code: 'AccessDenied' });
    provider.close();
  });

  it('are refused as no mover’s credentials where they cannot be made', async () => {
    await expect(minter().mint(location({ endpoint: 'http://127.0.0.1:9' }), a.id, AbortSignal.timeout(20_000))).rejects.toMatchObject({ name: 'PortError', message: expect.stringContaining('no KMS session') });
  });
});

describe('the condition Isolated', () => {
  it('is met where both services enforce sessions', async () => {
    expect((await probe(location())).keysIsolated).toEqual({ ok: true, message: expect.stringContaining("own tenant's encryption context") });
    expect((await probe(location())).storageIsolated.ok).toBe(true);
  });

  it('says that a KMS lets sessions do everything', async () => {
    // moto itself takes any session and looks at no policy; but for one that may decrypt as the operator it would be told of that first.
    const found = await keysIsolation(location({}, bench.kmsA.endpoint).spec, await mint('0'.repeat(32)), false, AbortSignal.timeout(20_000));
    expect(found).toMatchObject({ ok: false, reason: 'SessionsNotEnforced' });
  });

  it('says that movers share credentials where the location asks for no sessions', async () => {
    const shared = location();
    delete (shared.spec.kms.aws as { sts?: unknown }).sts;
    expect((await probe(shared)).keysIsolated).toMatchObject({ ok: false, reason: 'KeysShared' });
  });
});

const SECRETS: Record<string, () => Record<string, string>> = {
  s3: () => ({ accessKeyId: bench.s3.accessKeyId, secretAccessKey: bench.s3.secretAccessKey }),
  operator: () => ({ ...guard.operator }),
  movers: () => ({ ...guard.movers }),
};

function source() {
  return { lookup: (name: string) => SECRETS[name]?.(), namespace: 'system' };
}

function minter(): RealCredentialMinter {
  return new RealCredentialMinter(source());
}

function probe(given: BackupLocation) {
  return new RealLocationProbe(source(), minter(), new RealReplicationAccess(source()), () => undefined).probe(given, AbortSignal.timeout(20_000));
}

function location(sts: object = {}, endpoint = guard.endpoint): BackupLocation {
  const { s3, kmsA } = bench;
  const spec = BackupLocationSpec.parse({
    s3: { endpoint: s3.endpoint, region: s3.region, bucket: s3.bucket, prefix: 'test', credentialsSecretRef: { name: 's3' } },
    kms: {
      provider: 'aws',
      aws: { endpoint, region: kmsA.region, keyId: kmsA.keyId, credentialsSecretRef: { name: 'operator' }, moverCredentialsSecretRef: { name: 'movers' }, sts: { endpoint: guard.endpoint, ...sts } },
    },
  });
  return { apiVersion: 'backup.dupp.de/v1alpha1', kind: 'BackupLocation', metadata: { name: 'here', uid: 'u', resourceVersion: '1', generation: 1, creationTimestamp: '' }, spec };
}

function kms() {
  const { region, keyId } = bench.kmsA;
  return [{ name: 'primary', provider: 'aws' as const, endpoint: guard.endpoint, region, keyId, use: 'wrapAndUnwrap' as const }];
}

async function mint(tenantId: string): Promise<MoverCredentials> {
  return (await minter().mint(location(), tenantId, AbortSignal.timeout(20_000))).credentials;
}

function session(): KmsProvider {
  return openAwsKms({ keyId: bench.kmsA.keyId, endpoint: guard.endpoint, region: bench.kmsA.region, credentials: kmsOf(mine) });
}

function kmsOf(credentials: MoverCredentials, name = 'primary') {
  const found = credentials.kms[name];
  if (found === undefined || 'key' in found) throw new Error(`no session for ${name}`);
  return { accessKeyId: found.accessKeyId, secretAccessKey: found.secretAccessKey, ...(found.sessionToken === undefined ? {} : { sessionToken: found.sessionToken }) };
}

function s3Of({ s3 }: MoverCredentials) {
  return { accessKeyId: s3.accessKeyId, secretAccessKey: s3.secretAccessKey, ...(s3.sessionToken === undefined ? {} : { sessionToken: s3.sessionToken }) };
}

async function emptyFolder(): Promise<string> {
  return mkdtemp(join(folder, 'target-'));
}

async function listed(store: ObjectStore): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of store.list('')) keys.push(key);
  return keys;
}

async function contentOf(store: ObjectStore): Promise<ReadonlyMap<string, string>> {
  const content = new Map<string, string>();
  for (const key of await listed(store)) content.set(key, createHash('sha256').update(await store.get(key)).digest('hex'));
  return content;
}

/** All of the other tenant's repository, which a thief of ciphertext has, under A's own prefix, with that wrapping alone. */
async function copyRepository(from: ObjectStore, to: ObjectStore, generation: number, { name, bytes }: { readonly name: string; readonly bytes: Uint8Array }): Promise<void> {
  for (const key of await listed(from)) if (!key.startsWith('g1/wrappings/')) await to.put(key.replace(/^g1/, `g${generation}`), await from.get(key));
  await to.put(`g${generation}/${wrappingKey(name)}`, bytes);
}

async function empty(store: ObjectStore, prefix: string): Promise<void> {
  const keys: string[] = [];
  for await (const { key } of store.list(prefix)) keys.push(key);
  await store.deleteMany(keys);
}
