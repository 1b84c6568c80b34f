// The client layer and the plain controllers against a real API server.
import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { parse } from 'yaml';
import type { Backup, BackupLocation, BackupPolicy, BackupTenant, Restore } from '../../src/api/index.ts';
import { allInformers, locationController, makeCaches, policyController, tenantController, type Caches, type RawSecret } from '../../src/controller/index.ts';
import { EventRecorder, Informer, isKubeError, ResourceClient, resourceTypes, ScaleClient, type Controller, type KubeObject, type NewObject, type ResourceType } from '../../src/kube/index.ts';
import { idleMovers, noAudit, noEraser } from '../support/idle-movers.ts';
import { idleReplication } from '../support/idle-replication.ts';
import { ApiServer } from '../support/api-server.ts';

const VERSION = 'backup.dupp.de/v1alpha1';
const FOUND = { ok: true, message: 'fine' } as const;
let api: ApiServer;

const client = <T extends KubeObject = KubeObject>(type: ResourceType): ResourceClient<T> => new ResourceClient<T>(api.connect(), type);

beforeAll(async () => {
  api = await ApiServer.start();
  const definitions = client({ group: 'apiextensions.k8s.io', version: 'v1', kind: 'CustomResourceDefinition', plural: 'customresourcedefinitions', namespaced: false });
  for (const file of readdirSync('crds')) await definitions.create(parse(readFileSync(`crds/${file}`, 'utf8')) as NewObject);
  // Served a moment after they are accepted.
  for (const type of [resourceTypes.backupLocations, resourceTypes.backupTenants, resourceTypes.backupPolicies, resourceTypes.backups, resourceTypes.restores]) {
    await until(() => isServed(type));
  }
}, 90_000);

afterAll(async () => {
  await api.stop();
});

async function until(isSo: () => boolean | Promise<boolean>, ms = 20_000): Promise<void> {
  const end = Date.now() + ms;
  while (!(await isSo())) {
    if (Date.now() > end) throw new Error('waited in vain');
    await sleep(20);
  }
}

async function isServed(type: ResourceType): Promise<boolean> {
  try {
    await client(type).list();
    return true;
  } catch (error) {
    if (isKubeError(error, 'NotFound')) return false;
    throw error;
  }
}

async function namespace(name: string): Promise<void> {
  await client(resourceTypes.namespaces).create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
}

function policy(namespaceName: string, name: string) {
  return { apiVersion: VERSION, kind: 'BackupPolicy', metadata: { name, namespace: namespaceName }, spec: { location: 'here' } };
}

function backup(namespaceName: string, name: string, of: string) {
  return { apiVersion: VERSION, kind: 'Backup', metadata: { name, namespace: namespaceName }, spec: { policy: of } };
}

/** The plain controllers as one operator runs them. */
async function operator(): Promise<{ caches: Caches; controllers: readonly Controller[]; failures: unknown[]; stop: () => Promise<void> }> {
  const connection = api.connect();
  const stopping = new AbortController();
  const failures: unknown[] = [];
  const caches = makeCaches(connection, 'movers', () => undefined);
  const secrets = new Informer<RawSecret>(new ResourceClient<RawSecret>(connection, resourceTypes.secrets));
  const shared = {
    ...idleReplication(),
    caches,
    clock: { now: () => Date.now() },
    events: new EventRecorder(connection, 'test', () => new Date(), () => undefined),
    observer: { reconciled: () => undefined, failed: (_name: string, _key: string, error: unknown) => void failures.push(error) },
  };
  const probe = { probe: () => Promise.resolve({ storageReachable: FOUND, storageWritable: FOUND, keyUsable: FOUND, storageIsolated: FOUND, keysIsolated: FOUND }) };
  const controllers = [
    locationController({ ...shared, secrets, operatorNamespace: 'default', locations: new ResourceClient<BackupLocation>(connection, resourceTypes.backupLocations), probe, movers: idleMovers(connection, caches, shared.clock) }),
    tenantController({ ...shared, tenants: new ResourceClient<BackupTenant>(connection, resourceTypes.backupTenants), newTenantId: () => '0123456789abcdef'.repeat(2), audit: noAudit, eraser: noEraser }),
    policyController({
      ...shared,
      policies: new ResourceClient<BackupPolicy>(connection, resourceTypes.backupPolicies),
      backups: new ResourceClient<Backup>(connection, resourceTypes.backups),
      restores: new ResourceClient<Restore>(connection, resourceTypes.restores),
      scales: new ScaleClient(connection),
    movers: idleMovers(connection, caches, shared.clock),
    }),
  ];
  const informers = [...allInformers(caches), secrets];
  const watching = informers.map((informer) => informer.run(stopping.signal));
  await Promise.all(informers.map((informer) => informer.synced));
  const ended = Promise.all([...watching, ...controllers.map((controller) => controller.run(stopping.signal))]);
  return {
    caches,
    controllers,
    failures,
    stop: async () => {
      stopping.abort();
      await ended;
      await shared.events.flush();
    },
  };
}

