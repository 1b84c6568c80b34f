import { describe, expect, it } from '@jest/globals';
import type { MoverOrders } from '../../src/api/index.ts';
import { MoverWorld, NS, ended, failed } from '../support/mover-world.ts';

function essence(world: MoverWorld, name = 'back') {
  const status = world.restore(name)?.status;
  return {
    phase: status?.phase,
    conditions: status?.conditions?.map(({ type, status: holds, reason }) => `${type}=${holds} ${reason}`),
    scaledDown: status?.workload?.scaledDown,
    replicas: world.cluster.find('statefulsets', NS, 'app')?.spec?.['replicas'],
    safety: world.cluster
      .all('backups')
      .filter(({ spec }) => spec?.['trigger'] === 'Safety')
      .map(({ status: its }) => its?.['phase']),
    jobs: world.cluster.all('jobs').length,
    secrets: world.cluster.all('secrets').length,
    ran: world.ran.map(({ task, attempt }) => `${task} ${attempt.number}`),
  };
}

function succeeded(world: MoverWorld) {
  return world.restore('back')?.status?.conditions?.find(({ type }) => type === 'Succeeded');
}

async function withBackup(): Promise<MoverWorld> {
  const world = new MoverWorld();
  await world.turn();
  world.createBackup('first');
  await world.settle();
  world.ran.length = 0;
  return world;
}

const good = {
  phase: 'Succeeded',
  conditions: ['Succeeded=True Restored', 'Restored=True Restored'],
  scaledDown: false,
  replicas: 2,
  safety: ['Stored'],
  jobs: 0,
  secrets: 0,
  ran: ['backup 1', 'restore 1'],
};

