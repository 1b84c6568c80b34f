import { describe, expect, it } from '@jest/globals';
import { MoverWorld, NS, ended, result } from '../support/mover-world.ts';

function stored(world: MoverWorld, name = 'first') {
  return world.backup(name)?.status?.conditions?.find(({ type }) => type === 'Stored');
}

function succeeded(world: MoverWorld) {
  return world.restore('back')?.status?.conditions?.find(({ type }) => type === 'Succeeded');
}

async function pass(world: MoverWorld, minutes: number): Promise<void> {
  for (let step = 0; step < minutes * 6; step++) {
    world.cluster.now += 10_000;
    await world.turn();
  }
}

/** A backup whose mover runs on a node that is lost then. The workload's pod runs elsewhere, or nowhere. */
async function lostBackup({ workloadOn }: { readonly workloadOn?: string } = {}): Promise<MoverWorld> {
  const world = new MoverWorld();
  world.cluster.change('statefulsets', NS, 'app', { spec: { replicas: 0 } });
  world.script = () => 'running';
  world.createBackup('first');
  await pass(world, 1);
  if (workloadOn !== undefined)
    world.cluster.put('pods', NS, { metadata: { name: 'app-9' }, spec: { nodeName: workloadOn, volumes: [{ name: 'v', persistentVolumeClaim: { claimName: 'data' } }] }, status: { phase: 'Running' } });
  world.loseNode('node-1');
  world.node = 'node-2';
  world.script = (orders) => ended(orders);
  return world;
}

describe("a backup whose mover's node is lost", () => {
  it('says so at once, and is stored by another attempt elsewhere, which may remove the lock of the lost one', async () => {
    const world = await lostBackup();
    await pass(world, 1);
    expect(stored(world)).toMatchObject({ reason: 'NodeLost', message: expect.stringMatching(/Node node-1 of the mover does not answer since .*until 2030-01-01T00:03:00Z, this attempt is given up/) });
    expect(world.ran.length).toBe(1);
    await pass(world, 3);
    expect(world.backup('first')?.status).toMatchObject({ phase: 'Stored', attempt: 2, node: 'node-2' });
    expect(world.ran[1]?.deadAttempts).toEqual([world.ran[0]?.attempt.name]);
    expect(world.ran[1]?.attempt.name).not.toBe(world.ran[0]?.attempt.name);
  });

  it('takes what the lost mover had stored, when the bucket has its result', async () => {
    const world = await lostBackup();
    const [orders] = world.ran;
    if (orders === undefined) throw new Error('no mover ran');
    world.results.set(`g1/results/${orders.attempt.uid}-1.json`, result(orders));
    await pass(world, 3);
    expect(world.backup('first')?.status).toMatchObject({ phase: 'Stored', attempt: 1 });
    expect(world.ran.length).toBe(1);
  });

  it('goes on when the node comes back in time', async () => {
    const world = await lostBackup();
    await pass(world, 1);
    world.findNode('node-1');
    await pass(world, 3);
    expect(world.backup('first')?.status).toMatchObject({ phase: 'Stored', attempt: 1, node: 'node-1' });
  });

  it('waits without a place in the queue while the workload itself holds the volume there', async () => {
    const world = await lostBackup({ workloadOn: 'node-1' });
    await pass(world, 5);
    expect(world.backup('first')?.status?.phase).toBe('Queued');
    expect(stored(world)).toMatchObject({ reason: 'VolumeOnLostNode', message: expect.stringMatching(/pod app-9 on node node-1, which does not answer.*out-of-service/) });
    world.cluster.remove('pods', NS, 'app-9');
    await pass(world, 3);
    expect(world.backup('first')?.status).toMatchObject({ phase: 'Stored', attempt: 2 });
  });

  it('is stored where the workload went', async () => {
    const world = await lostBackup({ workloadOn: 'node-3' });
    await pass(world, 4);
    const job = world.ran[1];
    expect(world.backup('first')?.status?.phase).toBe('Stored');
    expect(job?.attempt.number).toBe(2);
  });

  it('is given up when its pod was deleted and does not go', async () => {
    const world = new MoverWorld();
    world.script = () => 'running';
    world.createBackup('first');
    await pass(world, 1);
    const [pod] = world.cluster.all('pods').filter(({ metadata }) => metadata.name.startsWith('tbmover-'));
    world.cluster.stuckNodes.add('node-1');
    world.cluster.change('pods', NS, pod?.metadata.name ?? '', { metadata: { deletionTimestamp: new Date(world.cluster.now).toISOString() } });
    await pass(world, 1);
    expect(stored(world)).toMatchObject({ reason: 'NodeLost', message: expect.stringMatching(/was to be gone by .* and is still there on node node-1/) });
    await pass(world, 2);
    expect(world.backup('first')?.status?.attempt).toBe(2);
  });
});

