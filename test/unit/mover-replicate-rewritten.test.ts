// Objects of the source that somebody put anew at their old size: a listing marks them otherwise, and only those are read.
import { beforeEach, describe, expect, it } from '@jest/globals';
import type { LockedMemoryStore } from '../support/locked-memory-store.ts';
import { DAY, type FakeTenant, dataCenters, night, replicationWork } from '../support/replicated-tenant.ts';

describe('objects of the source that were written anew at their old size', () => {
  let time: number;
  let source: LockedMemoryStore;
  let replica: LockedMemoryStore;
  let tenant: FakeTenant;
  const now = () => new Date(time);
  const run = (changes = {}) => night(replicationWork(source, replica, now, changes));
  const packs = () => tenant.snapshots.flatMap((snapshot) => snapshot.packs.map((pack) => `tenants/${tenant.id}/g1/data/${pack.slice(0, 2)}/${pack}`));
  const overwrite = async (key: string) => source.put(key, Buffer.alloc((await source.get(key)).length, 'x'));

  beforeEach(async () => {
    time = Date.parse('2030-01-01T02:00:00Z');
    ({ source, replica, tenant } = await dataCenters(now, 8));
    await run();
    time += DAY;
  });

  it('are found the next night, and each night until they are what they were, though few of many are read', async () => {
    const before = new Map(await Promise.all(packs().map(async (key) => [key, Buffer.from(await source.get(key))] as const)));
    for (const key of packs()) await overwrite(key);
    source.requests.length = 0;

    for (let night_ = 0; night_ < 3; night_ += 1) {
      const { tenants, findings } = await run();
      expect(findings).toMatchObject([{ kind: 'Altered', count: 24, message: expect.stringMatching(/written anew/) }]);
      expect(tenants).toMatchObject([{ state: 'diverged' }]);
      time += DAY;
    }
    expect(source.requests.filter(({ operation }) => operation === 'get').length).toBeLessThanOrEqual(3 * 8);

    for (const [key, bytes] of before) await source.put(key, bytes);
    expect(await run()).toMatchObject({ findings: [], tenants: [{ state: 'done' }] });
  });

  it.each([
    ['config', 'g1/config'],
    ['a revision of the tenant', 'tenant/1.json'],
    ['an audit event', 'audit/000000000001.json'],
  ])('are found where they are not named by their content: %s', async (_, name) => {
    await overwrite(`tenants/${tenant.id}/${name}`);
    expect((await run()).findings).toMatchObject([{ kind: 'Altered', names: [name] }]);
  });

  it('are nothing where the same bytes lie there again, as after a move to another storage, and are not read twice', async () => {
    const marked = source.list.bind(source);
    source.list = async function* (prefix, options) {
      for await (const object of marked(prefix, options)) yield { ...object, etag: `"moved ${object.etag ?? ''}"` };
    };
    expect(await run()).toMatchObject({ findings: [], tenants: [{ state: 'done' }] });
    source.requests.length = 0;
    time += DAY;
    expect(await run()).toMatchObject({ findings: [], tenants: [{ state: 'done' }] });
    expect(source.requests.filter(({ operation }) => operation === 'get')).toEqual([]);
  });

  it('are asked for again the next night where the window ended before they were read', async () => {
    await overwrite(packs()[0]!);
    expect((await run({ mayBegin: () => false })).findings).toEqual([]);
    time += DAY;
    expect((await run()).findings).toMatchObject([{ kind: 'Altered', count: 1 }]);
  });

  it('are let pass for a tenant that a person has released', async () => {
    await overwrite(packs()[0]!);
    expect((await run({ released: new Set([tenant.id]) })).findings).toEqual([]);
  });
});
