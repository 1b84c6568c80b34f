// A key's life against real services: rotation with restores of every generation, and a KMS that fails in each way that it can, as a mover and a location tell of it.
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ServerResponse } from 'node:http';
import { CancelKeyDeletionCommand, CreateKeyCommand, EnableKeyCommand, KMSClient, ScheduleKeyDeletionCommand, DisableKeyCommand } from '@aws-sdk/client-kms';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { BackupLocationSpec, type BackupLocation } from '../../src/api/index.ts';
import { RealCredentialMinter } from '../../src/cmd/operator/credential-minter.ts';
import { RealReplicationAccess } from '../../src/cmd/operator/replication-access.ts';
import { RealLocationProbe } from '../../src/cmd/operator/location-probe.ts';
import { openAwsKms, rewrapGenerationKey, unwrapGenerationKey } from '../../src/keys/index.ts';
import { compareTrees } from '../support/compare-tree.ts';
import { startKmsGuard, type KmsGuard } from '../support/kms-guard.ts';
import { MoverBench, attempt, newTenant, type MoverRun } from '../support/mover-bench.ts';
import { startStub } from '../support/stub-server.ts';

let bench: MoverBench;
let admin: KMSClient;
let guard: KmsGuard;
const versions = ['first', 'second'] as const;

beforeAll(async () => {
  bench = await MoverBench.start();
  guard = await startKmsGuard(bench.kmsA, bench.kmsA.accessKeyId);
  admin = new KMSClient({ endpoint: bench.kmsA.endpoint, region: bench.kmsA.region, credentials: bench.kmsA });
  for (const version of versions) {
    await mkdir(join(bench.folder, version));
    await writeFile(join(bench.folder, version, 'file'), version);
  }
}, 120_000);
afterAll(async () => {
  admin.destroy();
  await guard.stop();
  await bench.stop();
});

function done(run: MoverRun): MoverRun {
  expect({ status: run.status, failure: run.message.failure }).toEqual({ status: 0, failure: undefined });
  return run;
}

function backUp(tenant: { readonly id: string; readonly generation: number }, from: string, name: string, keyId = bench.kmsA.keyId, endpoint = bench.kmsA.endpoint): Promise<MoverRun> {
  return bench.run(bench.backupOrders({ tenant, kms: kms(keyId, endpoint), volumes: [{ claim: 'data', mountPath: join(bench.folder, from) }], attempt: attempt(name) }));
}

function kms(keyId: string, endpoint: string) {
  return [{ name: 'a', provider: 'aws' as const, endpoint, region: bench.kmsA.region, keyId, use: 'wrapAndUnwrap' as const }];
}

