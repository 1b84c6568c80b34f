// How much a backup asks of the API server in these controllers, played; those of the others, and what a real one adds, are counted in test/e2e/proofs.
import { describe, expect, it } from '@jest/globals';
import { FakeStorage } from '../support/fake-storage.ts';
import { MOVERS, MoverWorld, NS } from '../support/mover-world.ts';

async function requestsOf(copyMethod: string, claims: readonly string[], groups = false): Promise<readonly string[]> {
  const world = new MoverWorld();
  world.cluster.put('namespaces', undefined, { metadata: { name: MOVERS }, status: { phase: 'Active' } });
  const storage = new FakeStorage(world.cluster, { groups });
  world.storage = storage;
  for (const claim of claims) storage.addVolume(NS, claim);
  world.cluster.change('backuppolicies', NS, 'daily', { spec: { copyMethod } });
  await world.turn();
  world.cluster.requests.length = 0;
  world.createBackup('first');
  await world.settle();
  expect(world.backup('first')?.status?.phase).toBe('Stored');
  return [...world.cluster.requests];
}

describe('the requests of a backup', () => {
  it.each([
    ['Direct', ['data'], false, 12],
    ['Snapshot', ['data'], false, 22],
    ['Snapshot', ['data', 'logs'], true, 32],
  ])('%s of %p (as a group: %p) are few', async (copyMethod, claims, groups, most) => {
    const requests = await requestsOf(copyMethod, claims, groups);
    expect({ requests, count: requests.length <= most }).toEqual({ requests, count: true });
  });

  it('ask for the version of group snapshots once', async () => {
    const requests = await requestsOf('Snapshot', ['data', 'logs'], true);
    expect(requests.filter((request) => request.endsWith('/apis/groupsnapshot.storage.k8s.io')).length).toBe(1);
  });
});
