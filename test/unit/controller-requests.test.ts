// How much a backup asks of the API server in these controllers, played; those of the others, and what a real one adds, are counted in test/e2e/proofs.
import { describe, expect, it } from '@jest/globals';
import { FakeStorage } from '../support/fake-storage.ts';
import { MOVERS, MoverWorld, NS } from '../support/mover-world.ts';

const statusOf = (world: MoverWorld) => world.backup('first')?.status;
const statusWrites = ({ cluster }: MoverWorld) => cluster.requests.filter((request) => request.startsWith('PATCH') && request.endsWith('/status')).length;

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
    ['Direct', ['data'], false, 9],
    ['Snapshot', ['data'], false, 18],
    ['Snapshot', ['data', 'logs'], true, 29],
  ])('%s of %p (as a group: %p) are few', async (copyMethod, claims, groups, most) => {
    const requests = await requestsOf(copyMethod, claims, groups);
    expect({ requests, isFew: requests.length <= most }).toEqual({ requests, isFew: true });
  });

  it('ask for the version of group snapshots once', async () => {
    const requests = await requestsOf('Snapshot', ['data', 'logs'], true);
    expect(requests.filter((request) => request.endsWith('/apis/groupsnapshot.storage.k8s.io')).length).toBe(1);
  });
});

describe('a backup that asked for a slot', () => {
  it('says that it waits only when it does so for long', async () => {
    const world = new MoverWorld();
    world.grants = false;
    world.createBackup('first');
    await world.turn();
    world.cluster.now += 2900;
    await world.turn();
    expect(statusOf(world)).toBeUndefined();
    world.cluster.now += 200;
    await world.turn();
    expect(statusOf(world)?.conditions?.[0]).toMatchObject({ type: 'Stored', status: 'False', reason: 'WaitingForSlot' });
  });

  it('says so at once where the clocks are far apart', async () => {
    for (const apart of [-3_600_000, 3_600_000]) {
      const world = new MoverWorld();
      world.grants = false;
      world.createBackup('first');
      world.cluster.now += apart;
      await world.turn();
      expect(statusOf(world)?.conditions?.[0]?.reason).toBe('WaitingForSlot');
    }
  });
});

describe('a mover that starts', () => {
  /** Its Job was made and its pod waits for a node. */
  async function starting(): Promise<MoverWorld> {
    const world = new MoverWorld();
    world.placed = false;
    world.createBackup('first');
    await world.turn();
    await world.turn();
    expect(world.cluster.all('jobs')).toHaveLength(1);
    return world;
  }

  it('is written of only when it takes long', async () => {
    const world = await starting();
    const before = statusWrites(world);
    world.cluster.now += 4900;
    await world.turn();
    expect(statusWrites(world)).toBe(before);
    expect(world.events.map(({ reason }) => reason)).not.toContain('Unschedulable');
    world.cluster.now += 200;
    await world.turn();
    expect(statusOf(world)?.conditions?.find(({ type }) => type === 'Stored')).toMatchObject({ reason: 'Unschedulable' });
    expect(statusOf(world)?.jobName).toBe(world.cluster.all('jobs')[0]?.metadata.name);
  });

  it('says at once what does not pass by itself', async () => {
    const world = await starting();
    const [pod] = world.cluster.all('pods').filter(({ metadata }) => metadata.name !== 'app-0');
    const waiting = { reason: 'ImagePullBackOff', message: 'no such image' };
    world.cluster.change('pods', NS, pod?.metadata.name ?? '', { status: { conditions: [], containerStatuses: [{ name: 'mover', state: { waiting } }] } });
    await world.turn();
    expect(statusOf(world)?.conditions?.find(({ type }) => type === 'Stored')?.reason).toBe('ImageNotPullable');
  });

  it('is made again as the same attempt when somebody deletes its Job before it was written of', async () => {
    const world = await starting();
    const [job] = world.cluster.all('jobs');
    world.cluster.remove('jobs', NS, job?.metadata.name ?? '');
    world.cluster.collectGarbage();
    world.placed = true;
    await world.settle();
    expect(statusOf(world)).toMatchObject({ phase: 'Stored', attempt: 1, jobName: job?.metadata.name });
  });
});
