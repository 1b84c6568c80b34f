// A restore from the second data center, and the state before it, which only the first one can keep.
import { describe, expect, it } from '@jest/globals';
import { MoverWorld, NS } from '../support/mover-world.ts';

const REPLICA = { mode: 'Push', s3: { bucket: 'copy', prefix: 'main', region: 'us-east-1', forcePathStyle: true, credentialsSecretRef: { name: 'second' } }, kms: { provider: 'local', local: { secretRef: { name: 'key' } } } };
const FROM_REPLICA = { source: { backup: 'first', from: 'Replica' } };

function setReady(world: MoverWorld, status: 'True' | 'False'): void {
  const ready = { type: 'Ready', status, reason: status === 'True' ? 'Usable' : 'Unreachable', message: status === 'True' ? 'fine' : 'The bucket does not answer.', lastTransitionTime: '2030-01-01T00:00:00Z' };
  world.cluster.change('backuplocations', undefined, 'here', { status: { conditions: [ready] } });
}

async function withReplica(): Promise<MoverWorld> {
  const world = new MoverWorld();
  world.cluster.change('backuplocations', undefined, 'here', { spec: { replica: REPLICA } });
  await world.turn();
  world.createBackup('first');
  await world.settle();
  world.ran.length = 0;
  return world;
}

const condition = (world: MoverWorld) => world.restore('back')?.status?.conditions?.find(({ type }) => type === 'Succeeded');
const replicas = (world: MoverWorld) => world.cluster.find('statefulsets', NS, 'app')?.spec?.['replicas'];
const ran = (world: MoverWorld) => world.ran.map(({ task }) => task);
const safetyBackups = (world: MoverWorld) => world.cluster.all('backups').filter(({ spec }) => spec?.['trigger'] === 'Safety').length;

async function waiting(): Promise<MoverWorld> {
  const world = await withReplica();
  setReady(world, 'False');
  world.createRestore('back', 'first', FROM_REPLICA);
  for (let turn = 0; turn < 5; turn++) {
    await world.turn();
    expect(replicas(world)).toBe(2);
  }
  return world;
}

describe('a restore from the second data center that requires a safety backup', () => {
  it('touches nothing while the first one is off, and says what it waits for and how to go on', async () => {
    const world = await waiting();
    expect(world.restore('back')?.status?.phase).toBe('Pending');
    expect(condition(world)).toMatchObject({ status: 'Unknown', reason: 'SafetyBackupImpossible' });
    expect(condition(world)?.message).toMatch(/BackupLocation here is not ready: Unreachable: The bucket does not answer\. Nothing was touched\..*kubectl patch restores.backup.dupp.de back .*"safetyBackup":"Skip".*NewVolume/);
    expect([ran(world), safetyBackups(world)]).toEqual([[], 0]);

    world.cluster.now += 31 * 60_000;
    await world.settle();
    expect(world.restore('back')?.status?.phase).toBe('Failed');
    expect(condition(world)).toMatchObject({ reason: 'SafetyBackupImpossible', message: expect.stringContaining('Given up after 30 minutes') });
    expect([ran(world), safetyBackups(world), replicas(world)]).toEqual([[], 0, 2]);
  });

  it('goes on when a person says that none is needed', async () => {
    const world = await waiting();
    world.cluster.change('restores', NS, 'back', { spec: { safetyBackup: 'Skip' } });
    await world.settle();
    expect([world.restore('back')?.status?.phase, ran(world), safetyBackups(world)]).toEqual(['Succeeded', ['restore'], 0]);
  });

  it('goes on with one when the first data center is back', async () => {
    const world = await waiting();
    setReady(world, 'True');
    await world.settle();
    expect([world.restore('back')?.status?.phase, ran(world), safetyBackups(world)]).toEqual(['Succeeded', ['backup', 'restore'], 1]);
  });

  it('stops nothing either where the location is only read', async () => {
    const world = await withReplica();
    world.cluster.change('backuplocations', undefined, 'here', { spec: { replica: null, recover: true } });
    world.createRestore('back', 'first');
    await world.turn();
    await world.turn();
    expect(condition(world)).toMatchObject({ reason: 'SafetyBackupImpossible', message: expect.stringContaining('is only read') });
    expect(replicas(world)).toBe(2);
  });
});

describe('a restore from the second data center that needs no safety backup', () => {
  it.each<[string, object, string[]]>([
    ['because it is skipped', { safetyBackup: 'Skip' }, ['restore']],
    ['because it goes into a new volume', { target: { type: 'NewVolume' } }, ['restore']],
    ['because it is only preferred, and it was waited for', { safetyBackup: 'Preferred' }, ['restore']],
  ])('succeeds while the first one is off, %s', async (_, spec, tasks) => {
    const world = await withReplica();
    setReady(world, 'False');
    world.createRestore('back', 'first', { ...FROM_REPLICA, ...spec });
    await world.settle();
    // What is preferred is waited for, for five minutes.
    world.cluster.now += 6 * 60_000;
    await world.settle();
    expect([world.restore('back')?.status?.phase, ran(world), replicas(world)]).toEqual(['Succeeded', tasks, 2]);
  });

  it('stops nothing for five minutes in which the state before might still be stored, and then goes on without, as it says', async () => {
    const world = await withReplica();
    setReady(world, 'False');
    world.createRestore('back', 'first', { ...FROM_REPLICA, safetyBackup: 'Preferred' });
    const end = world.cluster.now + 5 * 60_000 - 1000;
    while (world.cluster.now < end) {
      for (let turn = 0; turn < 3; turn += 1) await world.turn();
      expect([world.restore('back')?.status?.phase, ran(world), safetyBackups(world), replicas(world)]).toEqual(['Pending', [], 0, 2]);
      expect(condition(world)).toMatchObject({ reason: 'SafetyBackupImpossible', message: expect.stringMatching(/not ready: Unreachable.* Nothing is touched until .* goes on without, and cannot be undone/) });
      world.cluster.now = Math.min(end, world.cluster.now + 60_000);
    }
    world.cluster.now += 60_000;
    await world.settle();
    expect([world.restore('back')?.status?.phase, ran(world), safetyBackups(world), replicas(world)]).toEqual(['Succeeded', ['restore'], 0, 2]);
    expect(world.restore('back')?.status?.safetyBackup).toBeUndefined();
  });

  it('waits for nothing where the location is only read', async () => {
    const world = await withReplica();
    world.cluster.change('backuplocations', undefined, 'here', { spec: { replica: null, recover: true } });
    world.createRestore('back', 'first', { safetyBackup: 'Preferred' });
    await world.settle();
    expect([world.restore('back')?.status?.phase, ran(world), safetyBackups(world), replicas(world)]).toEqual(['Succeeded', ['restore'], 0, 2]);
  });

  it('takes the safety backup where the first one comes back in time', async () => {
    const world = await withReplica();
    setReady(world, 'False');
    world.createRestore('back', 'first', { ...FROM_REPLICA, safetyBackup: 'Preferred' });
    for (let turn = 0; turn < 3; turn += 1) await world.turn();
    expect(condition(world)).toMatchObject({ reason: 'SafetyBackupImpossible' });
    world.cluster.now += 2 * 60_000;
    setReady(world, 'True');
    await world.settle();
    expect([world.restore('back')?.status?.phase, ran(world), safetyBackups(world), replicas(world)]).toEqual(['Succeeded', ['backup', 'restore'], 1, 2]);
  });
});
