// Schedules against a real API server, with a clock that the test moves: what admission refuses, and that two operators make each backup once.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Backup, BackupLocation, BackupPolicy, BackupTenant, Restore } from '../../src/api/index.ts';
import { allInformers, locationController, makeCaches, policyController, tenantController, type RawSecret } from '../../src/controller/index.ts';
import { EventRecorder, Informer, ResourceClient, resourceTypes, ScaleClient, type KubeObject, type ResourceType } from '../../src/kube/index.ts';
import { idleMovers, noAudit, noEraser } from '../support/idle-movers.ts';
import { idleReplication } from '../support/idle-replication.ts';
import { ApiServer } from '../support/api-server.ts';
import { installCrds } from '../support/installed-crds.ts';

const VERSION = 'backup.dupp.de/v1alpha1';
const FOUND = { ok: true, message: 'fine' } as const;
const HOUR = 3_600_000;
let api: ApiServer;
/** Wall time of the operators. */
let now = Date.parse('2030-03-30T20:00:00Z');

const client = <T extends KubeObject = KubeObject>(type: ResourceType): ResourceClient<T> => new ResourceClient<T>(api.connect(), type);

beforeAll(async () => {
  api = await ApiServer.start();
  await installCrds(api.connect());
  await client(resourceTypes.namespaces).create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'customer' } });
  const secret = { name: 'none' };
  const kms = { provider: 'aws', aws: { keyId: 'alias/k', credentialsSecretRef: secret } };
  await client(resourceTypes.backupLocations).create({ apiVersion: VERSION, kind: 'BackupLocation', metadata: { name: 'here' }, spec: { s3: { bucket: 'backups', credentialsSecretRef: secret }, kms } });
  const claims = client(resourceTypes.persistentVolumeClaims);
  const spec = { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Mi' } } };
  await claims.create({ apiVersion: 'v1', kind: 'PersistentVolumeClaim', metadata: { name: 'data', namespace: 'customer' }, spec });
  await claims.patch('data', 'customer', { status: { phase: 'Bound' } }, { subresource: 'status' });
}, 90_000);

afterAll(async () => {
  await api.stop();
});

async function until(isSo: () => Promise<boolean>, ms = 20_000): Promise<void> {
  const end = Date.now() + ms;
  while (!(await isSo())) {
    if (Date.now() > end) throw new Error('waited in vain');
    await sleep(30);
  }
}

async function operator() {
  const connection = api.connect();
  const stopping = new AbortController();
  const failures: unknown[] = [];
  const caches = makeCaches(connection, 'movers', () => undefined);
  const secrets = new Informer<RawSecret>(new ResourceClient<RawSecret>(connection, resourceTypes.secrets));
  const events = new EventRecorder(connection, 'test', () => new Date(now), () => undefined);
  const shared = { ...idleReplication(), caches, events, clock: { now: () => now }, observer: { reconciled: () => undefined, failed: (_: string, __: string, error: unknown) => void failures.push(error) } };
  const probe = { probe: () => Promise.resolve({ storageReachable: FOUND, storageWritable: FOUND, keyUsable: FOUND, storageIsolated: FOUND, keysIsolated: FOUND }) };
  const policies = policyController({
    ...shared,
    policies: new ResourceClient<BackupPolicy>(connection, resourceTypes.backupPolicies),
    backups: new ResourceClient<Backup>(connection, resourceTypes.backups),
    restores: new ResourceClient<Restore>(connection, resourceTypes.restores),
    scales: new ScaleClient(connection),
    movers: idleMovers(connection, caches, shared.clock),
  });
  const controllers = [
    locationController({ ...shared, secrets, operatorNamespace: 'default', locations: new ResourceClient<BackupLocation>(connection, resourceTypes.backupLocations), probe, movers: idleMovers(connection, caches, shared.clock) }),
    tenantController({ ...shared, tenants: new ResourceClient<BackupTenant>(connection, resourceTypes.backupTenants), newTenantId: () => '0123456789abcdef'.repeat(2), audit: noAudit, eraser: noEraser }),
    policies,
  ];
  const informers = [...allInformers(caches), secrets];
  const watching = informers.map((informer) => informer.run(stopping.signal));
  await Promise.all(informers.map((informer) => informer.synced));
  const ended = Promise.all([...watching, ...controllers.map((controller) => controller.run(stopping.signal))]);
  return {
    failures,
    look: (...names: readonly string[]) => (names.length === 0 ? NAMES : names).forEach((name) => policies.queue.add(`customer/${name}`)),
    stop: async () => {
      stopping.abort();
      await ended;
      await events.flush();
    },
  };
}

