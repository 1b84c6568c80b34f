import { hash } from 'node:crypto';
import { beforeEach, describe, expect, it } from '@jest/globals';
import { collectTenant } from '../../src/mover/replicate/collect-tenant.ts';
import { listTenant } from '../../src/mover/replicate/tenant-listings.ts';
import { StorageError } from '../../src/storage/index.ts';
import { LockedMemoryStore } from '../support/locked-memory-store.ts';
import { DAY, FakeTenant, LOCK, dataCenters, keysOf, night, replicationWork } from '../support/replicated-tenant.ts';

const REPLICATED = /^(?:tenant\/|audit\/|g1\/(?:config|keys|wrappings|data|index|exports|snapshots|manifests))/;

describe('replicating', () => {
  let time: number;
  let source: LockedMemoryStore;
  let replica: LockedMemoryStore;
  let tenant: FakeTenant;
  const now = () => new Date(time);
  const tenantReplica = () => replica.within(`tenants/${tenant.id}`);
  const run = (changes = {}) => night(replicationWork(source, replica, now, changes));
  const emptied = () => {
    source = new LockedMemoryStore('emptied', now);
  };

  beforeEach(async () => {
    time = Date.parse('2030-01-01T02:00:00Z');
    ({ source, replica, tenant } = await dataCenters(now, 2));
  });

  it('copies all that belongs to a tenant, under locks, and no lock files, results or marks', async () => {
    await source.put(`tenants/${tenant.id}/g1/locks/${'a'.repeat(64)}`, Buffer.from('lock'));
    await source.put(`tenants/${tenant.id}/g1/results/uid-1.json`, Buffer.from('{}'));

    const { tenants, findings } = await run();

    expect(findings).toEqual([]);
    expect(tenants).toEqual([{ tenant: tenant.id, state: 'done', snapshots: tenant.snapshots.map(({ id }) => id).sort(), replicatedUpTo: now().toISOString() }]);
    const there = (await keysOf(tenantReplica())).filter((key) => !key.startsWith('ledger/'));
    expect(there).toEqual((await tenant.keys()).filter((key) => REPLICATED.test(key)));
    for (const key of there) {
      const retention = await replica.versions.retentionOf(`tenants/${tenant.id}/${key}`, undefined);
      expect([key, retention?.until.toISOString()]).toEqual([key, new Date(time + (/wrappings\/[0-9a-f]{64}/.test(key) ? 7 : 30) * DAY).toISOString()]);
    }
  });

  it('costs listings alone on a night with nothing new, of many tenants together one for a thousand objects and side', async () => {
    for (let i = 0; i < 200; i += 1) await (await new FakeTenant(source, now).begin()).backup();
    await run();
    time += DAY;
    source.requests.length = 0;
    replica.requests.length = 0;

    const { tenants } = await run();

    const [here, there] = [(await keysOf(source)).length, (await keysOf(replica)).length];
    expect(tenants.every(({ state, snapshots, replicatedUpTo }) => state === 'done' && snapshots.length > 0 && replicatedUpTo !== undefined)).toBe(true);
    expect(source.requests.filter(({ operation }) => operation !== 'list')).toEqual([]);
    expect(replica.requests.filter(({ operation }) => operation !== 'listVersions' && operation !== 'list')).toEqual([]);
    expect(source.requests.length - Math.ceil(here / 1000)).toBeLessThanOrEqual(Math.ceil(here / 1000));
    expect(replica.requests.filter(({ operation }) => operation === 'listVersions')).toHaveLength(Math.ceil(there / 1000));
  });

  it('extends what the source still has when a quarter of its time, at most seven days, is over, and nothing else', async () => {
    await run();
    const gone = tenant.snapshots[0]!;
    await tenant.forget(gone);
    time += 8 * DAY;
    replica.requests.length = 0;

    const { findings } = await run();

    expect(findings).toEqual([]);
    const extended = replica.requests.filter(({ operation }) => operation === 'extend').map(({ key }) => key.split('/').slice(2).join('/'));
    expect(extended.sort()).toEqual((await tenant.keys()).filter((key) => REPLICATED.test(key)));
    const kept = await replica.versions.retentionOf(`tenants/${tenant.id}/g1/snapshots/${tenant.snapshots[0]!.id}`, undefined);
    expect(kept?.until.getTime()).toBe(time + 30 * DAY);
    const left = await replica.versions.retentionOf(`tenants/${tenant.id}/g1/snapshots/${gone.id}`, undefined);
    expect(left?.until.getTime()).toBe(time + 22 * DAY);
  });

  it('lets nothing of an emptied source through: everything stays, stays locked, and is named', async () => {
    await run();
    emptied();
    for (let day = 0; day < 60; day += 1) {
      time += DAY;
      const { tenants, findings } = await run();
      expect(tenants[0]).toMatchObject({ tenant: tenant.id, state: 'diverged' });
      expect(findings.map(({ kind }) => kind)).toEqual(['Missing', 'Missing']);
      expect(findings[0]!.names.sort()).toEqual(tenant.snapshots.map(({ id }) => `g1/snapshots/${id}`).sort());
    }
    for (const key of (await keysOf(tenantReplica())).filter((each) => REPLICATED.test(each))) {
      expect((await replica.versions.retentionOf(`tenants/${tenant.id}/${key}`, undefined))!.until.getTime()).toBeGreaterThan(time);
    }
  });

  it.each([
    ['a snapshot that nobody forgot is gone', async () => tenant.forget(tenant.snapshots[0]!, false), 'Missing', /snapshots that nobody forgot/],
    ['a pack that a manifest names is gone', async () => {
      const pack = tenant.snapshots[0]!.packs[0]!;
      await source.delete(`tenants/${tenant.id}/g1/data/${pack.slice(0, 2)}/${pack}`);
    }, 'Missing', /manifests of the source name/],
    ['the key is gone', async () => deleteAll('g1/keys/'), 'Missing', /keys, configuration/],
    ['the wrapped key is gone', async () => deleteAll('g1/wrappings/'), 'Missing', /keys, configuration/],
    ['the revision is lower than it was', async () => deleteAll('tenant/'), 'Missing', /rolled back/],
    ['the end of the audit trail is gone', async () => deleteAll('audit/'), 'Missing', /audit events/],
    ['every snapshot was forgotten, in words of ours', async () => {
      for (const snapshot of [...tenant.snapshots]) await tenant.forget(snapshot);
    }, 'Shrunk', /2 of 2 snapshots/],
    ['a pack was encrypted', async () => {
      const pack = tenant.snapshots[0]!.packs[0]!;
      await source.put(`tenants/${tenant.id}/g1/data/${pack.slice(0, 2)}/${pack}`, Buffer.from('pay us'));
    }, 'Altered', /another size/],
  ] as const)('finds that %s, gives nothing up, and is content again once a person has said so', async (_, harm, kind, message) => {
    await run();
    const before = await keysOf(tenantReplica());
    await harm();
    time += DAY;

    const { tenants, findings } = await run();

    expect(findings).toEqual([expect.objectContaining({ tenant: tenant.id, kind, message: expect.stringMatching(message) })]);
    expect(tenants[0]!.state).toBe('diverged');
    expect(await keysOf(tenantReplica())).toEqual(expect.arrayContaining(before));
    time += DAY;
    expect((await run()).findings).toHaveLength(1);
    expect((await run({ released: new Set([tenant.id]) })).findings).toEqual([]);
  });

  it('does not copy what is not what its name says, nor what may need it, and the rest it does', async () => {
    await run();
    const { id, packs } = await tenant.backup();
    const bad = packs[0]!;
    await source.put(`tenants/${tenant.id}/g1/data/${bad.slice(0, 2)}/${bad}`, Buffer.from('something else'));
    const other = await new FakeTenant(source, now).begin();
    await other.backup();

    const { tenants, findings } = await run();

    expect(findings).toEqual([expect.objectContaining({ tenant: tenant.id, kind: 'Altered', names: [`g1/data/${bad.slice(0, 2)}/${bad}`] })]);
    const there = await keysOf(tenantReplica());
    expect(there.filter((key) => key.includes(bad) || key.includes(id))).toEqual([]);
    expect(tenants.find(({ tenant: each }) => each === other.id)).toMatchObject({ state: 'done' });
  });

  it('never lets one tenant that fails stop the others, and ends early when nobody answers any more', async () => {
    for (let i = 0; i < 30; i += 1) await (await new FakeTenant(source, now).begin()).backup();
    source.onRequest = ({ operation, key }) => {
      if (operation === 'get' && key.includes(tenant.id)) throw new StorageError('AccessDenied', 'not this one', { retryable: false });
    };
    const one = await run();
    expect(one.tenants.filter(({ state }) => state !== 'done')).toEqual([expect.objectContaining({ tenant: tenant.id, state: 'failed', failure: expect.objectContaining({ code: 'AccessDenied' }) })]);
    expect(one.failure).toBeUndefined();

    replica = new LockedMemoryStore('other', now);
    source.onRequest = ({ operation }) => {
      if (operation === 'get') throw new StorageError('Unavailable', 'down', { retryable: true });
    };
    const none = await run();
    expect(none.failure).toMatchObject({ code: 'Unavailable', retryable: true });
    expect(none.tenants.length).toBeLessThan(31);
  });

  it('puts packs before the index that names them, though a backup ends while its tenant is listed', async () => {
    source.pageSize = 4;
    let pages = 0;
    source.onRequest = async ({ operation }) => {
      pages += operation === 'list' ? 1 : 0;
      // Packs are listed by now, index files are not.
      if (pages !== 4) return;
      source.onRequest = () => undefined;
      await tenant.backup();
    };

    const { tenants } = await run();

    expect(tenants).toMatchObject([{ state: 'done', snapshots: { length: 3 } }]);
    const put = replica.requests.filter(({ operation }) => operation === 'put').map(({ key }) => key.split('/')[3]);
    expect(put.lastIndexOf('data')).toBeLessThan(put.indexOf('index'));
  });

  it('begins nothing after the window, says who waits, and goes on the next night', async () => {
    let left = 5;
    const { tenants } = await run({ mayBegin: () => (left -= 1) > 0 });
    expect(tenants).toEqual([expect.objectContaining({ tenant: tenant.id, state: 'waiting' })]);

    expect((await run()).tenants).toEqual([expect.objectContaining({ state: 'done', snapshots: expect.arrayContaining(tenant.snapshots.map(({ id }) => id)) })]);
    expect((await keysOf(tenantReplica())).filter((key) => REPLICATED.test(key))).toEqual((await tenant.keys()).filter((key) => REPLICATED.test(key)));
  });

  it('works on without its ledger: what the bucket says is enough', async () => {
    await run();
    for await (const { key, versions } of replica.versions.list('')) {
      if (key.includes('/ledger/')) for (const { versionId } of versions) await replica.versions.remove(key, versionId);
    }
    time += DAY;
    expect(await run()).toMatchObject({ findings: [], tenants: [{ state: 'done' }] });
    emptied();
    expect((await run()).findings.length).toBeGreaterThan(0);
  });

  it('says that somebody deleted or wrote over what is in the replica, and reads on', async () => {
    await run();
    const victim = `tenants/${tenant.id}/g1/snapshots/${tenant.snapshots[0]!.id}`;
    await replica.delete(victim);
    expect((await run()).findings).toEqual([expect.objectContaining({ kind: 'Tampered', names: [victim.split('/').slice(2).join('/')] })]);
  });

  it('waits with its alarm while somebody holds a lock, a day at most', async () => {
    await run();
    await source.put(`tenants/${tenant.id}/g1/locks/${hash('sha256', 'x', 'hex')}`, Buffer.from('lock'));
    await tenant.forget(tenant.snapshots[0]!, false);
    expect(await run()).toMatchObject({ findings: [], tenants: [{ state: 'waiting' }] });
    time += 23 * 3_600_000;
    expect(await run()).toMatchObject({ findings: [], tenants: [{ state: 'waiting' }] });
    time += 2 * 3_600_000;
    expect(await run()).toMatchObject({ findings: [{ kind: 'Missing' }], tenants: [{ state: 'diverged' }] });
  });

  describe('collecting', () => {
    const collect = async (released: readonly string[] = []) => {
      const listing = await listTenant({ source: source.within('tenants'), replica: replica.within('tenants').versions! }, tenant.id);
      return collectTenant(replicationWork(source, replica, now).replica, listing, { lock: LOCK, dryRun: false, released }, { now: now(), signal: new AbortController().signal, mayBegin: () => true });
    };

    it('removes what was forgotten after its locks, what refers first and packs in a later run, and keeps the rest', async () => {
      await run();
      const gone = tenant.snapshots[0]!;
      await tenant.forget(gone);
      await run();
      const left = (await tenant.keys()).filter((key) => REPLICATED.test(key));
      for (let day = 0; day < 29; day += 1) {
        time += DAY;
        await run();
        await collect();
        expect(await keysOf(tenantReplica(), `g1/snapshots/${gone.id}`)).toHaveLength(1);
      }
      time += 2 * DAY;
      await run();
      await collect();
      expect(await keysOf(tenantReplica(), `g1/snapshots/${gone.id}`)).toEqual([]);
      expect(await keysOf(tenantReplica(), 'g1/data/')).toHaveLength(6);
      await collect();
      expect((await keysOf(tenantReplica())).filter((key) => REPLICATED.test(key)).sort()).toEqual(left.sort());
      expect((await keysOf(tenantReplica(), 'ledger/')).length).toBe(1);
    });

    it('costs listings alone where nothing is unneeded', async () => {
      await run();
      time += DAY;
      replica.requests.length = 0;
      expect(await collect()).toEqual({ removed: 0, stillLocked: 0, waiting: 0 });
      expect(replica.requests.map(({ operation }) => operation)).toEqual(['listVersions']);
      // And is read again as soon as something is.
      await tenant.forget(tenant.snapshots[0]!);
      await run();
      expect((await collect()).waiting).toBeGreaterThan(0);
    });

    it('removes nothing of a tenant whose source is not itself, nor of one without a ledger', async () => {
      await run();
      emptied();
      time += DAY;
      await run();
      const before = (await keysOf(tenantReplica())).filter((key) => REPLICATED.test(key));
      time += 400 * DAY;
      await collect();
      expect((await keysOf(tenantReplica())).filter((key) => REPLICATED.test(key))).toEqual(before);
    });

    it('removes what restores left there after a month, and of a tenant that is let go of after an hour', async () => {
      await run();
      const passing = ['g1/locks/a', 'g1/results/uid-1.json'];
      for (const key of passing) await tenantReplica().put(key, Buffer.from('x'));
      const left = async () => (await keysOf(tenantReplica())).filter((key) => passing.includes(key));
      await collect([tenant.id]);
      expect(await left()).toEqual(passing);
      time += 2 * 3_600_000;
      await collect();
      expect(await left()).toEqual(passing);
      await collect([tenant.id]);
      expect(await left()).toEqual([]);
      await tenantReplica().put('g1/locks/b', Buffer.from('x'));
      time += 31 * DAY;
      await collect();
      expect(await keysOf(tenantReplica(), 'g1/locks/')).toEqual([]);
    });
  });

  async function deleteAll(prefix: string): Promise<void> {
    for (const key of await keysOf(source, `tenants/${tenant.id}/${prefix}`)) await source.delete(key);
  }
});
