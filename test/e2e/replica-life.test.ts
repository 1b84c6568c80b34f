// The second data center's bucket over its life, on the real cluster: filled by an installation of its own that only reads the first, alarmed when the first
// is ruined, cleared of what was forgotten and of who was erased once locks have ended, and of nothing else.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { CLUSTER } from '../ground/layout.ts';
import { keysBelow, openBucket, tenantIdOf } from '../support/bucket.ts';
import { GROUP_VERSION, SYSTEM_NAMESPACE, apply, create, environment, getObject, kubectl, listObjects, waitFor, waitForCondition, waitForPhase, type StatusLike } from '../support/cluster.ts';
import { awsKms, backupObject, locationObjects, makeCustomer, removeCustomer, removeTenants, secret } from '../support/customer.ts';
import { runProcess } from '../support/program.ts';
import { copyNow, copyTerms, keysInSecond, locationMetric, replicaSecrets, secondBucket, workersLeft } from '../support/second-data-center.ts';

/** In two data centers, by their installations. */
const [PULLED, PULLING] = ['e2e-pulled', 'e2e-pulling'] as const;
const PUSHED = 'e2e-pushed';
const [SHOP, LEAVER] = ['e2e-pull-shop', 'e2e-push-leaver'] as const;
const RETAIN_FOR = '12s';
/** What is under a lock outlives a run. */
const prefixOf = (location: string): string => `${location}-${RUN}`;
const RUN = Date.now();
const directoryOf = (namespace: string): string => join(CLUSTER, 'e2e', namespace);
const env = (name: string): string => environment()[name] ?? '';

async function customer(namespace: string, location: string): Promise<void> {
  mkdirSync(directoryOf(namespace), { recursive: true });
  writeFileSync(join(directoryOf(namespace), 'file'), randomBytes(1 << 20));
  await makeCustomer({ namespace, location, volumes: { data: directoryOf(namespace) }, policySpec: { copyMethod: 'Direct' } });
  await waitForCondition('bp', 'daily', namespace, { type: 'Ready', status: 'True' });
}

async function stored(namespace: string, name: string): Promise<string> {
  writeFileSync(join(directoryOf(namespace), name), randomBytes(100_000));
  await create([backupObject(namespace, name, 'daily')]);
  const backup = await waitForPhase('bk', name, namespace, ['Stored', 'Failed'], 90);
  expect(backup.status?.phase).toBe('Stored');
  return String(backup.status?.['snapshotId']);
}

