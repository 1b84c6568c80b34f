// What whoever may put objects into the second bucket, and delete none, can do to the copy: ledgers of his own, and objects that are there before the copy comes.
import { beforeEach, describe, expect, it } from '@jest/globals';
import { collectTenant } from '../../src/mover/replicate/collect-tenant.ts';
import { digestOf, encodeLedger, ledgerName, newestLedger, type Ledger } from '../../src/mover/replicate/ledger.ts';
import { listTenant } from '../../src/mover/replicate/tenant-listings.ts';
import { replicatedObjects } from '../../src/mover/replicate/tenant-state.ts';
import type { LockedMemoryStore } from '../support/locked-memory-store.ts';
import { DAY, type FakeTenant, LOCK, dataCenters, keysOf, night, replicationWork } from '../support/replicated-tenant.ts';

const FAR = '2099-01-01T00:00:00.000Z';

describe('a second bucket that somebody puts objects into', () => {
  let time: number;
  let source: LockedMemoryStore;
  let replica: LockedMemoryStore;
  let tenant: FakeTenant;
  const now = () => new Date(time);
  const work = (changes = {}) => replicationWork(source, replica, now, changes);
  const listing = () => listTenant({ source: source.within('tenants'), replica: work().replica.versions }, tenant.id);
  const path = (key: string) => `tenants/${tenant.id}/${key}`;

  beforeEach(async () => {
    time = Date.parse('2030-01-01T02:00:00Z');
    ({ source, replica, tenant } = await dataCenters(now, 2));
  });

  /** A ledger as one of ours would look that knows all this. */
  async function putLedger(rev: number, ledger: Pick<Ledger, 'needed' | 'unneeded'>): Promise<void> {
    const digest = digestOf(replicatedObjects((await listing()).here), LOCK);
    const name = ledgerName({ rev, digest, dueAt: Date.parse(FAR) / 1000, upTo: 0, isIdle: false });
    await replica.put(path(name), encodeLedger({ version: 1, tenant: tenant.id, rev, writtenAt: FAR, diverged: false, ...ledger }));
  }

  async function earliestLock(): Promise<number> {
    const ends: number[] = [];
    for await (const { key, versions } of replica.versions.list(path(''))) {
      const wrapping = /wrappings\/[0-9a-f]{64}/.test(key);
      if (!key.includes('/ledger/') && !wrapping) ends.push((await replica.versions.retentionOf(key, versions[0]?.versionId))?.until.getTime() ?? 0);
    }
    return Math.min(...ends);
  }

  it('keeps its locks, whatever a ledger says of their ends and of when the next is due, and however high its number is', async () => {
    for (const rev of [2, 999_999, 999_999_999_999_999]) {
      await night(work());
      const names = (await listing()).there.map(({ key }) => key).filter((key) => !key.startsWith('ledger/'));
      await putLedger(rev, { needed: [{ until: FAR, names }], unneeded: [] });
      for (let day = 0; day < 40; day += 1) {
        time += DAY;
        const { findings } = await night(work());
        expect(findings).toEqual([]);
        expect({ rev, day, isLocked: (await earliestLock()) > time + 15 * DAY }).toEqual({ rev, day, isLocked: true });
      }
      // And nights are quiet again, for it is a ledger of ours that counts.
      expect(newestLedger((await listing()).there)?.dueAt).toBeLessThan(time / 1000 + 30 * 86_400);
      replica.requests.length = 0;
      await night(work());
      expect(replica.requests.map(({ operation }) => operation)).toEqual(['listVersions']);
    }
  });

  it('keeps what the source has, though a ledger says that nothing needs it', async () => {
    await night(work());
    const names = (await listing()).there.map(({ key }) => key).filter((key) => !key.startsWith('ledger/'));
    await putLedger(2, { needed: [], unneeded: [{ since: '2000-01-01T00:00:00.000Z', names }] });
    for (let day = 0; day < 40; day += 1) {
      time += DAY;
      await night(work());
      await collectTenant(work().replica, await listing(), { lock: LOCK, dryRun: false, released: [] }, { now: now(), signal: new AbortController().signal, mayBegin: () => true });
    }
    expect((await keysOf(replica, path(''))).filter((key) => !key.includes('/ledger/'))).toEqual((await keysOf(source, path(''))).filter((key) => !key.includes('/results/')));
    expect(await earliestLock()).toBeGreaterThan(time + 20 * DAY);
  });

  it('keeps its ledger where the newest one cannot be read, or is from somebody who knows the name', async () => {
    await night(work());
    const before = (await keysOf(replica, path('ledger/')))[0] ?? '';
    await replica.put(before, Buffer.from('encrypted, pay me'));
    time += DAY;
    await replica.put(path(ledgerName({ rev: 7, digest: 'f'.repeat(16), dueAt: 1, upTo: 0, isIdle: false })), Buffer.from('{"version":1,'));
    await collectTenant(work().replica, await listing(), { lock: LOCK, dryRun: false, released: [] }, { now: now(), signal: new AbortController().signal, mayBegin: () => true });
    expect(await keysOf(replica, path('ledger/'))).toContain(before);
  });

  it('is as good as done where the lock of an object ends later already than it has to', async () => {
    await night(work());
    time += 8 * DAY;
    const short = { lock: { ...LOCK, retainForMs: 10 * DAY } };
    const { tenants, findings } = await night(work(short));
    expect([tenants[0]?.state, findings]).toEqual(['done', []]);
    expect(await earliestLock()).toBeGreaterThan(time + 21 * DAY);
  });

  it('gets a copy of its own of what somebody put there beforehand, of the right size, and is told of it once', async () => {
    await night(work());
    time += DAY;
    const { id, packs } = await tenant.backup();
    const [pack = ''] = packs;
    const planted = [`g1/data/${pack.slice(0, 2)}/${pack}`, `g1/manifests/${id}/1.json`];
    for (const key of planted) await replica.put(path(key), Buffer.alloc((await source.head(path(key)))?.size ?? 0, 'x'));

    const { findings } = await night(work());

    expect(findings).toEqual([expect.objectContaining({ kind: 'Tampered', names: planted })]);
    for (const key of planted) {
      expect(Buffer.from(await replica.get(path(key)))).toEqual(Buffer.from(await source.get(path(key))));
      expect((await replica.versions.retentionOf(path(key), undefined))?.until.getTime()).toBe(time + 30 * DAY);
    }
    time += DAY;
    expect((await night(work())).findings).toEqual([]);
  });

  it('costs a look at each object that a killed run left there, and no copy', async () => {
    await night(work());
    time += DAY;
    await tenant.backup();
    replica.onRequest = ({ operation, key }) => {
      if (operation === 'put' && key.includes('/ledger/')) throw new Error('killed');
    };
    await night(work());
    replica.onRequest = () => undefined;
    replica.requests.length = 0;

    const { tenants, findings } = await night(work());

    expect([tenants[0]?.state, findings]).toEqual(['done', []]);
    const asked = replica.requests.map(({ operation }) => operation);
    expect(asked.filter((operation) => operation === 'sha256Of')).toHaveLength(6);
    expect(asked.filter((operation) => operation === 'put')).toHaveLength(1);
  });
});