describe('a rotated key', () => {
  it('leaves every generation restorable, and each is forgotten by itself', async () => {
    const { id } = newTenant();
    const snapshots: string[] = [];
    for (const [at, version] of versions.entries()) {
      const run = done(await backUp({ id, generation: at + 1 }, version, `g${at}`));
      // The second is full: nothing is known of the first in the new repository.
      expect(run.message.backup).toMatchObject({ filesUnchanged: 0, complete: true });
      snapshots.push(run.message.backup!.snapshotId);
    }
    const [first, second] = await Promise.all([1, 2].map((generation) => unwrap(id, generation)));
    expect(first).not.toEqual(second);

    for (const [at, version] of versions.entries()) {
      const target = join(bench.folder, `target-${version}`);
      await mkdir(target);
      done(await bench.run(bench.restoreOrders({ tenant: { id, generation: at + 1 }, kms: kms(bench.kmsA.keyId, bench.kmsA.endpoint), snapshotId: snapshots[at]!, volumes: [{ claim: 'data', mountPath: target }], attempt: attempt(`r${at}`) })));
      expect(compareTrees(join(bench.folder, version), target)).toEqual([]);
    }

    const forget = done(await bench.run(bench.forgetOrders({ tenant: { id, generation: 1 }, kms: kms(bench.kmsA.keyId, bench.kmsA.endpoint), snapshots: [...snapshots], attempt: attempt('f1') })));
    expect(forget.message.forget?.removed).toEqual([snapshots[0]]);
    expect(await bench.list(id, 'g1/snapshots/')).toEqual([]);
    expect(await bench.list(id, 'g2/snapshots/')).toHaveLength(1);
    // Wrapped keys live until erasure is asked for.
    expect((await bench.list(id, 'g1/wrappings/')).length).toBeGreaterThan(0);
  });

  it('is opened by a new KMS key alone after re-wrapping, with the old one gone', async () => {
    const { id } = newTenant();
    const old = await newKey();
    const fresh = await newKey();
    done(await backUp({ id, generation: 1 }, 'first', 'w1', old));
    const provider = open(fresh);
    const secretKey = await unwrap(id, 1, old);
    await rewrapGenerationKey(bench.tenantStore(id).within('g1'), { tenantId: id, generation: 1 }, secretKey, [provider]);
    provider.close();
    await admin.send(new ScheduleKeyDeletionCommand({ KeyId: old, PendingWindowInDays: 7 }));

    expect((await backUp({ id, generation: 1 }, 'first', 'w3', old, guard.endpoint)).message.failure).toMatchObject({ code: 'KeyPendingDeletion' });
    expect(done(await backUp({ id, generation: 1 }, 'first', 'w2', fresh, guard.endpoint)).message.backup).toMatchObject({ filesUnchanged: 1 });
  });
});

describe('a KMS key that cannot be used', () => {
  it.each<[string, (keyId: string) => Promise<unknown>, string, RegExp]>([
    ['disabled', (KeyId) => admin.send(new DisableKeyCommand({ KeyId })), 'KeyDisabled', /enable it/],
    ['scheduled for deletion', (KeyId) => admin.send(new ScheduleKeyDeletionCommand({ KeyId, PendingWindowInDays: 7 })), 'KeyPendingDeletion', /cancel-key-deletion/],
  ])('because it is %s ends a backup and makes the location not ready, each with what to do', async (_, spoil, code, advice) => {
    const keyId = await newKey();
    const { id } = newTenant();
    done(await backUp({ id, generation: 1 }, 'first', 'k1', keyId, guard.endpoint));
    await spoil(keyId);

    const run = await backUp({ id, generation: 1 }, 'first', 'k2', keyId, guard.endpoint);
    expect(run.message.failure).toMatchObject({ code, retryable: false, message: expect.stringMatching(advice) });
    expect((await probe(keyId, guard.endpoint)).keyUsable).toMatchObject({ ok: false, reason: code, message: expect.stringMatching(advice) });

    await admin.send(code === 'KeyDisabled' ? new EnableKeyCommand({ KeyId: keyId }) : new CancelKeyDeletionCommand({ KeyId: keyId }));
    if (code !== 'KeyDisabled') await admin.send(new EnableKeyCommand({ KeyId: keyId }));
    done(await backUp({ id, generation: 1 }, 'first', 'k3', keyId, guard.endpoint));
    expect((await probe(keyId, guard.endpoint)).keyUsable.ok).toBe(true);
  });

  it('because it is gone says so', async () => {
    const none = '00000000-0000-0000-0000-000000000000';
    const run = await backUp(newTenant(), 'first', 'gone', none);
    expect(run.message.failure).toMatchObject({ code: 'KeyNotFound', retryable: false, message: expect.stringContaining(none) });
    expect((await probe(none)).keyUsable).toMatchObject({ ok: false, reason: 'KeyNotFound' });
  });

  // What moto never does: a stand-in that answers as AWS documents it.
  it.each<[string, (response: ServerResponse) => void, string, RegExp]>([
    ['throttling', (response) => answer(response, 400, 'ThrottlingException', 'Rate exceeded'), 'Throttled', /slow down/],
    ['failing inside', (response) => answer(response, 500, 'KMSInternalException', 'internal'), 'Unavailable', /failure of its own/],
    ['disabling the key under way', (response) => answer(response, 400, 'DisabledException', 'arn is disabled.'), 'KeyDisabled', /enable it/],
    ['deleting the key', (response) => answer(response, 400, 'KMSInvalidStateException', 'arn is pending deletion.'), 'KeyPendingDeletion', /cancel/],
    ['refusing this principal', (response) => answer(response, 400, 'AccessDeniedException', 'not authorized'), 'AccessDenied', /may not use the key/],
  ])('because the KMS is %s (a stand-in for one) tells each apart, and whether it may pass', async (_, say, code, advice) => {
    const stub = await startStub((_request, response) => say(response));
    try {
      const run = await backUp(newTenant(), 'first', 'stub', 'alias/any', stub.endpoint);
      const mayPass = code === 'Throttled' || code === 'Unavailable';
      expect(run.message.failure).toMatchObject({ code, retryable: mayPass, message: expect.stringMatching(advice) });
      expect(run.status).toBe(mayPass ? 75 : 1);
      expect((await probe('alias/any', stub.endpoint)).keyUsable).toMatchObject({ ok: false, reason: code });
    } finally {
      await stub.stop();
    }
  });

  it('because nobody answers is tried again', async () => {
    const run = await backUp(newTenant(), 'first', 'away', 'alias/any', 'http://127.0.0.1:9');
    expect(run.message.failure).toMatchObject({ code: 'Unavailable', retryable: true });
    expect(run.status).toBe(75);
    expect((await probe('alias/any', 'http://127.0.0.1:9')).keyUsable).toMatchObject({ ok: false, reason: 'Unavailable' });
  });
});