/** What is copied of a tenant but its record, which is gathered when it likes; the rest passes. */
function lasting(keys: readonly string[]): string[] {
  return keys.filter((key) => !/(^|\/)(tenant|ledger|locks|results|prune)\//.test(key)).sort();
}

/** Copies again and again, as nights do, until it is so; locks end meanwhile. */
async function nightsUntil(location: string, what: string, isSo: () => Promise<boolean>): Promise<void> {
  await waitFor(what, 150, async () => {
    expect((await copyNow(location)).status.replication).toMatchObject({ phase: 'Completed' });
    return isSo();
  });
}

beforeAll(async () => {
  const pull = { from: { endpoint: env('S3_A_ENDPOINT'), region: env('S3_A_REGION'), bucket: env('S3_A_BUCKET'), prefix: prefixOf(PULLED), credentialsSecretRef: { name: `${PULLING}-reader` } }, ...copyTerms(PULLING, { retainFor: RETAIN_FOR, collects: true }) };
  const kms = secret(`${PULLING}-kms`, { accessKeyId: env('KMS_B_ACCESS_KEY_ID'), secretAccessKey: env('KMS_B_SECRET_ACCESS_KEY') });
  await apply([
    ...locationObjects(PULLED, { prefix: prefixOf(PULLED), replica: { mode: 'Pull' } }),
    ...replicaSecrets(PULLING),
    kms,
    { apiVersion: GROUP_VERSION, kind: 'BackupLocation', metadata: { name: PULLING }, spec: { s3: secondBucket(PULLING, prefixOf(PULLED)), kms: awsKms('B', `${PULLING}-kms`), pull } },
    ...replicaSecrets(PUSHED),
    ...locationObjects(PUSHED, { prefix: prefixOf(PUSHED), replica: { s3: secondBucket(PUSHED, prefixOf(PUSHED)), ...copyTerms(PUSHED, { retainFor: RETAIN_FOR, collects: true }) } }),
  ]);
  for (const location of [PULLED, PULLING, PUSHED]) await waitForCondition('bl', location, undefined, { type: 'Ready', status: 'True' });
  await Promise.all([customer(SHOP, PULLED), customer(LEAVER, PUSHED)]);
}, 120_000);

afterAll(async () => {
  await Promise.all([SHOP, LEAVER].map((namespace) => removeCustomer(namespace, ['data'])));
  for (const namespace of [SHOP, LEAVER]) rmSync(directoryOf(namespace), { recursive: true, force: true });
  await removeTenants([SHOP, LEAVER]);
  await kubectl(['delete', 'bl', PULLED, PULLING, PUSHED, '--ignore-not-found', '--timeout=30s']);
}, 180_000);

describe('a second data center that pulls', () => {
  let prefix = '';

  it('has what the first one has, which knows nothing of how far that is', async () => {
    await stored(SHOP, 'first');
    await stored(SHOP, 'second');
    await stored(SHOP, 'third');
    prefix = `${prefixOf(PULLED)}/tenants/${await tenantIdOf(SHOP)}`;
    const location = await copyNow(PULLING);
    expect(location.status.replication).toMatchObject({ phase: 'Completed', tenants: 1, tenantsDone: 1 });
    await waitForCondition('bl', PULLING, undefined, { type: 'Replicated', status: 'True', reason: 'UpToDate' });
    expect(lasting(await keysInSecond(prefix))).toEqual(lasting(await keysBelow(prefix)));
    await waitForCondition('bp', 'daily', SHOP, { type: 'Replicated', status: 'Unknown', reason: 'PulledElsewhere' });
    await waitFor('nothing to be left', 20, async () => (await workersLeft()) === '');
  }, 120_000);

  it('lets go of what was forgotten when its locks have ended, and of nothing else', async () => {
    const forgotten = String((await getObject<StatusLike>('bk', 'second', SHOP))?.status?.['snapshotId']);
    await kubectl(['delete', 'bk', 'second', '-n', SHOP, '--timeout=60s']);
    expect((await copyNow(PULLING)).status.replication).toMatchObject({ phase: 'Completed', tenantsDiverged: 0 });
    expect(await keysInSecond(prefix)).toContain(`g1/snapshots/${forgotten}`);

    await nightsUntil(PULLING, 'the snapshot to be gone', async () => !(await keysInSecond(prefix)).includes(`g1/snapshots/${forgotten}`));
    const named = async (): Promise<boolean> => {
      const [here, there] = [new Set(lasting(await keysBelow(prefix))), lasting(await keysInSecond(prefix))];
      return there.every((key) => here.has(key));
    };
    await nightsUntil(PULLING, 'all that it named to be gone', named);
    const there = new Set(await keysInSecond(prefix));
    // A manifest counts by its highest revision alone.
    const isSuperseded = (key: string): boolean => there.has(key.replace(/^(g1\/manifests\/\w+\/)(\d+)(?=\.json$)/, (_, slot: string, rev: string) => `${slot}${Number(rev) + 1}`)) && key.includes('/manifests/');
    expect(lasting(await keysBelow(prefix)).filter((key) => !there.has(key) && !isSuperseded(key))).toEqual([]);
  }, 240_000);

  it('raises an alarm when somebody empties the first one, and keeps everything beyond its locks', async () => {
    const before = lasting(await keysInSecond(prefix));
    const store = await openBucket(prefix, { accessKeyId: env('S3_A_ROOT_ACCESS_KEY_ID'), secretAccessKey: env('S3_A_ROOT_SECRET_ACCESS_KEY') });
    for (const key of (await keysBelow(prefix)).filter((each) => each.startsWith('g1/'))) await store.delete(key);
    await store.close();

    const location = await copyNow(PULLING);

    expect(location.status.replication).toMatchObject({ tenantsDiverged: 1 });
    await waitForCondition('bl', PULLING, undefined, { type: 'ReplicaDiverged', status: 'True', reason: 'ReplicaDiverged' });
    expect(await locationMetric('replica_diverged', PULLING)).toBe(1);
    expect(await kubectl(['get', 'events', '-A', '--field-selector', `involvedObject.name=${PULLING}`, '-o', 'jsonpath={.items[*].reason}'])).toContain('ReplicaDiverged');
    const end = Date.now() + 16_000;
    while (Date.now() < end) await copyNow(PULLING);
    expect(lasting(await keysInSecond(prefix))).toEqual(expect.arrayContaining(before));
  }, 180_000);
});

describe('an erasure', () => {
  it('destroys the keys in the first data center at once, the copy when its locks have ended, and leaves a certificate that holds', async () => {
    await stored(LEAVER, 'only');
    const id = await tenantIdOf(LEAVER);
    const prefix = `${prefixOf(PUSHED)}/tenants/${id}`;
    expect((await copyNow(PUSHED)).status.replication).toMatchObject({ phase: 'Completed', tenantsDone: 1 });
    const [tenant] = (await listObjects<StatusLike>('bt')).filter(({ spec }) => spec?.['tenantId'] === id);
    const name = tenant?.metadata.name ?? '';
    await removeCustomer(LEAVER, ['data']);

    await kubectl(['patch', 'bt', name, '--type=merge', '-p', JSON.stringify({ spec: { erasure: { reason: 'contract 4711 ended', requestedBy: 'erika', confirm: id } } })]);

    await waitForCondition('bt', name, undefined, { type: 'Erased', status: 'False', reason: 'ErasureWaiting' });
    expect((await keysBelow(prefix)).filter((key) => !key.startsWith('audit/'))).toEqual([]);
    expect((await keysInSecond(prefix)).filter((key) => key.includes('/wrappings/'))).not.toEqual([]);
    await nightsUntil(PUSHED, 'the erasure', async () => (await getObject<StatusLike>('bt', name))?.status?.conditions?.some(({ type, status }) => type === 'Erased' && status === 'True') === true);

    expect((await keysInSecond(prefix)).filter((key) => !/^(audit|ledger)\//.test(key))).toEqual([]);
    await copyNow(PUSHED);
    const publicKey = await kubectl(['-n', SYSTEM_NAMESPACE, 'get', 'secret', 'tenant-backup-audit', '-o', 'jsonpath={.data.publicKey}']);
    await auditHolds(prefix, Buffer.from(publicKey, 'base64').toString('utf8'));
    await kubectl(['delete', 'bt', name]);
  }, 240_000);
});

/** As an auditor looks at it, with the key that the installation published. */
async function auditHolds(prefix: string, publicKey: string): Promise<void> {
  const url = (center: 'A' | 'B'): string => `s3://${env(`S3_${center}_BUCKET`)}/${prefix}?endpoint=${encodeURIComponent(env(`S3_${center}_ENDPOINT`))}&region=${env(`S3_${center}_REGION`)}`;
  const as = (user: string) => ({ env: { AWS_ACCESS_KEY_ID: env(`${user}ACCESS_KEY_ID`), AWS_SECRET_ACCESS_KEY: env(`${user}SECRET_ACCESS_KEY`) } });
  for (const [center, user] of [['A', 'S3_A_'], ['B', 'S3_B_']] as const) {
    const verified = await runProcess(['audit', 'verify', '--repository', url(center), '--public-key', publicKey], as(user));
    expect({ center, status: verified.status, stderr: verified.stderr }).toEqual({ center, status: 0, stderr: expect.anything() });
  }
  const listed = await runProcess(['audit', 'list', '--repository', url('A')], as('S3_A_'));
  for (const action of ['erasure.ordered', 'erasure.keys-destroyed', 'erasure.completed']) expect(listed.stdout).toContain(action);
}
