import { describe, expect, it } from '@jest/globals';
import { MoverWorld, NS, ended, result } from '../support/mover-world.ts';

function condition(world: MoverWorld, kind: 'backup' | 'restore', name: string, type: string) {
  return world[kind](name)?.status?.conditions?.find((each) => each.type === type);
}

async function pass(world: MoverWorld, minutes: number): Promise<void> {
  for (let step = 0; step < minutes * 2; step++) {
    world.cluster.now += 30_000;
    await world.turn();
  }
}

function newWorld(): MoverWorld {
  const world = new MoverWorld();
  world.cluster.change('backuplocations', undefined, 'here', { spec: { mover: { stalledAfter: '30m' } } });
  return world;
}

/** A backup whose mover hangs; whatever comes after it works. */
async function hangingBackup(): Promise<MoverWorld> {
  const world = newWorld();
  world.script = (orders) => (orders.attempt.number === 1 ? 'running' : ended(orders));
  world.createBackup('first');
  await pass(world, 1);
  return world;
}

describe('a backup whose mover hangs', () => {
  it('is made again after as long as the location says, and tells why', async () => {
    const world = await hangingBackup();
    await pass(world, 28);
    expect(world.ran.length).toBe(1);
    world.script = () => 'running';
    await pass(world, 3);
    expect(world.ran.length).toBe(2);
    expect(world.events).toContainEqual(
      expect.objectContaining({ type: 'Warning', reason: 'Stalled', message: expect.stringMatching(/has read, stored and written nothing since 2030-01-01T00:00.*\(spec\.mover\.stalledAfter/) }),
    );
    expect(world.cluster.all('jobs').map(({ metadata }) => metadata.name)).toEqual([world.ran[1]?.attempt.name]);
  });

  it('is stored by the next attempt, also when the operator was started anew in between', async () => {
    const world = await hangingBackup();
    for (let minute = 0; minute < 33; minute++) {
      world.restart();
      await pass(world, 1);
    }
    expect(world.backup('first')?.status).toMatchObject({ phase: 'Stored', attempt: 2 });
  });

  it('is Failed with Stalled when every attempt hangs', async () => {
    const world = await hangingBackup();
    world.script = () => 'running';
    await pass(world, 140);
    expect(world.backup('first')?.status).toMatchObject({ phase: 'Failed', attempt: 4 });
    expect(condition(world, 'backup', 'first', 'Stored')).toMatchObject({ status: 'False', reason: 'Stalled', message: expect.stringMatching(/Given up after 4 attempts: .*Look whether the volume/) });
    expect(world.cluster.all('jobs')).toEqual([]);
    expect(world.cluster.all('secrets')).toEqual([]);
  });

  it('is let be while its log says that it gets on, or cannot be read', async () => {
    const world = await hangingBackup();
    world.lately = () => Promise.resolve('alive');
    await pass(world, 60);
    world.lately = () => Promise.resolve('unknown');
    await pass(world, 60);
    expect(world.ran.length).toBe(1);
    world.lately = () => Promise.resolve('silent');
    await pass(world, 9);
    expect(world.ran.length).toBe(2);
  });

  it('is not asked for its log while it is heard', async () => {
    const world = await hangingBackup();
    let asked = 0;
    world.lately = () => Promise.resolve((asked++, 'silent'));
    for (let minute = 0; minute < 60; minute++) {
      world.spoken = { ...world.spoken, aliveAt: world.cluster.now };
      await pass(world, 1);
    }
    expect([asked, world.ran.length]).toEqual([0, 1]);
  });

  it('takes what it had stored before it hung', async () => {
    const world = await hangingBackup();
    const [orders] = world.ran;
    if (orders === undefined) throw new Error('no mover ran');
    world.results.set(`g1/results/${orders.attempt.uid}-1.json`, result(orders));
    await pass(world, 31);
    expect(world.backup('first')?.status).toMatchObject({ phase: 'Stored', attempt: 1 });
    expect(world.cluster.all('jobs')).toEqual([]);
  });
});

describe('a restore whose mover hangs', () => {
  async function hangingRestore(): Promise<MoverWorld> {
    const world = newWorld();
    await world.turn();
    world.createBackup('first');
    await world.settle();
    world.script = (orders) => (orders.task === 'restore' && orders.attempt.number === 1 ? 'running' : ended(orders));
    world.createRestore('back', 'first');
    await pass(world, 5);
    expect(condition(world, 'restore', 'back', 'Succeeded')).toMatchObject({ reason: 'Restoring' });
    return world;
  }

  it('is made again once the hanging one is gone, and the workload comes up', async () => {
    const world = await hangingRestore();
    await pass(world, 32);
    expect(world.restore('back')?.status).toMatchObject({ phase: 'Succeeded', attempt: 2 });
    expect(world.cluster.find('statefulsets', NS, 'app')?.spec?.['replicas']).toBe(2);
  });

  it('lets nothing else write, and the workload down, while the hanging one does not go', async () => {
    const world = await hangingRestore();
    // Its node answers, but the program cannot be ended.
    world.cluster.stuckNodes.add('node-1');
    await pass(world, 60);
    expect(world.ran.filter(({ task }) => task === 'restore').length).toBe(1);
    expect(world.cluster.find('statefulsets', NS, 'app')?.spec?.['replicas']).toBe(0);
    world.cluster.stuckNodes.delete('node-1');
    await pass(world, 5);
    expect(world.restore('back')?.status).toMatchObject({ phase: 'Succeeded', attempt: 2 });
  });
});

describe('a deletion whose mover hangs', () => {
  it('is made again', async () => {
    const world = newWorld();
    await world.turn();
    world.createBackup('first');
    world.createBackup('second');
    await world.settle();
    world.script = (orders) => (orders.attempt.number === 101 ? 'running' : ended(orders));
    world.cluster.remove('backups', NS, 'first');
    await pass(world, 5);
    expect(condition(world, 'backup', 'first', 'Deleted')?.reason).toBe('Forgetting');
    await pass(world, 30);
    expect(world.backup('first')).toBeUndefined();
  });

  it('has its credentials renewed while it runs', async () => {
    const world = newWorld();
    await world.turn();
    world.createBackup('first');
    world.createBackup('second');
    await world.settle();
    const { minter } = world;
    let minted = 0;
    world.minter = { mint: async (...args) => ({ ...(await minter.mint(...args)), expiresAt: (minted++, world.cluster.now + 3_600_000) }) };
    world.script = () => 'running';
    world.lately = () => Promise.resolve('alive');
    world.cluster.remove('backups', NS, 'first');
    await pass(world, 65);
    expect(minted).toBe(3);
  });
});
