import { describe, expect, it } from '@jest/globals';
import { KubeError, LeaderLease, ResourceClient, resourceTypes, type LeaseObject } from '../../src/kube/index.ts';
import { FakeCluster } from '../support/fake-cluster.ts';

const TIMES = { leaseMs: 3000, renewDeadlineMs: 400, retryMs: 30 };

function candidate(cluster: FakeCluster, identity: string, errors: unknown[] = []): LeaderLease {
  const client = new ResourceClient<LeaseObject>(cluster, resourceTypes.leases);
  return new LeaderLease(client, { namespace: 'n', name: 'leader', identity, ...TIMES, onError: (error) => errors.push(error) });
}

/** Leads until told to stop, as an operator does. */
function start(lease: LeaderLease) {
  const stop = new AbortController();
  const led = Promise.withResolvers<number>();
  const lost = Promise.withResolvers<unknown>();
  const ended = lease.run(stop.signal, async (signal) => {
    led.resolve(performance.now());
    await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
    lost.resolve(signal.reason);
  });
  return { led: led.promise, lost: lost.promise, stop: async () => (stop.abort(), ended) };
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const isLeading = (led: Promise<number>) => Promise.race([led.then(() => true), pause(0).then(() => false)]);

describe('LeaderLease', () => {
  it('lets one of two lead, and the other within two seconds of a release', async () => {
    const cluster = new FakeCluster(0);
    const first = start(candidate(cluster, 'a'));
    await first.led;
    const second = start(candidate(cluster, 'b'));
    await pause(200);
    expect(await isLeading(second.led)).toBe(false);

    const releasedAt = performance.now();
    await first.stop();
    expect((await second.led) - releasedAt).toBeLessThan(2000);
    await second.stop();
    expect(cluster.find('leases', 'n', 'leader')?.spec).toMatchObject({ holderIdentity: '' });
  });

  it('renews with one request a round, and goes on when somebody else has labelled the lease', async () => {
    const cluster = new FakeCluster(0);
    const leader = start(candidate(cluster, 'a'));
    await leader.led;
    cluster.requests.length = 0;
    await pause(300);
    expect(cluster.requests.length).toBeGreaterThan(3);
    expect(cluster.requests.filter((each) => !each.startsWith('PATCH '))).toEqual([]);

    cluster.change('leases', 'n', 'leader', { metadata: { labels: { seen: 'yes' } } });
    cluster.requests.length = 0;
    await pause(300);
    expect(cluster.requests.filter((each) => each.startsWith('GET '))).toHaveLength(1);
    expect(cluster.requests.at(-1)).toMatch(/^PATCH /);

    // Also when that was the last thing that happened before it ends.
    cluster.change('leases', 'n', 'leader', { metadata: { labels: { seen: 'again' } } });
    await leader.stop();
    expect(cluster.find('leases', 'n', 'leader')?.spec).toMatchObject({ holderIdentity: '' });
  });

  it('lets the same identity lead again at once, as after a crash that released nothing', async () => {
    const cluster = new FakeCluster(0);
    const spec = { holderIdentity: 'a', leaseDurationSeconds: 3600, leaseTransitions: 7 };
    cluster.put('leases', 'n', { metadata: { name: 'leader', namespace: 'n', uid: 'l', resourceVersion: '1' }, spec });
    const again = start(candidate(cluster, 'a'));
    const startedAt = performance.now();
    expect((await again.led) - startedAt).toBeLessThan(1000);
    expect(cluster.find('leases', 'n', 'leader')?.spec).toMatchObject({ leaseTransitions: 7 });
    await again.stop();
  });

  it('takes over from one that died only when the lease was seen unchanged for its whole duration', async () => {
    const cluster = new FakeCluster(0);
    // Its times are in the far future: other clocks are not believed.
    const spec = { holderIdentity: 'dead', leaseDurationSeconds: 1, renewTime: '2099-01-01T00:00:00.000000Z', leaseTransitions: 0 };
    cluster.put('leases', 'n', { metadata: { name: 'leader', namespace: 'n', uid: 'l', resourceVersion: '1' }, spec });
    const heir = start(candidate(cluster, 'b'));
    const startedAt = performance.now();
    expect((await heir.led) - startedAt).toBeGreaterThanOrEqual(1000);
    expect(cluster.find('leases', 'n', 'leader')?.spec).toMatchObject({ holderIdentity: 'b', leaseTransitions: 1 });
    await heir.stop();
  });

  it('gives up when it cannot renew, before anybody else may lead', async () => {
    const cluster = new FakeCluster(0);
    const errors: unknown[] = [];
    const leader = start(candidate(cluster, 'a', errors));
    const ledAt = await leader.led;
    cluster.request = () => Promise.reject(new KubeError('Unavailable', 'gone'));
    expect(String(await leader.lost)).toContain('could not be renewed');
    expect(performance.now() - ledAt).toBeLessThan(TIMES.leaseMs);
    expect(errors.length).toBeGreaterThan(0);
    await leader.stop();
  });

  it('stops when somebody else took the lease', async () => {
    const cluster = new FakeCluster(0);
    const leader = start(candidate(cluster, 'a'));
    await leader.led;
    cluster.change('leases', 'n', 'leader', { spec: { holderIdentity: 'thief' } });
    await leader.lost;
    await leader.stop();
    expect(cluster.find('leases', 'n', 'leader')?.spec).toMatchObject({ holderIdentity: 'thief' });
  });
});