describe("a restore whose mover's node is lost", () => {
  async function lostRestore(spec: Record<string, unknown> = {}): Promise<MoverWorld> {
    const world = new MoverWorld();
    await world.turn();
    world.createBackup('first');
    await world.settle();
    world.ran.length = 0;
    world.script = (orders) => (orders.task === 'restore' ? 'running' : ended(orders));
    world.createRestore('back', 'first', spec);
    for (let turn = 0; turn < 30 && !world.ran.some(({ task }) => task === 'restore'); turn++) await pass(world, 1 / 6);
    world.loseNode('node-1');
    world.node = 'node-2';
    world.script = (orders) => ended(orders);
    return world;
  }

  it('lets nothing else write the volumes, and the workload down, until the pod is gone; then it is made again', async () => {
    const world = await lostRestore();
    await pass(world, 45);
    expect(world.restore('back')?.status?.phase).toBe('Restoring');
    expect(succeeded(world)).toMatchObject({ reason: 'NodeLost', message: expect.stringMatching(/may still write.*out-of-service.*kubectl delete pod tbmover-\S+ --force/) });
    expect(world.ran.filter(({ task }) => task === 'restore').length).toBe(1);
    expect(world.cluster.find('statefulsets', NS, 'app')?.spec?.['replicas']).toBe(0);
    world.findNode('node-1');
    await pass(world, 3);
    expect(world.restore('back')?.status).toMatchObject({ phase: 'Succeeded', attempt: 2 });
    expect(world.cluster.find('statefulsets', NS, 'app')?.spec?.['replicas']).toBe(2);
  });

  it.each(['InPlace', 'NewVolume'])('%s, that is cancelled, ends only when the pod is gone', async (type) => {
    const world = await lostRestore({ target: { type } });
    await pass(world, 4);
    world.cluster.change('restores', NS, 'back', { spec: { cancel: true } });
    await pass(world, 5);
    expect(world.restore('back')?.status?.phase).not.toBe('Cancelled');
    expect(succeeded(world)).toMatchObject({ reason: 'NodeLost', message: expect.stringContaining('may still write') });
    if (type === 'InPlace') expect(world.cluster.find('statefulsets', NS, 'app')?.spec?.['replicas']).toBe(0);
    world.findNode('node-1');
    await pass(world, 3);
    expect(world.restore('back')?.status?.phase).toBe('Cancelled');
    expect(world.cluster.find('statefulsets', NS, 'app')?.spec?.['replicas']).toBe(2);
    expect(world.cluster.all('persistentvolumeclaims').map(({ metadata }) => metadata.name)).toEqual(['data']);
  });

  it('names the node when the workload\'s own pod cannot end there', async () => {
    const world = new MoverWorld();
    await world.turn();
    world.createBackup('first');
    await world.settle();
    world.cluster.put('pods', NS, { metadata: { name: 'app-1' }, spec: { nodeName: 'node-1', volumes: [{ name: 'v', persistentVolumeClaim: { claimName: 'data' } }] }, status: { phase: 'Running' } });
    world.loseNode('node-1');
    world.createRestore('back', 'first');
    await pass(world, 1);
    expect(succeeded(world)?.message).toMatch(/Pod app-1 still uses volume data\. Its node node-1 does not answer/);
    await pass(world, 31);
    expect(world.restore('back')?.status?.phase).toBe('Failed');
  });
});

describe("a deletion whose mover's node is lost", () => {
  it('is made again, but takes no lock away from what may still remove data', async () => {
    const world = new MoverWorld();
    await world.turn();
    world.createBackup('first');
    world.createBackup('second');
    await world.settle();
    world.script = () => 'running';
    world.cluster.remove('backups', NS, 'first');
    await pass(world, 1);
    expect(world.ran.at(-1)?.task).toBe('forget');
    world.loseNode('node-1');
    world.node = 'node-2';
    world.script = (orders) => ended(orders);
    await pass(world, 4);
    const forgets = world.ran.filter(({ task }) => task === 'forget');
    expect(forgets.length).toBe(2);
    expect(forgets[1]?.deadAttempts).not.toContain(forgets[0]?.attempt.name);
    expect(world.backup('first')).toBeUndefined();
  });

  it('takes the lock away from one that is dead for certain', async () => {
    const world = new MoverWorld();
    await world.turn();
    world.createBackup('first');
    world.createBackup('second');
    await world.settle();
    world.script = (orders) => (orders.attempt.number === 101 ? { exitCode: 137, reason: 'OOMKilled' } : ended(orders));
    world.cluster.remove('backups', NS, 'first');
    await pass(world, 3);
    const forgets = world.ran.filter(({ task }) => task === 'forget');
    expect(forgets[1]?.deadAttempts).toContain(forgets[0]?.attempt.name);
    expect(world.backup('first')).toBeUndefined();
  });
});