describe('a restore in place', () => {
  it('scales down, backs up the state before, restores and scales up', async () => {
    const world = await withBackup();
    let replicasWhileRestoring: unknown;
    world.script = (orders) => {
      if (orders.task === 'restore') replicasWhileRestoring = world.cluster.find('statefulsets', NS, 'app')?.spec?.['replicas'];
      return ended(orders);
    };
    world.createRestore('back', 'first');
    await world.settle();
    expect(essence(world)).toEqual(good);
    expect(replicasWhileRestoring).toBe(0);
    expect(world.ran[1]).toMatchObject({ snapshotId: 'ab'.repeat(32), deleteExtra: true, volumes: [{ claim: 'data', mountPath: '/volumes/data' }] });
  });

  it('ends as an undisturbed one does when the operator is killed after any of its writes', async () => {
    const run = async (k: number) => {
      const world = await withBackup();
      const before = world.cluster.writes;
      world.cluster.killAfter = before + k;
      world.createRestore('back', 'first');
      await world.settle();
      return { world, writes: world.cluster.writes - before };
    };
    const calm = await run(Infinity);
    expect(calm.writes).toBeGreaterThan(15);
    for (let k = 1; k <= calm.writes; k++) expect({ k, ...essence((await run(k)).world) }).toEqual({ k, ...good });
  });

  it('that is cancelled right after the operator was killed, wherever that was, leaves nothing', async () => {
    for (let k = 1; k <= 12; k++) {
      const world = await withBackup();
      world.script = () => 'running';
      world.cluster.killAfter = world.cluster.writes + k;
      world.createRestore('back', 'first', { safetyBackup: 'Skip' });
      for (let turn = 0; turn < 8 && world.cluster.killAfter !== Infinity; turn++) await world.turn();
      world.cluster.change('restores', NS, 'back', { spec: { cancel: true } });
      await world.settle();
      expect({ k, ...essence(world) }).toMatchObject({ k, phase: 'Cancelled', jobs: 0, secrets: 0, replicas: 2 });
    }
  });

  it('restores nothing when its safety backup fails, and scales up again', async () => {
    const world = await withBackup();
    world.script = (orders) => failed(orders, 'KeyDisabled', 'The key is disabled.', false);
    world.createRestore('back', 'first');
    await world.settle();
    expect(essence(world)).toMatchObject({
      phase: 'Failed',
      replicas: 2,
      scaledDown: false,
      safety: ['Failed'],
      ran: ['backup 1'],
      jobs: 0,
      secrets: 0,
    });
    expect(succeeded(world)).toMatchObject({ reason: 'SafetyBackupFailed', message: expect.stringContaining('The key is disabled.') });
  });

  it('restores nothing when its safety backup could not read every file', async () => {
    const world = await withBackup();
    world.script = (orders) =>
      ended(orders, {
        backup: { snapshotId: 'cd'.repeat(32), complete: false, files: 2, directories: 1, filesUnchanged: 0, bytesProcessed: 1, bytesAdded: 1 },
        warnings: ['/volumes/data/x: EIO'],
        warningCount: 1,
      });
    world.createRestore('back', 'first');
    await world.settle();
    expect(essence(world)).toMatchObject({ phase: 'Failed', replicas: 2, ran: ['backup 1'] });
    expect(succeeded(world)?.reason).toBe('SafetyBackupIncomplete');
  });

  it.each([
    ['Preferred', ['backup 1', 'restore 1']],
    ['Skip', ['restore 1']],
  ])('goes on without where safetyBackup is %s', async (safetyBackup, ran) => {
    const world = await withBackup();
    world.script = (orders) => (orders.task === 'backup' ? failed(orders, 'KeyDisabled', 'The key is disabled.', false) : ended(orders));
    world.createRestore('back', 'first', { safetyBackup });
    await world.settle();
    expect(essence(world)).toMatchObject({ phase: 'Succeeded', replicas: 2, ran });
  });

  it("fails with the mover's words and names what undoes it, scaled up again", async () => {
    const world = await withBackup();
    world.script = (orders) => (orders.task === 'restore' ? failed(orders, 'NoSpace', 'No space left in /volumes/data.', false) : ended(orders));
    world.createRestore('back', 'first');
    await world.settle();
    expect(essence(world)).toMatchObject({ phase: 'Failed', replicas: 2, safety: ['Stored'], jobs: 0, secrets: 0 });
    expect(succeeded(world)?.reason).toBe('NoSpace');
    expect(succeeded(world)?.message).toMatch(
      /No space left in \/volumes\/data\..*half restored.*Backup back-[0-9a-f]{6}-safety holds the state before/,
    );
  });

  it('is made again after a retryable failure', async () => {
    const world = await withBackup();
    world.script = (orders) => (orders.task === 'restore' && orders.attempt.number === 1 ? { exitCode: 137, reason: 'OOMKilled' } : ended(orders));
    world.createRestore('back', 'first');
    await world.settle();
    expect(essence(world)).toMatchObject({ ...good, ran: ['backup 1', 'restore 1', 'restore 2'] });
  });

  it.each(['ScalingDown', 'SafetyBackup', 'Restoring'])('that is cancelled in %s scales up again', async (phase) => {
    const world = await withBackup();
    const hangs: MoverOrders['task'] = phase === 'Restoring' ? 'restore' : 'backup';
    world.script = (orders) => (orders.task === hangs ? 'running' : ended(orders));
    world.createRestore('back', 'first');
    for (let turn = 0; turn < 20 && world.restore('back')?.status?.phase !== phase; turn++) await world.turn();
    if (phase !== 'ScalingDown') await world.turn();
    world.cluster.change('restores', NS, 'back', { spec: { cancel: true } });
    await world.settle();
    expect(essence(world)).toMatchObject({ phase: 'Cancelled', replicas: 2, scaledDown: false, jobs: 0, secrets: 0 });
  });

  it.each(['SafetyBackup', 'Restoring'])('that is deleted in %s stops, scales up and goes', async (phase) => {
    const world = await withBackup();
    const hangs: MoverOrders['task'] = phase === 'Restoring' ? 'restore' : 'backup';
    world.script = (orders) => (orders.task === hangs ? 'running' : ended(orders));
    world.createRestore('back', 'first');
    for (let turn = 0; turn < 20 && world.restore('back')?.status?.phase !== phase; turn++) await world.turn();
    await world.turn();
    world.cluster.remove('restores', NS, 'back');
    await world.settle();
    expect(world.restore('back')).toBeUndefined();
    expect(world.cluster.find('statefulsets', NS, 'app')?.spec?.['replicas']).toBe(2);
    expect([world.cluster.all('jobs').length, world.cluster.all('secrets').length]).toEqual([0, 0]);
  });

  it('names the pod that still uses the volume', async () => {
    const world = await withBackup();
    world.cluster.put('pods', NS, {
      metadata: { name: 'shell' },
      spec: { nodeName: 'node-1', volumes: [{ name: 'v', persistentVolumeClaim: { claimName: 'data' } }] },
      status: { phase: 'Running' },
    });
    world.createRestore('back', 'first');
    await world.settle(10);
    expect(world.restore('back')?.status?.phase).toBe('ScalingDown');
    expect(succeeded(world)?.message).toContain('Pod shell still uses volume data');
    world.cluster.remove('pods', NS, 'shell');
    await world.settle();
    expect(essence(world)).toEqual(good);
  });

  it('restores nothing under a program that was started again meanwhile', async () => {
    const world = await withBackup();
    world.script = (orders) => {
      if (orders.task === 'backup')
        world.cluster.put('pods', NS, {
          metadata: { name: 'shell' },
          spec: { nodeName: 'node-1', volumes: [{ name: 'v', persistentVolumeClaim: { claimName: 'data' } }] },
          status: { phase: 'Running' },
        });
      return ended(orders);
    };
    world.createRestore('back', 'first');
    await world.settle(20);
    expect(world.restore('back')?.status?.phase).toBe('Restoring');
    expect(succeeded(world)).toMatchObject({ reason: 'VolumesInUse', message: expect.stringContaining('Pod shell uses volume data again') });
    expect(world.ran.map(({ task }) => task)).toEqual(['backup']);
    world.cluster.remove('pods', NS, 'shell');
    await world.settle();
    expect(essence(world)).toEqual(good);
  });

  it('makes one safety backup even when the caches are behind what was just made', async () => {
    const world = await withBackup();
    world.createRestore('back', 'first');
    for (let turn = 0; turn < 20 && world.cluster.all('backups').length < 2; turn++) await world.turn();
    world.blind = true;
    await world.turn();
    world.blind = false;
    await world.settle();
    expect(essence(world)).toEqual(good);
  });

  it.each([
    [
      'an autoscaler',
      'WorkloadAutoscaled',
      (world: MoverWorld) =>
        void world.cluster.put('horizontalpodautoscalers', NS, {
          metadata: { name: 'hpa' },
          spec: { scaleTargetRef: { kind: 'StatefulSet', name: 'app' } },
        }),
    ],
    [
      'Flux',
      'WorkloadManaged',
      (world: MoverWorld) =>
        world.cluster.change('statefulsets', NS, 'app', { metadata: { labels: { 'kustomize.toolkit.fluxcd.io/name': 'apps' } } }),
    ],
    [
      'Argo CD',
      'WorkloadManaged',
      (world: MoverWorld) =>
        world.cluster.change('statefulsets', NS, 'app', { metadata: { annotations: { 'argocd.argoproj.io/tracking-id': 'x' } } }),
    ],
    ['nobody, for it is missing', 'WorkloadMissing', (world: MoverWorld) => world.cluster.remove('statefulsets', NS, 'app')],
  ])('is refused while its workload is run by %s', async (_who, reason, arrange) => {
    const world = await withBackup();
    arrange(world);
    world.createRestore('back', 'first');
    await world.turn();
    expect(world.restore('back')?.status?.phase).toBe('Pending');
    expect(succeeded(world)?.reason).toBe(reason);
    expect(world.ran).toEqual([]);
  });

  it('runs alone: another restore and backups of the namespace wait', async () => {
    const world = await withBackup();
    world.createRestore('back', 'first');
    await world.turn();
    world.createRestore('again', 'first');
    world.createBackup('second');
    await world.turn();
    expect(world.restore('again')?.status?.phase).toBe('Queued');
    expect(world.backup('second')?.status?.phase).toBe('Queued');
    await world.settle(200);
    expect([world.restore('back')?.status?.phase, world.restore('again')?.status?.phase, world.backup('second')?.status?.phase]).toEqual([
      'Succeeded',
      'Succeeded',
      'Stored',
    ]);
  });

  it('is not made of a backup that is not stored', async () => {
    const world = new MoverWorld();
    world.createRestore('back', 'first');
    await world.turn();
    expect(succeeded(world)?.reason).toBe('SourceMissing');
    world.script = (orders) => failed(orders, 'KeyDisabled', 'The key is disabled.', false);
    world.createBackup('first');
    await world.settle();
    expect(essence(world)).toMatchObject({ phase: 'Failed', conditions: ['Succeeded=False SourceNotStored'] });
  });
});
