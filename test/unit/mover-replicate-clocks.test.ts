// Locks end by the service's clock, and workers set them by their own.
import { beforeEach, describe, expect, it } from '@jest/globals';
import { collectTenant } from '../../src/mover/replicate/collect-tenant.ts';
import { listTenant } from '../../src/mover/replicate/tenant-listings.ts';
import { limiting, retrying } from '../../src/storage/index.ts';
import { ServiceClock } from '../../src/storage/service-clock.ts';
import type { LockedMemoryStore } from '../support/locked-memory-store.ts';
import { DAY, type FakeTenant, LOCK, dataCenters, night, replicationWork } from '../support/replicated-tenant.ts';

const MINUTE = 60_000;

describe('a worker', () => {
  let time: number;
  let source: LockedMemoryStore;
  let replica: LockedMemoryStore;
  let tenant: FakeTenant;
  const now = () => new Date(time);
  /** With a clock that is so far ahead, by way of every decorator. */
  const work = (ahead: number) => replicationWork(source, retrying(limiting(replica, 8)), () => new Date(time + ahead));
  const changes = () => replica.requests.filter(({ operation }) => !operation.startsWith('list')).map(({ operation, key }) => `${operation} ${key}`);

  beforeEach(async () => {
    time = Date.parse('2030-01-01T02:00:00Z');
    ({ source, replica, tenant } = await dataCenters(now, 1));
  });

  it.each([
    ['a year ahead', 365 * DAY, /525600 minutes ahead of/],
    ['six minutes ahead', 6 * MINUTE, /6 minutes ahead of/],
    ['ten days behind', -10 * DAY, /14400 minutes behind/],
  ])('whose clock is %s sets no lock, extends none and collects nothing, and says so', async (_, ahead, words) => {
    const { tenants } = await night(work(ahead));
    expect(tenants).toEqual([expect.objectContaining({ state: 'failed', failure: { code: 'ClockSkewed', message: expect.stringMatching(words), retryable: true } })]);
    expect(changes()).toEqual([]);

    await night(work(0));
    time += 9 * DAY;
    replica.requests.length = 0;
    expect((await night(work(ahead))).tenants).toEqual([expect.objectContaining({ state: 'failed' })]);
    const listing = await listTenant({ source: source.within('tenants'), replica: work(0).replica.versions }, tenant.id);
    const collected = collectTenant(work(0).replica, listing, { lock: LOCK, dryRun: false, released: [] }, { now: new Date(time + ahead), signal: new AbortController().signal, mayBegin: () => true });
    await expect(collected).rejects.toMatchObject({ code: 'ClockSkewed' });
    expect(changes()).toEqual([]);
  });

  it.each([4 * MINUTE, -4 * MINUTE])('whose clock is off by no more than clocks are works (%s ms)', async (ahead) => {
    expect((await night(work(ahead))).tenants).toEqual([expect.objectContaining({ state: 'done' })]);
  });
});

describe('the clock of a service', () => {
  it('is what its last answer said, and what went by since', () => {
    let elapsed = 1000;
    const clock = new ServiceClock(() => elapsed);
    clock.hear(undefined);
    clock.hear('no date');
    expect(clock.now()).toBeUndefined();
    clock.hear('Tue, 01 Jan 2030 02:00:00 GMT');
    elapsed += 2500;
    expect(clock.now()).toBe(Date.parse('2030-01-01T02:00:02.500Z'));
    clock.hear('Tue, 01 Jan 2030 01:00:00 GMT');
    expect(clock.now()).toBe(Date.parse('2030-01-01T01:00:00Z'));
  });
});
