// An empty cluster and the second data center's bucket, of which somebody deleted and overwrote what he could: namespaces, tenants, policies and backups
// come back, by the operator's own wiring, on a real API server and a real S3 service.
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import type { Backup, BackupLocation, BackupPolicy, BackupTenant, TenantRecord } from '../../src/api/index.ts';
import { newAuditKeys, openAuditSigner } from '../../src/audit/index.ts';
import { operatorMetrics } from '../../src/cmd/operator/metrics.ts';
import { RealRecoverySource } from '../../src/cmd/operator/recovery-source.ts';
import { runControllers } from '../../src/cmd/operator/run-controllers.ts';
import { RealTenantRecords } from '../../src/cmd/operator/tenant-records.ts';
import { PortError, type Ports, type RawSecret } from '../../src/controller/index.ts';
import { EventRecorder, Informer, ResourceClient, resourceTypes, type KubeObject, type ResourceType } from '../../src/kube/index.ts';
import { canonicalJson, openStore, type ObjectStore } from '../../src/storage/index.ts';
import { ApiServer } from '../support/api-server.ts';
import { idleReplication } from '../support/idle-replication.ts';
import { installCrds } from '../support/installed-crds.ts';
import { startTogether } from '../support/loopback-process.ts';
import { startS3, type S3Service } from '../support/services.ts';

const FOUND = { ok: true, message: 'fine' } as const;
const TENANTS = 25;
const [SHOP, BARE, FORGED, OLD] = ['a', 'b', 'c', 'd'].map((letter) => letter.repeat(32)) as [string, string, string, string];
const BEFORE = '9'.repeat(32);
const snapshot = (letter: string): string => letter.repeat(64);

const signer = openAuditSigner(newAuditKeys());
const lostInstallation = { open: () => Promise.resolve(signer) };

let api: ApiServer;
let s3: S3Service;
let store: ObjectStore;
let failures: unknown[];
let stop: () => Promise<void> = () => Promise.resolve();

const client = <T extends KubeObject = KubeObject>(type: ResourceType): ResourceClient<T> => new ResourceClient<T>(api.connect(), type);
const secrets = { lookup: () => ({ accessKeyId: s3.accessKeyId, secretAccessKey: s3.secretAccessKey }), namespace: 'default' };

function spec(changed: object = {}) {
  return {
    s3: { bucket: s3.bucket, prefix: 'main', endpoint: s3.endpoint, region: s3.region, forcePathStyle: true, credentialsSecretRef: { name: 's3' } },
    kms: { provider: 'local', local: { secretRef: { name: 'key' } } },
    ...changed,
  };
}

function record(tenant: string, namespace: string, changed: Partial<TenantRecord> = {}): TenantRecord {
  const stored = { snapshotId: snapshot('1'), keyGeneration: 1, completedAt: '2026-02-28T02:00:00Z', complete: true, volumes: ['data'], files: 3, size: '1 KiB' };
  return {
    version: 1,
    rev: 1,
    tenant,
    namespace,
    keyGeneration: 1,
    policies: [{ name: 'daily', spec: { location: 'lost', volumes: ['data'], automatic: { schedule: '* * * * *', keep: 1 } } }],
    backups: [
      { name: 'kept', spec: { policy: 'daily', trigger: 'Manual', note: 'before the fire' }, stored },
      { name: 'nightly', spec: { policy: 'daily', trigger: 'Automatic' }, stored: { ...stored, snapshotId: snapshot('2'), completedAt: '2026-02-27T02:00:00Z' } },
    ],
    ...changed,
  };
}

async function manifest(tenant: string, letter: string, generation = 1): Promise<void> {
  const key = `tenants/${tenant}/g${generation}/manifests/${snapshot(letter)}/1.json`;
  await store.put(key, Buffer.from(JSON.stringify({ version: 1, rev: 1, tenant, generation, snapshot: snapshot(letter), createdAt: '2026-03-01T00:00:00Z', complete: true, files: [], mac: snapshot('0') })));
}

