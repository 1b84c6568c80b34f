import { execFileSync, type ChildProcess } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { MoverBench, attempt, newTenant } from '../support/mover-bench.ts';
import { buildTree } from '../support/seeded-tree.ts';
import { startStub } from '../support/stub-server.ts';

let bench: MoverBench;
let data: string;

beforeAll(async () => {
  bench = await MoverBench.start();
  data = join(bench.folder, 'data');
  buildTree(data, { seed: 4, files: 200 });
}, 120_000);
afterAll(() => bench.stop());

const volumes = () => [{ claim: 'data', mountPath: data }];

/** A tenant with one stored backup. */
async function storedTenant() {
  const tenant = newTenant();
  const run = await bench.run(bench.backupOrders({ tenant, volumes: volumes(), attempt: attempt('first') }));
  expect(run.message.failure).toBeUndefined();
  return { tenant, snapshotId: run.message.backup!.snapshotId };
}

async function copyObjects(from: string, to: string): Promise<void> {
  for (const key of await bench.list(from, 'g1/wrappings/')) {
    await bench.tenantStore(to).put(key, await bench.tenantStore(from).get(key));
  }
}

describe('a mover that cannot do its work says why', () => {
  it('orders of another version: it does not guess', async () => {
    const orders = bench.backupOrders({ volumes: volumes() });
    const folder = await bench.mount({ ...orders, version: 2 });

    const run = await bench.runMounted(folder, orders);

    expect(run.status).toBe(1);
    expect(run.message).toMatchObject({ outcome: 'failed', uid: 'uid-1', failure: { code: 'UnknownVersion', message: expect.stringMatching(/version 2/), retryable: false } });
  });

  it('wrong S3 credentials', async () => {
    const run = await bench.run(bench.backupOrders({ tenant: newTenant(), volumes: volumes() }), {
      ...bench.credentials(),
      s3: { accessKeyId: bench.s3.accessKeyId, secretAccessKey: 'wrong' },
    });

    expect(run.status).toBe(1);
    expect(run.message.failure).toMatchObject({ code: 'BadCredentials', retryable: false });
  });

  it('a bucket that is not there', async () => {
    const orders = bench.backupOrders({ tenant: newTenant(), volumes: volumes() });

    const run = await bench.run({ ...orders, storage: { ...orders.storage, bucket: 'no-such-bucket' } }, { ...bench.credentials(), s3: { accessKeyId: bench.s3.rootAccessKeyId, secretAccessKey: bench.s3.rootSecretAccessKey } });

    expect(run.status).toBe(1);
    expect(run.message.failure).toMatchObject({ code: 'BucketMissing', message: expect.stringMatching(/no-such-bucket/) });
  });

  it('S3 that nobody answers for: tried again, told while it tries, and worth another attempt', async () => {
    const orders = bench.backupOrders({ tenant: newTenant(), volumes: volumes() });

    const run = await bench.run({ ...orders, storage: { ...orders.storage, endpoint: 'http://127.0.0.1:9' } });

    expect(run.status).toBe(75);
    expect(run.message.failure).toMatchObject({ code: 'Unavailable', retryable: true });
    expect(run.lines).toContainEqual({ type: 'trouble', code: 'Unavailable', message: expect.stringMatching(/127\.0\.0\.1:9/) });
  });

  it('a KMS that refuses: the key is named, and the backup goes on once it is allowed again', async () => {
    const { tenant } = await storedTenant();
    const orders = bench.backupOrders({ tenant, volumes: volumes(), attempt: attempt('second') });
    // The KMS of the tests lets disabled keys work, so a stub says what a real one says.
    const refusing = await startStub((_, response) => {
      response.writeHead(400, { 'content-type': 'application/x-amz-json-1.1' });
      response.end(JSON.stringify({ __type: 'DisabledException', message: 'the key is disabled' }));
    });
    try {
      const run = await bench.run({ ...orders, kms: orders.kms.map((kms) => (kms.name === 'a' ? { ...kms, endpoint: refusing.endpoint } : kms)) });

      expect(run.status).toBe(1);
      expect(run.message.failure).toMatchObject({ code: 'KeyDisabled', message: expect.stringContaining(bench.kmsA.keyId), retryable: false });
    } finally {
      await refusing.stop();
    }
    expect((await bench.run({ ...orders, attempt: attempt('second', 2) })).status).toBe(0);
  });

  it("another tenant's wrapping", async () => {
    const { tenant: victim } = await storedTenant();
    const thief = newTenant();
    await copyObjects(victim.id, thief.id);

    const run = await bench.run(bench.backupOrders({ tenant: thief, volumes: volumes(), attempt: attempt('theft') }));

    expect(run.status).toBe(1);
    expect(run.message.failure).toMatchObject({ message: expect.stringMatching(/another tenant|tenant/), retryable: false });
    expect(await bench.list(thief.id, 'g1/snapshots/')).toEqual([]);
  });

  it('a repository that another key made', async () => {
    const [one, other] = [await storedTenant(), await storedTenant()];
    const store = bench.tenantStore(one.tenant.id);
    await store.deleteMany(await bench.list(one.tenant.id, 'g1/keys/'));
    for (const key of await bench.list(other.tenant.id, 'g1/keys/')) await store.put(key, await bench.tenantStore(other.tenant.id).get(key));

    const run = await bench.run(bench.backupOrders({ tenant: one.tenant, volumes: volumes(), attempt: attempt('second') }));

    expect(run.status).toBe(1);
    expect(run.message.failure).toMatchObject({ code: 'WrongKey', retryable: false });
  });

  it('a damaged pack: the restore is refused and names what is damaged', async () => {
    const { tenant, snapshotId } = await storedTenant();
    const store = bench.tenantStore(tenant.id);
    for (const key of await bench.list(tenant.id, 'g1/data/')) {
      const bytes = Uint8Array.from(await store.get(key));
      bytes[40]! ^= 0x10;
      await store.delete(key);
      await store.put(key, bytes);
    }
    const target = join(bench.folder, 'damaged');
    await mkdir(target);

    const run = await bench.run(bench.restoreOrders({ tenant, snapshotId, volumes: [{ claim: 'data', mountPath: target }], attempt: attempt('r') }));

    expect(run.status).toBe(1);
    expect(run.message.failure).toMatchObject({ code: 'Damaged', retryable: false });
  });

  it('a volume that is full in a restore', async () => {
    const { tenant, snapshotId } = await storedTenant();
    const target = join(bench.folder, 'tiny');
    await mkdir(target);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', target]);
    try {
      const run = await bench.run(bench.restoreOrders({ tenant, snapshotId, volumes: [{ claim: 'data', mountPath: target }], attempt: attempt('r') }));

      expect(run.status).toBe(1);
      expect(run.message.failure).toMatchObject({ code: 'NoSpace', message: expect.stringContaining(target), retryable: false });
    } finally {
      execFileSync('umount', [target]);
    }
  });

  it('credentials that end: it waits for the renewed ones in the file and goes on', async () => {
    const orders = bench.backupOrders({ tenant: newTenant(), volumes: volumes() });
    const ended = { ...bench.credentials(), s3: { accessKeyId: 'ended', secretAccessKey: 'ended', expiration: '2020-01-01T00:00:00Z' } };
    const folder = await bench.mount(orders, ended);

    const run = await bench.runMounted(folder, orders, {
      onStart: (child) =>
        child.stdout?.on('data', (said: Buffer) => {
          if (said.includes('ExpiredCredentials')) void writeFile(join(folder, 'credentials.json'), JSON.stringify(bench.credentials()));
        }),
    });

    expect(run.status).toBe(0);
    expect(run.lines).toContainEqual({ type: 'trouble', code: 'ExpiredCredentials', message: expect.stringMatching(/waiting for a renewed one/) });
  });

  it('SIGTERM: it stops within its grace period, says so, and leaves no lock', async () => {
    const tenant = newTenant();
    const big = join(bench.folder, 'big');
    await mkdir(big);
    for (let n = 0; n < 40; n += 1) {
      await writeFile(join(big, `file-${n}`), Buffer.concat(Array.from({ length: 130 }, () => Buffer.from(crypto.getRandomValues(new Uint8Array(65_536))))));
    }
    const orders = bench.backupOrders({ tenant, volumes: [{ claim: 'data', mountPath: big }], attempt: attempt('b1') });

    const run = await bench.run(orders, bench.credentials(), { onStart: (child) => setTimeout(() => child.kill('SIGTERM'), 1200) });

    expect(run.status).toBe(75);
    expect(run.message.failure).toMatchObject({ code: 'Aborted', retryable: true });
    expect(run.result?.failure?.code).toBe('Aborted');
    expect(await bench.list(tenant.id, 'g1/locks/')).toEqual([]);
  });

  it('a killed attempt: its lock is in nobody\'s way once the operator knows that it is dead', async () => {
    const { tenant } = await storedTenant();
    const orders = bench.forgetOrders({ tenant, uids: ['first'], attempt: attempt('f', 2), deadAttempts: ['tbmover-f-1'] });
    const killed = bench.backupOrders({ tenant, volumes: [{ claim: 'data', mountPath: join(bench.folder, 'big') }], attempt: attempt('f', 1) });
    const killWhenLocked = async (child: ChildProcess): Promise<void> => {
      while (child.exitCode === null && (await bench.list(tenant.id, 'g1/locks/')).length === 0) await delay(20);
      child.kill('SIGKILL');
    };
    await bench.run(killed, bench.credentials(), { onStart: (child) => void killWhenLocked(child) }).catch(() => undefined);
    expect(await bench.list(tenant.id, 'g1/locks/')).not.toEqual([]);

    const run = await bench.run(orders);

    expect(run.status).toBe(0);
    expect(await bench.list(tenant.id, 'g1/locks/')).toEqual([]);
  });

  it('a Secret that is not mounted', async () => {
    const orders = bench.backupOrders({ volumes: volumes() });
    const folder = await bench.mount(orders);
    await writeFile(join(folder, 'orders.json'), '');

    const run = await bench.runMounted(folder, orders);

    expect(run).toMatchObject({ status: 1, message: { failure: { code: 'BadOrders' } } });
    expect(await readFile(join(folder, 'termination-log'), 'utf8')).toContain('Secret');
  });
});