const NAMES = Array.from({ length: 12 }, (_, index) => `p${index}`);
const automatic = { schedule: '30 2 * * *', timeZone: 'Europe/Berlin', keep: 2 };
const policy = (name: string, changed: object = automatic) => ({ apiVersion: VERSION, kind: 'BackupPolicy', metadata: { name, namespace: 'customer' }, spec: { location: 'here', automatic: changed } });
const backups = async () => (await client<Backup>(resourceTypes.backups).list({ namespace: 'customer' })).items;
const policies = async () => (await client<BackupPolicy>(resourceTypes.backupPolicies).list({ namespace: 'customer' })).items;
const namesOf = (list: readonly Backup[]) => list.map(({ metadata }) => metadata.name).sort();

async function storeAll(): Promise<void> {
  const conditions = [{ type: 'Complete', status: 'True', reason: 'AllFilesRead', message: '', lastTransitionTime: '2030-01-01T00:00:00Z' }];
  for (const each of await backups()) {
    if (each.status?.phase !== 'Stored') await client<Backup>(resourceTypes.backups).writeStatus(each, { phase: 'Stored', completedAt: new Date(now).toISOString(), conditions });
  }
}

describe('the API server', () => {
  it.each<[string, object, RegExp]>([
    ['a schedule in words', { ...automatic, schedule: 'every night' }, /spec\.automatic\.schedule/],
    ['a minute too many', { ...automatic, schedule: '60 2 * * *' }, /spec\.automatic\.schedule/],
    ['a zone that does not exist', { ...automatic, timeZone: 'Europe/Nowhere' }, /spec\.automatic\.timeZone/],
    ["its own machine's zone", { ...automatic, timeZone: 'Local' }, /spec\.automatic\.timeZone.*IANA/],
    ['an offset', { ...automatic, timeZone: '+02:00' }, /spec\.automatic\.timeZone/],
    ['a deadline of nothing', { ...automatic, startingDeadline: '0s' }, /spec\.automatic\.startingDeadline/],
    ['none to keep', { ...automatic, keep: 0 }, /spec\.automatic\.keep/],
  ])('refuses %s', async (_, changed, says) => {
    await expect(client(resourceTypes.backupPolicies).create(policy('wrong', changed))).rejects.toThrow(says);
  });

  it.each(['UTC', 'Europe/Berlin', 'America/Argentina/Buenos_Aires', 'Etc/GMT+5'])('takes the zone %s', async (timeZone) => {
    const made = await client(resourceTypes.backupPolicies).create(policy('right', { ...automatic, timeZone }));
    expect(made).toMatchObject({ spec: { automatic: { startingDeadline: '12h', suspend: false, keep: 2 } } });
    await client(resourceTypes.backupPolicies).delete('right', 'customer');
  });
});