beforeAll(async () => {
  [api, s3] = await startTogether([ApiServer.start(), startS3({ objectLock: true })]);
  await installCrds(api.connect());
  const { accessKeyId, secretAccessKey } = s3;
  store = await openStore(`s3://${s3.bucket}/main?endpoint=${s3.endpoint}&region=${s3.region}`, { s3: { credentials: { accessKeyId, secretAccessKey } } });
  const records = new RealTenantRecords(secrets, lostInstallation);
  const writer = { spec: { ...spec(), recover: false } } as unknown as BackupLocation;
  const signal = AbortSignal.timeout(60_000);
  expect(await records.put(writer, record(SHOP, 'shop'), signal)).toBe(true);
  const oldest = `tenants/${SHOP}/tenant/1.json`;
  // As long as nothing locks it, another could have been removed before it.
  await expect(new RealRecoverySource(secrets).tenants(writer, signal)).rejects.toMatchObject({ reason: 'OldestRecordUnlocked', message: expect.stringContaining('spec.recovery.trustedKeys') });
  await store.versions?.extend(oldest, undefined, { mode: 'GOVERNANCE', until: new Date(Date.now() + 120_000) });
  expect(await records.put(writer, record(SHOP, 'forged'), signal)).toBe(false);
  for (const letter of ['1', '2', '3']) await manifest(SHOP, letter, letter === '3' ? 2 : 1);
  // One whose record is lost, and many others.
  await manifest(BARE, '1');
  for (let index = 0; index < TENANTS; index++) {
    const id = index.toString(16).padStart(32, '0');
    await records.put(writer, record(id, `customer-${index}`, { backups: [] }), signal);
  }
  // Whoever can write into the first bucket puts records of his own, which are copied: a newer one of a customer's, a customer who never was, and one without a seal.
  const attacker = new RealTenantRecords(secrets, { open: () => Promise.resolve(openAuditSigner(newAuditKeys())) });
  const policies = [{ name: 'daily', spec: { location: 'lost', volumes: ['data'], hooks: { pre: [{ command: ['sh', '-c', 'curl attacker'] }] } } }];
  await attacker.put(writer, record(SHOP, 'shop', { rev: 2, policies }), signal);
  await attacker.put(writer, record(FORGED, 'victim', { policies, backups: [] }), signal);
  await store.put(`tenants/${OLD}/tenant/1.json`, canonicalJson(record(OLD, 'old', { backups: [] })));
  // An old record of the customer's, and another's, each put there once more under a higher number.
  await store.put(`tenants/${SHOP}/tenant/8.json`, await store.get(oldest));
  await store.put(`tenants/${SHOP}/tenant/9.json`, await store.get(`tenants/${'0'.repeat(32)}/tenant/1.json`));
  // And a customer from before, whose namespace has had that name.
  await records.put(writer, record(BEFORE, 'shop', { since: '2025-01-01T00:00:00Z', backups: [] }), signal);
  // What an attacker can do there: put delete markers, and newer versions on top.
  await store.put(`tenants/${SHOP}/tenant/1.json`, Buffer.from('encrypted, pay me'));
  for await (const { key } of store.list(`tenants/${SHOP}/`)) await store.delete(key);
}, 120_000);
afterAll(async () => {
  await store.close();
  await Promise.all([api.stop(), s3.stop()]);
});

afterEach(() => stop());

function operator(): () => Promise<void> {
  const connection = api.connect();
  const stopping = new AbortController();
  failures = [];
  const metrics = operatorMetrics(pino({ enabled: false }));
  const refuse = () => Promise.reject(new PortError('BadCredentials', 'no mover is to run here', { retryable: false }));
  const { prover, replication } = idleReplication();
  const ports: Ports = {
    clock: { now: () => Date.now() },
    locationProbe: { probe: () => Promise.resolve({ storageReachable: FOUND, storageWritable: FOUND, keyUsable: FOUND, storageIsolated: FOUND, keysIsolated: FOUND }) },
    lockProver: prover,
    replication,
    tenantRecords: new RealTenantRecords(secrets, lostInstallation),
    recovery: new RealRecoverySource(secrets),
    credentialMinter: { mint: refuse },
    resultReader: { read: refuse },
    audit: { record: refuse },
    eraser: { step: refuse },
  };
  const ran = runControllers(
    {
      connection,
      secrets: new Informer<RawSecret>(new ResourceClient<RawSecret>(connection, resourceTypes.secrets), { namespace: 'default' }),
      events: new EventRecorder(connection, 'test', () => new Date(), () => undefined),
      metrics: { ...metrics, observer: { reconciled: () => undefined, failed: (_name, _key, error) => void failures.push(error) } },
      ports,
      operatorNamespace: 'default',
      moverImage: 'mover:1',
      moverNamespace: 'movers',
      newTenantId: () => 'f'.repeat(32),
      onError: () => undefined,
      onSynced: () => undefined,
      onCaughtUp: () => undefined,
    },
    stopping.signal,
  );
  return async () => {
    stopping.abort();
    await ran;
  };
}

async function until<T>(what: string, look: () => Promise<T | undefined>, ms = 30_000): Promise<T> {
  const end = Date.now() + ms;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (Date.now() > end) throw new Error(`waited in vain for ${what}; failures: ${failures.map(String).join('; ')}`);
    await sleep(50);
  }
}

const location = () => client<BackupLocation>(resourceTypes.backupLocations).get('second');
const backups = async () => (await client<Backup>(resourceTypes.backups).list({ namespace: 'shop' })).items;