describe('the quota, when two operators lead at once', () => {
  it('gives the seventh place to exactly one of two, and takes back none that was given', async () => {
    await namespace('race');
    const policies = client<BackupPolicy>(resourceTypes.backupPolicies);
    const backups = client<Backup>(resourceTypes.backups);
    const names = ['p0', 'p1', 'p2', 'p3', 'p4'];
    const kept: Record<string, { uid: string; name: string }[]> = {};
    for (const name of names) {
      await policies.create(policy('race', name));
      const slots = (kept[name] = []) as { uid: string; name: string }[];
      for (const digit of [1, 2, 3, 4, 5, 6]) {
        const made = await backups.create(backup('race', `${name}-${digit}`, name));
        await backups.writeStatus(made, { phase: 'Stored' });
        slots.push({ uid: made.metadata.uid, name: made.metadata.name });
      }
    }
    const granted = new Map<string, Set<string>>();
    const operators = await Promise.all([operator(), operator()]);
    operators[0].caches.policies.listen(({ object }) => {
      const ever = granted.get(object.metadata.name) ?? new Set<string>();
      granted.set(object.metadata.name, ever);
      for (const slot of object.status?.quota?.slots ?? []) ever.add(slot.uid);
    });

    await Promise.all(names.flatMap((name) => ['x', 'y'].map((last) => client<Backup>(resourceTypes.backups).create(backup('race', `${name}-${last}`, name)))));
    const settled = async () => (await policies.list({ namespace: 'race' })).items.map(({ status }) => [status?.quota?.used, status?.quota?.slots.length, status?.quota?.refused?.length]);
    await until(async () => (await settled()).every(([used, , refused]) => used === 7 && refused === 1));
    // What is listened to may come later than what is asked for.
    const told = (name: string) => operators[0].caches.policies.get(name, 'race')?.status?.quota;
    await until(() => names.every((name) => told(name)?.used === 7 && told(name)?.refused?.length === 1));

    for (const each of operators) await each.stop();
    expect(await settled()).toEqual(names.map(() => [7, 7, 1]));
    for (const name of names) {
      expect(granted.get(name)?.size).toBe(7);
      for (const { uid } of kept[name] ?? []) expect(granted.get(name)?.has(uid)).toBe(true);
    }
    expect(operators.flatMap(({ failures }) => failures)).toEqual([]);
  }, 60_000);
});

describe('a status write', () => {
  it('on what somebody else changed since it was read is refused, and changes nothing', async () => {
    await namespace('stale');
    const [one, other] = [client<BackupPolicy>(resourceTypes.backupPolicies), client<BackupPolicy>(resourceTypes.backupPolicies)];
    const read = await one.create(policy('stale', 'daily'));
    const quota = (name: string) => ({ quota: { used: 1, max: 1, display: '1/1', slots: [{ uid: name, name }] } });
    await one.writeStatus(read, quota('first'));
    await expect(other.writeStatus(read, quota('second'))).rejects.toMatchObject({ code: 'Conflict' });
    expect((await one.get('daily', 'stale'))?.status?.quota?.slots).toEqual([{ uid: 'first', name: 'first' }]);
    await one.delete('daily', 'stale');
  });
});