describe('two operators at once, over a spring night', () => {
  it('make each backup once, make up for one, rotate, and go on after a restart', async () => {
    const both = [await operator(), await operator()];
    const look = () => both.forEach((each) => each.look());
    for (const name of NAMES) await client(resourceTypes.backupPolicies).create(policy(name));
    await until(async () => (await policies()).every(({ status }) => status?.conditions?.find(({ type }) => type === 'Scheduled')?.status === 'True'));
    expect(await backups()).toEqual([]);

    // 02:30 does not exist in this night: the run is at the instant after the gap.
    expect((await policies()).map(({ status }) => status?.automatic?.nextRun)).toEqual(NAMES.map(() => '2030-03-31T01:00:00Z'));
    now = Date.parse('2030-03-31T01:00:00Z');
    look();
    const first = NAMES.map((name) => `${name}-203003310100`).sort();
    await until(async () => (await backups()).length === NAMES.length);
    await sleep(500);
    expect(namesOf(await backups())).toEqual(first);
    expect((await backups())[0]).toMatchObject({ spec: { trigger: 'Automatic' }, metadata: { annotations: { 'backup.dupp.de/scheduled-at': '2030-03-31T01:00:00Z' } } });
    expect((await policies()).map(({ status }) => status?.quota?.used)).toEqual(NAMES.map(() => 0));

    // The last one is not done the night after: the next waits for it, and is made once it is.
    now = Date.parse('2030-04-01T00:30:00Z');
    look();
    await until(async () => (await policies()).every(({ status }) => status?.conditions?.find(({ type }) => type === 'Scheduled')?.reason === 'PreviousRuns'));
    expect(await backups()).toHaveLength(NAMES.length);
    now += HOUR;
    await storeAll();
    await until(async () => (await backups()).length === 2 * NAMES.length);
    await storeAll();

    // Nobody looks for three nights: the newest is made up for, once, and the oldest goes.
    for (const each of both) await each.stop();
    now = Date.parse('2030-04-04T06:00:00Z');
    const third = await operator();
    await until(async () => (await backups()).filter(({ status }) => status?.phase === undefined).length === NAMES.length);
    await storeAll();
    const left = NAMES.flatMap((name) => [`${name}-203004010030`, `${name}-203004040030`]).sort();
    await until(async () => JSON.stringify(namesOf(await backups())) === JSON.stringify(left));
    expect((await policies())[0]?.status).toMatchObject({ automatic: { kept: 2, display: '2/2', lastScheduled: '2030-04-04T00:30:00Z', lastMissed: '2030-04-03T00:30:00Z', nextRun: '2030-04-05T00:30:00Z' } });
    await third.stop();
    expect([...both, third].flatMap(({ failures }) => failures)).toEqual([]);
    const events = await client<KubeObject & { reason: string; note: string }>(resourceTypes.events).list({ namespace: 'customer' });
    const ofReason = (reason: string) => events.items.filter((event) => event.reason === reason);
    // The years between the real creation and the first night of the test were missed too, by the server's clock.
    const missed = ofReason('RunMissed').filter(({ note }) => !note.startsWith('100 or more'));
    expect(missed.map(({ note }) => note)).toEqual(NAMES.map(() => expect.stringContaining('2 scheduled backups could not be made in time, the newest that of 2030-04-03T00:30:00Z')));
    expect(ofReason('Rotated').length).toBeGreaterThanOrEqual(NAMES.length);
    expect(ofReason('PreviousRuns').length).toBeGreaterThanOrEqual(NAMES.length);
  }, 90_000);
});

describe('what has ended long ago', () => {
  it('is removed but for the newest, and a run whose name somebody took has another', async () => {
    const at = (hours: number) => new Date(now - hours * HOUR).toISOString();
    const tidy = { apiVersion: VERSION, kind: 'BackupPolicy', metadata: { name: 'tidy', namespace: 'customer' }, spec: { location: 'here', automatic, history: { failedBackups: 1, restores: 1 } } };
    const made = client<Backup>(resourceTypes.backups);
    const restores = client<Restore>(resourceTypes.restores);
    for (const [name, phase, hours] of [['f1', 'Failed', 30], ['f2', 'Rejected', 20], ['f3', 'Cancelled', 10], ['ok', 'Stored', 40]] as const) {
      const each = await made.create({ apiVersion: VERSION, kind: 'Backup', metadata: { name, namespace: 'customer' }, spec: { policy: 'tidy' } });
      await made.writeStatus(each, { phase, completedAt: at(hours) });
    }
    for (const [name, backup, hours] of [['r1', 'ok', 30], ['r2', 'ok', 20], ['r3', 'ok', 10]] as const) {
      const each = await restores.create({ apiVersion: VERSION, kind: 'Restore', metadata: { name, namespace: 'customer' }, spec: { source: { backup } } });
      await restores.writeStatus(each, { phase: 'Succeeded', completedAt: at(hours) });
    }
    await made.create({ apiVersion: VERSION, kind: 'Backup', metadata: { name: 'tidy-203004050030', namespace: 'customer' }, spec: { policy: 'tidy' } });
    await client(resourceTypes.backupPolicies).create(tidy);

    const one = await operator();
    now = Date.parse('2030-04-05T00:30:00Z');
    const left = async () => [...(await made.list({ namespace: 'customer' })).items, ...(await restores.list({ namespace: 'customer' })).items].map(({ metadata }) => metadata.name).filter((name) => /^(f|ok|r)\d?$/.test(name)).sort();
    await until(async () => (await left()).length === 3);
    one.look('tidy');
    const runs = async () => (await made.list({ namespace: 'customer' })).items.filter(({ spec }) => spec.policy === 'tidy' && spec.trigger === 'Automatic').map(({ metadata }) => metadata.name);
    await until(async () => (await runs()).length === 1);
    expect(await runs()).toEqual([expect.stringMatching(/^tidy-203004050030-[0-9a-f]{6}$/)]);
    await one.stop();
    expect(await left()).toEqual(['f3', 'ok', 'r3']);
    expect(one.failures).toEqual([]);
    expect((await client<BackupPolicy>(resourceTypes.backupPolicies).get('tidy', 'customer'))?.status?.automatic?.lastScheduled).toBe('2030-04-05T00:30:00Z');
  }, 60_000);
});