function answer(response: ServerResponse, status: number, type: string, message: string): void {
  response.writeHead(status, { 'content-type': 'application/x-amz-json-1.1' }).end(JSON.stringify({ __type: type, message }));
}

async function newKey(): Promise<string> {
  return (await admin.send(new CreateKeyCommand({}))).KeyMetadata?.KeyId ?? '';
}

function open(keyId: string) {
  const { endpoint, region, accessKeyId, secretAccessKey } = bench.kmsA;
  return openAwsKms({ keyId, endpoint, region, credentials: { accessKeyId, secretAccessKey } });
}

async function unwrap(id: string, generation: number, keyId = bench.kmsA.keyId): Promise<Uint8Array> {
  const provider = open(keyId);
  try {
    return await unwrapGenerationKey(bench.tenantStore(id).within(`g${generation}`), id, generation, [provider]);
  } finally {
    provider.close();
  }
}

function probe(keyId: string, endpoint = bench.kmsA.endpoint) {
  const { s3, kmsA } = bench;
  const secrets = { lookup: (name: string) => (name === 's3' ? { accessKeyId: s3.accessKeyId, secretAccessKey: s3.secretAccessKey } : { accessKeyId: kmsA.accessKeyId, secretAccessKey: kmsA.secretAccessKey }), namespace: 'system' };
  const spec = BackupLocationSpec.parse({
    s3: { endpoint: s3.endpoint, region: s3.region, bucket: s3.bucket, prefix: 'probed', credentialsSecretRef: { name: 's3' } },
    kms: { provider: 'aws', aws: { endpoint, region: kmsA.region, keyId, credentialsSecretRef: { name: 'kms' } } },
  });
  const location: BackupLocation = { apiVersion: 'backup.dupp.de/v1alpha1', kind: 'BackupLocation', metadata: { name: 'here', uid: 'u', resourceVersion: '1', generation: 1, creationTimestamp: '' }, spec };
  return new RealLocationProbe(secrets, new RealCredentialMinter(secrets), new RealReplicationAccess(secrets), () => undefined).probe(location, AbortSignal.timeout(30_000));
}
