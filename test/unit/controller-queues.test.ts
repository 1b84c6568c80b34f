import { describe, expect, it } from '@jest/globals';
import type { Caches } from '../../src/controller/caches.ts';
import { MoverQueues } from '../../src/controller/mover/index.ts';
import type { RawJob } from '../../src/controller/raw-objects.ts';
import { moverLabels, type WaitingMover } from '../../src/decide/index.ts';

const WANTS: WaitingMover = { uid: 'third', name: 'third', task: 'forget', namespace: 'shop', location: 'here', queuedAt: '2030-01-01T00:00:00Z', safetyFor: undefined };

/** Caches that hold a location and nothing else, and tell of what happens to Jobs. */
function followed() {
  const nothing = { get: () => undefined, list: () => [], byIndex: () => [], listen: () => undefined };
  const location = { metadata: { name: 'here' }, spec: { limits: { movers: 5 } } };
  let tell: (event: { type: string; object: RawJob }) => void = () => undefined;
  const jobs = { ...nothing, listen: (listener: typeof tell) => void (tell = listener) };
  const caches = { backups: nothing, restores: nothing, moverPods: nothing, policies: nothing, tenants: nothing, namespaces: nothing, jobs, locations: { ...nothing, get: () => location, list: () => [location] } };
  const queues = new MoverQueues({ caches: caches as unknown as Caches, clock: { now: () => 0 } });
  queues.follow(caches as unknown as Caches);
  return { tell: (type: string, owners: readonly string[]) => tell({ type, object: jobOf(owners) }), admits: () => queues.of('here')?.admit(WANTS).admitted };
}

function jobOf(owners: readonly string[]): RawJob {
  const labels = moverLabels({ task: 'forget', tenant: 't', policy: undefined, backup: undefined, restore: undefined, locationName: 'here', labels: {} });
  const ownerReferences = owners.map((uid) => ({ apiVersion: 'backup.dupp.de/v1alpha1', kind: 'Backup', name: uid, uid }));
  return { metadata: { name: 'tbmover-x-101', namespace: 'shop', uid: 'job', resourceVersion: '1', labels, ownerReferences } };
}

describe('the place of a Job that several own', () => {
  it.each<[string, readonly (readonly [string, readonly string[]])[]]>([
    ['the Job goes with all of them', [['added', ['first', 'second']], ['deleted', ['first', 'second']]]],
    ['one owner goes before the other', [['added', ['first', 'second']], ['modified', ['second']], ['deleted', ['second']]]],
    ['all go before it', [['added', ['first', 'second']], ['modified', ['second']], ['modified', []], ['deleted', []]]],
  ])('is held until then, and free when %s', (_, story) => {
    const { tell, admits } = followed();
    expect(admits()).toBe(true);
    const end = story.at(-1);
    for (const [type, owners] of story.slice(0, -1)) {
      tell(type, owners);
      if (owners.length > 0) expect(admits()).toBe(false);
    }
    tell(end?.[0] ?? '', end?.[1] ?? []);
    expect(admits()).toBe(true);
  });
});