describe('a quiet cluster', () => {
  it('has counted everything, and costs no write: not in three more rounds, not after a restart', async () => {
    await namespace('quiet');
    const secret = { name: 'none' };
    await client(resourceTypes.backupLocations).create({
      apiVersion: VERSION,
      kind: 'BackupLocation',
      metadata: { name: 'here' },
      spec: {
        s3: { endpoint: 'https://s3.example.com', bucket: 'backups', credentialsSecretRef: secret },
        kms: { provider: 'aws', aws: { region: 'eu-central-1', keyId: 'alias/k', credentialsSecretRef: secret, moverCredentialsSecretRef: secret } },
      },
    });
    await client(resourceTypes.backupPolicies).create(policy('quiet', 'daily'));
    const types = [resourceTypes.backupLocations, resourceTypes.backupTenants, resourceTypes.backupPolicies];
    const versions = async () => Promise.all(types.map(async (type) => (await client(type).list()).items.map(({ metadata }) => [metadata.name, metadata.resourceVersion])));
    const quiet = async (): Promise<unknown> => {
      let before = JSON.stringify(await versions());
      for (;;) {
        await sleep(1500);
        const after = JSON.stringify(await versions());
        if (after === before) return after;
        before = after;
      }
    };
    const first = await operator();
    const isReady = async () => (await client<BackupLocation>(resourceTypes.backupLocations).get('here'))?.status?.phase === 'Ready';
    await until(async () => (await isReady()) && (await client(resourceTypes.backupTenants).list()).items.length > 0);
    // The counts of a location follow after five seconds.
    await sleep(6000);
    const settled = await quiet();
    expect((await client<BackupLocation>(resourceTypes.backupLocations).get('here'))?.status?.tenants).toBe(2);
    for (let round = 0; round < 3; round++) {
      for (const { name, queue } of first.controllers) for (const key of { location: ['here'], tenant: ['quiet'], policy: ['quiet/daily'] }[name] ?? []) queue.add(key);
      await sleep(300);
    }
    expect(await quiet()).toEqual(settled);
    await first.stop();

    const second = await operator();
    await sleep(6000);
    expect(await quiet()).toEqual(settled);
    await second.stop();
    expect([...first.failures, ...second.failures]).toEqual([]);
  }, 90_000);
});

describe('an informer over a thousand objects', () => {
  it('survives a killed API server, and tells once what it missed', async () => {
    await namespace('many');
    const claims = client(resourceTypes.persistentVolumeClaims);
    const spec = { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Mi' } } };
    const make = (i: number) => claims.create({ apiVersion: 'v1', kind: 'PersistentVolumeClaim', metadata: { name: `c${i}`, namespace: 'many' }, spec });
    for (let i = 0; i < 1000; i += 20) await Promise.all(Array.from({ length: 20 }, (_, j) => make(i + j)));

    const stop = new AbortController();
    const errors: unknown[] = [];
    const told: string[] = [];
    const informer = new Informer(client(resourceTypes.persistentVolumeClaims), { namespace: 'many', onError: (error) => errors.push(error) });
    informer.listen(({ type, object }) => told.push(`${type} ${object.metadata.name}`));
    const running = informer.run(stop.signal);
    await informer.synced;
    expect(informer.size).toBe(1000);

    told.length = 0;
    await api.killApi();
    await until(() => errors.length > 0);
    await api.startApi();
    await claims.delete('c7', 'many');
    await claims.patch('c8', 'many', { metadata: { annotations: { a: 'b' } } });
    await make(1000);
    const finalizers = (await claims.get('c7', 'many')) as { metadata: { finalizers?: string[] } } | undefined;
    if (finalizers !== undefined) await claims.patch('c7', 'many', { metadata: { finalizers: null } });
    await until(() => informer.get('c7', 'many') === undefined && informer.get('c1000', 'many') !== undefined && informer.get('c8', 'many')?.metadata.annotations?.['a'] === 'b');
    await sleep(500);

    stop.abort();
    await running;
    expect(informer.size).toBe(1000);
    expect(told.filter((line) => line.startsWith('added'))).toEqual(['added c1000']);
    expect(told.filter((line) => line.startsWith('deleted'))).toEqual(['deleted c7']);
    expect(new Set(told.filter((line) => line.startsWith('modified') && !line.endsWith(' c7')))).toEqual(new Set(['modified c8']));
  }, 90_000);
});
