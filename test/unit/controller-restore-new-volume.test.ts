import { describe, expect, it } from '@jest/globals';
import { MoverWorld, NS, ended, failed } from '../support/mover-world.ts';

const INTO_NEW = { target: { type: 'NewVolume' } };

async function withBackup(): Promise<MoverWorld> {
  const world = new MoverWorld();
  world.cluster.change('persistentvolumeclaims', NS, 'data', { spec: { storageClassName: 'fast', resources: { requests: { storage: '20Gi' } } }, status: { capacity: { storage: '20Gi' } } });
  await world.turn();
  world.createBackup('first');
  await world.settle();
  world.ran.length = 0;
  return world;
}

function essence(world: MoverWorld, name = 'back') {
  const status = world.restore(name)?.status;
  return {
    phase: status?.phase,
    backup: status?.backup,
    conditions: status?.conditions?.map(({ type, status: holds, reason }) => `${type}=${holds} ${reason}`),
    replicas: world.cluster.find('statefulsets', NS, 'app')?.spec?.['replicas'],
    claims: world.cluster.all('persistentvolumeclaims').map(({ metadata }) => metadata.name),
    backups: world.cluster.all('backups').length,
    jobs: world.cluster.all('jobs').length,
    secrets: world.cluster.all('secrets').length,
    ran: world.ran.map(({ task, attempt }) => `${task} ${attempt.number}`),
  };
}

function succeeded(world: MoverWorld) {
  return world.restore('back')?.status?.conditions?.find(({ type }) => type === 'Succeeded');
}

const good = {
  phase: 'Succeeded',
  backup: 'first',
  conditions: ['Succeeded=True Restored', 'Restored=True Restored'],
  replicas: 2,
  claims: ['data', 'data-back'],
  backups: 1,
  jobs: 0,
  secrets: 0,
  ran: ['restore 1'],
};

