// The service that has both buckets copies between them: what is believed of such a copy, and what is left when the worker dies in between.
import { beforeEach, describe, expect, it } from '@jest/globals';
import { collectTenant } from '../../src/mover/replicate/collect-tenant.ts';
import { ServiceCopier } from '../../src/mover/replicate/service-copier.ts';
import { listTenant } from '../../src/mover/replicate/tenant-listings.ts';
import { StorageError } from '../../src/storage/index.ts';
import type { LockedMemoryStore } from '../support/locked-memory-store.ts';
import { DAY, type FakeTenant, LOCK, dataCenters, keysOf, night, replicationWork } from '../support/replicated-tenant.ts';

const CONTENT_NAMED = /\/g1\/(?:keys|wrappings\/[0-9a-f]{64}|data|index|exports|snapshots)/;

describe('copies that the service makes by itself', () => {
  let time: number;
  let source: LockedMemoryStore;
  let replica: LockedMemoryStore;
  let tenant: FakeTenant;
  let refusals: string[];
  const now = () => new Date(time);
  const copier = (bucket = 'first') => new ServiceCopier({ bucket, key: 'tenants' }, (message) => refusals.push(message));
  const run = (changes = {}) => night(replicationWork(source, replica, now, { byService: copier(), ...changes }));
  const asked = (operation: string) => replica.requests.filter((request) => request.operation === operation).map(({ key }) => key);
  const packOf = (which = 0) => `tenants/${tenant.id}/g1/data/${tenant.snapshots[0]!.packs[which]!.slice(0, 2)}/${tenant.snapshots[0]!.packs[which]!}`;
  const retention = (key: string, versionId?: string) => replica.versions.retentionOf(key, versionId);

  const versionsOf = async (key: string) => {
    for await (const { versions } of replica.versions.list(key)) return versions;
    return [];
  };

  beforeEach(async () => {
    time = Date.parse('2030-01-01T02:00:00Z');
    refusals = [];
    ({ source, replica, tenant } = await dataCenters(now, 1));
    replica.neighbours.set('first', source);
  });

  it('are what is named by its content, each under a lock of its own; the rest goes through the worker', async () => {
    const work = replicationWork(source, replica, now, { byService: copier() });
    const { tenants, findings } = await night(work);

    expect(findings).toEqual([]);
    expect(tenants).toMatchObject([{ state: 'done' }]);
    const named = (await keysOf(source)).filter((key) => CONTENT_NAMED.test(key));
    expect(asked('copy').sort()).toEqual(named.sort());
    expect(work.tally).toMatchObject({ byService: named.length, objects: (await keysOf(source)).length });
    for (const key of named) expect((await retention(key))?.until.getTime()).toBe(time + (key.includes('/wrappings/') ? 7 : 30) * DAY);
    expect(await night(work)).toMatchObject({ tenants: [{ state: 'done' }] });
    expect(asked('copy')).toHaveLength(named.length);
  });

  it('does not believe a copy that came out damaged, puts a sound one on top, and extends the lock of that one', async () => {
    replica.whileCopying = (bytes) => (bytes.equals(damagedHere) ? Buffer.concat([bytes.subarray(1), Buffer.from('?')]) : bytes);
    const damagedHere = Buffer.from(await source.get(packOf()));

    const { tenants, findings } = await run();

    expect(findings).toEqual([]);
    expect(tenants).toMatchObject([{ state: 'done' }]);
    const versions = await versionsOf(packOf());
    expect(versions).toHaveLength(2);
    expect(Buffer.from(await replica.versions.get(packOf(), versions[1]!.versionId))).toEqual(damagedHere);
    time += 10 * DAY;
    expect((await run()).findings).toEqual([]);
    expect((await retention(packOf(), versions[1]!.versionId))?.until.getTime()).toBe(time + 30 * DAY);
    expect((await retention(packOf(), versions[0]!.versionId))?.until.getTime()).toBe(time + 20 * DAY);
  });

  it('names an object of the source that is not what its name says, and copies it once it is sound again', async () => {
    const sound = Buffer.from(await source.get(packOf()));
    await source.put(packOf(), Buffer.alloc(sound.length, 'x'));

    const damaged = await run();

    expect(damaged.findings.map(({ kind }) => kind)).toEqual(['Altered']);
    expect(damaged.tenants).toMatchObject([{ state: 'diverged', snapshots: [] }]);
    time += DAY;
    await run();
    expect(asked('copy').filter((key) => key === packOf())).toHaveLength(1);
    await source.put(packOf(), sound);
    time += DAY;
    expect(await run()).toMatchObject({ findings: [], tenants: [{ state: 'done', snapshots: [tenant.snapshots[0]!.id] }] });
  });

  it.each([
    ['turned on', true],
    ['turned off again', false],
  ])('proves what a worker that was killed in between had not compared, with it %s', async (_, isOn) => {
    replica.whileCopying = (bytes) => (bytes.equals(pack) ? Buffer.alloc(bytes.length, '!') : bytes);
    const pack = Buffer.from(await source.get(packOf()));
    const dead = new AbortController();
    // The copy is made, and whoever asked for it is gone before the answer comes.
    const killed = replica.versions.copyFrom.bind(replica.versions);
    replica.versions.copyFrom = async (...request) => {
      const made = await killed(...request);
      if (request[1] === packOf()) dead.abort();
      if (dead.signal.aborted) throw new StorageError('Aborted', 'killed', { retryable: false });
      return made;
    };
    await run({ signal: dead.signal });
    replica.versions.copyFrom = killed;
    expect((await keysOf(replica)).filter((key) => /\/ledger\/[0-9]{6}-[0-9a-f]{16}-/.test(key))).toEqual([]);
    replica.whileCopying = (bytes) => bytes;
    time += DAY;

    const { findings, tenants } = await run(isOn ? {} : { byService: undefined });

    expect(findings).toEqual([]);
    expect(tenants).toMatchObject([{ state: 'done', snapshots: [tenant.snapshots[0]!.id] }]);
    const versions = await versionsOf(packOf());
    expect(Buffer.from(await replica.versions.get(packOf(), versions.at(-1)!.versionId))).toEqual(pack);
  });

  it.each([
    ['cannot see the first bucket', () => copier('elsewhere'), /no bucket elsewhere/],
    ['may not read it', () => {
      replica.onRequest = ({ operation }) => {
        if (operation === 'copy') throw new StorageError('AccessDenied', 'this principal may not read the first bucket', { retryable: false });
      };
      return copier();
    }, /may not read/],
  ])('goes through the worker where the service %s, and says so once', async (_, make, why) => {
    const work = replicationWork(source, replica, now, { byService: make() });
    expect(await night(work)).toMatchObject({ findings: [], tenants: [{ state: 'done' }] });
    expect(work.tally.byService).toBe(0);
    expect(refusals).toEqual([expect.stringMatching(why)]);
  });

  it('reads the copies of a service that tells no hash, one time, and leaves the rest to the worker', async () => {
    const tell = replica.versions.copyFrom.bind(replica.versions);
    replica.versions.copyFrom = async (...request) => ({ ...(await tell(...request)), sha256: undefined });
    replica.versions.sha256Of = () => Promise.resolve(undefined);
    const work = replicationWork(source, replica, now, { byService: copier(), concurrency: 1 });
    expect(await night(work)).toMatchObject({ findings: [], tenants: [{ state: 'done' }] });
    expect(asked('copy')).toHaveLength(1);
    expect(refusals).toEqual([expect.stringMatching(/which SHA-256/)]);
  });

  it('removes what announced the copies once a ledger has settled it', async () => {
    await run();
    const announced = () => keysOf(replica).then((keys) => keys.filter((key) => key.includes('-copying-')));
    expect(await announced()).toHaveLength(1);
    const there = replicationWork(source, replica, now).replica;
    const listing = await listTenant({ source: source.within('tenants'), replica: there.versions }, tenant.id);
    await collectTenant(there, listing, { lock: LOCK, dryRun: false, released: [] }, { now: now(), signal: new AbortController().signal, mayBegin: () => true });
    expect(await announced()).toEqual([]);
  });
});