describe('a location with spec.recover on an empty cluster', () => {
  it('brings every customer back from the bucket, and finds what is there when it is begun again', async () => {
    await client(resourceTypes.backupLocations).create({ apiVersion: 'backup.dupp.de/v1alpha1', kind: 'BackupLocation', metadata: { name: 'second' }, spec: spec({ recover: true }) });
    stop = operator();
    // Somewhere in between.
    await until('the first namespace', async () => (await client(resourceTypes.namespaces).get('customer-3')) ?? undefined);
    await stop();
    stop = operator();

    const done = await until('the recovery', async () => ((is) => (is?.status?.recovery?.completedAt === undefined ? undefined : is))(await location()));

    expect(done.status?.recovery).toMatchObject({ tenants: TENANTS + 5, recovered: TENANTS + 1 });
    const problems = [...(done.status?.recovery?.problems ?? [])].sort();
    expect(problems).toEqual([
      expect.stringMatching(`namespace shop belongs to tenant ${SHOP} already, which had it last; tenant ${BEFORE} was not recovered into it`),
      expect.stringMatching(`revision 1 of the record of tenant ${FORGED} is sealed by the key [0-9a-f]{16}, which is not trusted`),
      expect.stringMatching(`revision 1 of the record of tenant ${OLD} has no seal that fits it: .*its digest [0-9a-f]{64} in spec.recovery.acceptedRecords`),
      expect.stringMatching(`revision 9 of the record of tenant ${SHOP} is revision 1 of tenant 0{32}: .* Revision 1 was taken`),
      expect.stringContaining(`tenant ${BARE} has 1 backups but no record`),
    ]);
    expect(await client(resourceTypes.namespaces).get('victim')).toBeUndefined();
    expect(JSON.stringify((await client(resourceTypes.backupPolicies).list()).items)).not.toContain('curl');
    expect(done.status?.conditions?.find(({ type }) => type === 'Recovered')).toMatchObject({ status: 'False', reason: 'RecoveryIncomplete' });
    const all = await until('stored backups', async () => ((items) => (items.length === 3 && items.every(({ status }) => status?.phase === 'Stored') ? items : undefined))(await backups()));
    expect(all.map(({ metadata, status }) => [metadata.name, status?.snapshotId, status?.keyGeneration])).toEqual([
      ['kept', snapshot('1'), 1],
      ['nightly', snapshot('2'), 1],
      ['recovered-333333333333', snapshot('3'), 2],
    ]);
    const tenants = (await client<BackupTenant>(resourceTypes.backupTenants).list()).items;
    const home = await client(resourceTypes.namespaces).get('shop');
    expect(tenants.find(({ spec: { namespace } }) => namespace === 'shop')?.spec).toMatchObject({ tenantId: SHOP, namespaceUID: home?.metadata.uid, location: 'second' });
    expect(tenants).toHaveLength(TENANTS + 1);
    expect(new Set(tenants.map(({ spec: { tenantId } }) => tenantId)).size).toBe(TENANTS + 1);

    await sleep(2500);
    // Its schedule of every minute makes nothing, its `keep: 1` removes nothing, no mover runs, and nothing failed.
    expect((await backups()).map(({ metadata: { name } }) => name)).toEqual(['kept', 'nightly', 'recovered-333333333333']);
    const policy = await client<BackupPolicy>(resourceTypes.backupPolicies).get('daily', 'shop');
    expect(policy?.spec.location).toBe('second');
    expect(policy?.status?.conditions?.find(({ type }) => type === 'Ready')).toMatchObject({ status: 'False', reason: 'LocationReadOnly' });
    expect((await client(resourceTypes.jobs).list()).items).toEqual([]);

    // A person looks at the one without a seal, and lets it pass.
    const digest = /its digest ([0-9a-f]{64})/.exec(problems[2] ?? '')?.[1];
    await client(resourceTypes.backupLocations).patch('second', undefined, { spec: { recovery: { acceptedRecords: [digest] } } });
    const accepted = await until('the recovery of one more', async () => ((is) => (is?.status?.recovery?.completedAt !== undefined && is.status.recovery.recovered === TENANTS + 2 ? is : undefined))(await location()));
    expect(accepted.status?.recovery?.problems).toHaveLength(4);
    expect((await client<BackupTenant>(resourceTypes.backupTenants).list()).items.map(({ spec: { tenantId } }) => tenantId)).toContain(OLD);

    // Told of another installation's key, it believes none of these.
    await client(resourceTypes.backupLocations).patch('second', undefined, { spec: { recovery: { acceptedRecords: [], trustedKeys: [openAuditSigner(newAuditKeys()).publicKey] } } });
    await until('that nobody is believed', async () => ((is) => (is?.status?.recovery?.completedAt !== undefined && is.status.recovery.recovered === 0 ? is : undefined))(await location()));
    await stop();
    expect(failures).toEqual([]);
  }, 120_000);
});