describe('a restore into new volumes', () => {
  it('makes them, fills them and leaves workload, volumes and backups alone', async () => {
    const world = await withBackup();
    let job: unknown;
    world.script = (orders) => {
      [job] = world.cluster.all('jobs').map(({ spec }) => spec);
      return ended(orders);
    };
    world.createRestore('back', 'first', INTO_NEW);
    await world.settle();

    expect(essence(world)).toEqual(good);
    expect(world.ran[0]).toMatchObject({ volumes: [{ claim: 'data', mountPath: '/volumes/data' }] });
    expect(JSON.stringify(job)).toContain('"persistentVolumeClaim":{"claimName":"data-back"}');
    const made = world.cluster.find('persistentvolumeclaims', NS, 'data-back');
    expect(made?.spec).toEqual({ accessModes: ['ReadWriteOnce'], volumeMode: 'Filesystem', resources: { requests: { storage: '20Gi' } }, storageClassName: 'fast' });
    expect(made?.metadata.ownerReferences).toBeUndefined();
    expect(succeeded(world)?.message).toContain('in new volume data-back');
  });

  it('ends as an undisturbed one does when the operator is killed after any of its writes', async () => {
    const run = async (k: number) => {
      const world = await withBackup();
      const before = world.cluster.writes;
      world.cluster.killAfter = before + k;
      world.createRestore('back', 'first', INTO_NEW);
      await world.settle();
      return { world, writes: world.cluster.writes - before };
    };
    const calm = await run(Infinity);
    expect(calm.writes).toBeGreaterThan(6);
    for (let k = 1; k <= calm.writes; k++) expect({ k, ...essence((await run(k)).world) }).toEqual({ k, ...good });
  });

  it('keeps them when it is deleted after it succeeded', async () => {
    const world = await withBackup();
    world.createRestore('back', 'first', INTO_NEW);
    await world.settle();
    world.cluster.remove('restores', NS, 'back');
    await world.settle();
    expect(world.restore('back')).toBeUndefined();
    expect(essence(world).claims).toEqual(['data', 'data-back']);
  });

  it('removes them again when it fails, however often the operator is killed', async () => {
    const run = async (k: number) => {
      const world = await withBackup();
      world.script = (orders) => failed(orders, 'NoSpace', 'No space left in /volumes/data.', false);
      const before = world.cluster.writes;
      world.cluster.killAfter = before + k;
      world.createRestore('back', 'first', INTO_NEW);
      await world.settle();
      return { world, writes: world.cluster.writes - before };
    };
    const { world, writes } = await run(Infinity);
    expect(essence(world)).toMatchObject({ phase: 'Failed', claims: ['data'], jobs: 0, secrets: 0, replicas: 2 });
    expect(succeeded(world)).toMatchObject({ reason: 'NoSpace', message: expect.stringMatching(/No space left.*The new volume data-back is removed again\.$/) });
    for (let k = 1; k <= writes; k++) expect({ k, ...essence((await run(k)).world) }).toMatchObject({ k, phase: 'Failed', claims: ['data'], jobs: 0, secrets: 0 });
  });

  it('keeps one that a pod uses already, and one that lacks only some files', async () => {
    const used = await withBackup();
    used.script = (orders) => {
      used.cluster.put('pods', NS, { metadata: { name: 'eager' }, spec: { volumes: [{ name: 'v', persistentVolumeClaim: { claimName: 'data-back' } }] }, status: { phase: 'Pending' } });
      return failed(orders, 'NoSpace', 'No space left in /volumes/data.', false);
    };
    used.createRestore('back', 'first', INTO_NEW);
    await used.settle();
    expect(essence(used)).toMatchObject({ phase: 'Failed', claims: ['data', 'data-back'] });
    expect(succeeded(used)?.message).toContain('data-back is kept, for a pod uses it');

    const partial = await withBackup();
    partial.script = (orders) =>
      ended(orders, { restore: { complete: false, files: 2, directories: 1, filesSkippedIdentical: 0, bytesWritten: 1, deleted: 0 }, warnings: ['/volumes/data/x: damaged'], warningCount: 1 });
    partial.createRestore('back', 'first', INTO_NEW);
    await partial.settle();
    expect(essence(partial)).toMatchObject({ phase: 'Failed', claims: ['data', 'data-back'] });
    expect(succeeded(partial)).toMatchObject({ reason: 'RestoreIncomplete', message: expect.stringContaining('data-back is kept with what could be restored') });
  });

  it.each(['cancelled', 'deleted'])('removes them when it is %s while it runs', async (how) => {
    const world = await withBackup();
    world.script = () => 'running';
    world.createRestore('back', 'first', INTO_NEW);
    for (let turn = 0; turn < 5; turn++) await world.turn();
    expect(essence(world)).toMatchObject({ phase: 'Restoring', claims: ['data', 'data-back'], jobs: 1 });
    if (how === 'cancelled') world.cluster.change('restores', NS, 'back', { spec: { cancel: true } });
    else world.cluster.remove('restores', NS, 'back');
    await world.settle();
    expect(essence(world)).toMatchObject({ phase: how === 'cancelled' ? 'Cancelled' : undefined, claims: ['data'], jobs: 0, secrets: 0 });
  });

  it('touches no claim of that name that is not its own, and says so', async () => {
    const world = await withBackup();
    world.cluster.put('persistentvolumeclaims', NS, { metadata: { name: 'data-back' }, spec: {}, status: { phase: 'Bound' } });
    world.createRestore('back', 'first', INTO_NEW);
    await world.settle();
    expect(essence(world)).toMatchObject({ phase: 'Failed', claims: ['data', 'data-back'], ran: [] });
    expect(succeeded(world)).toMatchObject({ reason: 'NewVolumeNameTaken', message: expect.stringContaining('was not made for this restore') });
  });

  it("says what the provisioner says while the pod waits, and gives up with it as the cause", async () => {
    const world = await withBackup();
    world.placed = false;
    world.cluster.put('events', NS, {
      metadata: { name: 'e' },
      involvedObject: { kind: 'PersistentVolumeClaim', name: 'data-back', namespace: NS },
      reason: 'ProvisioningFailed',
      type: 'Warning',
      message: 'storageclass.storage.k8s.io "fast" not found',
      lastTimestamp: '2030-01-01T00:00:00Z',
    } as never);
    world.createRestore('back', 'first', INTO_NEW);
    for (let turn = 0; turn < 5; turn++) {
      await world.turn();
      world.cluster.now += 10_000;
    }
    expect(succeeded(world)).toMatchObject({ status: 'Unknown', reason: 'VolumeNotProvisioned', message: expect.stringContaining('storageclass.storage.k8s.io "fast" not found') });
    world.cluster.now += 31 * 60_000;
    await world.settle();
    expect(essence(world)).toMatchObject({ phase: 'Failed', claims: ['data'], jobs: 0, secrets: 0 });
    expect(succeeded(world)?.reason).toBe('VolumeNotProvisioned');
  });
});

describe('a restore of what a policy has', () => {
  it('chooses once: a backup that is stored meanwhile changes nothing', async () => {
    const world = await withBackup();
    world.script = (orders) => (orders.task === 'restore' ? 'running' : ended(orders));
    world.createRestore('back', 'unused', { source: { policy: 'daily', newest: true }, ...INTO_NEW });
    await world.turn();
    expect(world.restore('back')?.status?.backup).toBe('first');
    world.createBackup('second');
    world.script = (orders) => ended(orders, orders.task === 'restore' ? {} : { backup: { snapshotId: 'cd'.repeat(32), complete: true, files: 3, directories: 1, filesUnchanged: 0, bytesProcessed: 1, bytesAdded: 1 } });
    await world.settle();
    expect(essence(world)).toMatchObject({ phase: 'Succeeded', backup: 'first' });
    expect(world.ran.find(({ task }) => task === 'restore')).toMatchObject({ snapshotId: 'ab'.repeat(32) });
  });

  it('fails at once, with what there is, when no backup fits', async () => {
    const world = await withBackup();
    world.createRestore('back', 'unused', { source: { policy: 'daily', asOf: '2029-12-31T23:00:00Z' } });
    await world.settle();
    expect(essence(world)).toMatchObject({ phase: 'Failed', ran: [], replicas: 2 });
    expect(succeeded(world)).toMatchObject({ reason: 'NoBackupBefore', message: expect.stringContaining('The oldest one, first') });
  });

  it('does not look for another one when that which was chosen is gone', async () => {
    const world = await withBackup();
    world.createRestore('other', 'first', INTO_NEW);
    world.script = (orders) => (orders.task === 'restore' ? 'running' : ended(orders));
    await world.turn();
    world.createRestore('back', 'unused', { source: { policy: 'daily', newest: true }, ...INTO_NEW });
    await world.turn();
    expect(world.restore('back')?.status).toMatchObject({ phase: 'Queued', backup: 'first' });
    world.cluster.change('backups', NS, 'first', { metadata: { finalizers: null } });
    world.cluster.remove('backups', NS, 'first');
    await world.turn();
    expect(essence(world)).toMatchObject({ phase: 'Failed' });
    expect(succeeded(world)).toMatchObject({ reason: 'SourceMissing', message: expect.stringContaining('Backup first, which was chosen, is gone') });
  });

  it('brings back only the volumes that are asked for', async () => {
    const world = await withBackup();
    world.createRestore('back', 'first', { ...INTO_NEW, volumes: ['logs'] });
    await world.settle();
    expect(succeeded(world)).toMatchObject({ reason: 'VolumeNotInBackup', message: expect.stringContaining('does not hold logs; it holds data') });
  });
});

describe('a restore that waits while the workload is down', () => {
  const shell = { metadata: { name: 'shell' }, spec: { nodeName: 'node-1', volumes: [{ name: 'v', persistentVolumeClaim: { claimName: 'data' } }] }, status: { phase: 'Running' } };

  it('gives up after half an hour when a pod does not leave the volume, and scales up', async () => {
    const world = await withBackup();
    world.cluster.put('pods', NS, structuredClone(shell));
    world.createRestore('back', 'first');
    await world.settle(5);
    expect(succeeded(world)).toMatchObject({ status: 'Unknown', message: expect.stringMatching(/Pod shell still uses volume data\. It is given up at 2030-01-01T00:3\d:\d\dZ\.$/) });
    world.cluster.now += 31 * 60_000;
    await world.settle();
    expect(essence(world)).toMatchObject({ phase: 'Failed', replicas: 2, ran: [] });
    expect(succeeded(world)).toMatchObject({ reason: 'VolumesInUse', message: expect.stringContaining('Given up after 30 minutes. Nothing was restored.') });
  });

  it('gives up after half an hour when the volume is used again before the mover starts', async () => {
    const world = await withBackup();
    world.script = (orders) => {
      if (orders.task === 'backup') world.cluster.put('pods', NS, structuredClone(shell));
      return ended(orders);
    };
    world.createRestore('back', 'first');
    await world.settle(20);
    expect(world.restore('back')?.status).toMatchObject({ phase: 'Restoring', waitingSince: expect.any(String) });
    world.cluster.now += 31 * 60_000;
    await world.settle();
    expect(essence(world)).toMatchObject({ phase: 'Failed', replicas: 2, jobs: 0, ran: ['backup 1'] });
    expect(world.restore('back')?.status?.waitingSince).toBeUndefined();
    expect(succeeded(world)?.message).toContain('Given up after 30 minutes. Nothing was restored.');
  });

  it.each(['restore', 'backup'])('gives up after half an hour when a queueing system holds the %s', async (task) => {
    const world = await withBackup();
    world.suspended = (labels) => labels['app.kubernetes.io/component'] === `mover-${task}`;
    world.createRestore('back', 'first');
    await world.settle(20);
    expect(succeeded(world)?.message).toMatch(/queueing system.*It is given up at/);
    world.cluster.now += 31 * 60_000;
    await world.settle();
    expect(essence(world)).toMatchObject({ phase: 'Failed', replicas: 2, jobs: 0, secrets: 0 });
    expect(succeeded(world)?.reason).toBe(task === 'restore' ? 'JobSuspended' : 'SafetyBackupFailed');
  });

  it('gives up after half an hour when the result cannot be read, and says that volumes may be half restored', async () => {
    const world = await withBackup();
    world.reader = { read: () => Promise.reject(world.unreachable()) };
    world.script = (orders) => (orders.task === 'restore' ? { exitCode: 0, lost: true } : ended(orders));
    world.createRestore('back', 'first');
    await world.settle(20);
    expect(succeeded(world)?.reason).toBe('ResultUnreachable');
    world.cluster.now += 31 * 60_000;
    await world.settle();
    expect(essence(world)).toMatchObject({ phase: 'Failed', replicas: 2, jobs: 0, secrets: 0 });
    expect(succeeded(world)?.message).toMatch(/half restored\..*holds the state before/);
  });
});
