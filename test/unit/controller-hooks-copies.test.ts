import { describe, expect, it } from '@jest/globals';
import { FakeStorage } from '../support/fake-storage.ts';
import { MOVERS, MoverWorld, NS, ended, failed } from '../support/mover-world.ts';

const plan = { allPods: false, timeout: '1m', onError: 'Fail' };

/** `fast` is of a driver with snapshots; `files`, if wanted, is read live. */
function setUp(isMixed = false): { world: MoverWorld; storage: FakeStorage; seen: string[] } {
  const world = new MoverWorld();
  const { cluster } = world;
  cluster.put('namespaces', undefined, { metadata: { name: MOVERS }, status: { phase: 'Active' } });
  const storage = new FakeStorage(cluster, {});
  world.storage = storage;
  storage.addVolume(NS, 'data');
  if (isMixed) cluster.put('persistentvolumeclaims', NS, { metadata: { name: 'files' }, spec: { volumeMode: 'Filesystem', accessModes: ['ReadWriteOnce'] }, status: { phase: 'Bound' } });
  const hooks = { pre: [{ name: 'freeze', command: ['freeze'], ...plan }], post: [{ name: 'thaw', command: ['thaw'], ...plan }] };
  cluster.change('backuppolicies', NS, 'daily', { spec: { copyMethod: 'Auto', hooks } });
  const seen: string[] = [];
  world.execScript = (command) => {
    const snapshots = cluster.all('volumesnapshots').filter(({ metadata }) => metadata.namespace === NS).length;
    seen.push(`${command}: ${snapshots === 0 ? 'uncut' : 'cut'}, ${cluster.all('jobs').length === 0 ? 'unread' : 'read'}`);
    return { ok: true, message: '', output: '' };
  };
  return { world, storage, seen };
}

function left({ world, storage }: { world: MoverWorld; storage: FakeStorage }): number {
  return ['volumesnapshots', 'volumesnapshotcontents', 'jobs', 'secrets'].flatMap((kind) => world.cluster.all(kind)).length + storage.snapshots.size;
}

describe('hooks around snapshots', () => {
  it('hold the workload still until the cut, not for the transfer', async () => {
    const made = setUp();
    made.world.createBackup('first');
    await made.world.settle();
    expect(made.seen).toEqual(['freeze: uncut, unread', 'thaw: cut, unread']);
    expect(made.world.backup('first')?.status).toMatchObject({ phase: 'Stored', copyMethod: 'Snapshot', hooks: [{ state: 'Succeeded' }, { state: 'Succeeded' }] });
    expect(left(made)).toBe(0);
  });

  it('hold it for the transfer as well where a volume is read live', async () => {
    const made = setUp(true);
    made.world.createBackup('first');
    await made.world.settle();
    expect(made.seen).toEqual(['freeze: uncut, unread', 'thaw: cut, read']);
    expect(made.world.backup('first')?.status).toMatchObject({ phase: 'Stored', copyMethod: 'Mixed' });
  });

  it.each([false, true])('end released and leave nothing when the operator is killed after any write (mixed: %s)', async (isMixed) => {
    const calm = setUp(isMixed);
    calm.world.createBackup('first');
    const before = calm.world.cluster.writes;
    await calm.world.settle();
    for (let k = 1; k <= calm.world.cluster.writes - before; k++) {
      const made = setUp(isMixed);
      made.world.cluster.killAfter = made.world.cluster.writes + k;
      made.world.createBackup('first');
      await made.world.settle();
      expect({ k, phase: made.world.backup('first')?.status?.phase, last: made.seen.at(-1)?.slice(0, 4), left: left(made) }).toEqual({ k, phase: 'Stored', last: 'thaw', left: 0 });
      expect(made.seen[0]).toBe('freeze: uncut, unread');
    }
  });

  it('are not run again when only the transfer is made again, for the cut stands', async () => {
    const made = setUp();
    made.world.script = (orders) => (orders.attempt.number === 1 ? failed(orders, 'Unavailable', 'The bucket did not answer.', true) : ended(orders));
    made.world.createBackup('first');
    await made.world.settle();
    expect(made.world.backup('first')?.status).toMatchObject({ phase: 'Stored', attempt: 2, hooks: [{ state: 'Succeeded' }, { state: 'Succeeded' }] });
    expect(made.seen).toHaveLength(2);
  });

  it('keep anything from being cut when one before it fails, release, and are tried again', async () => {
    const made = setUp();
    made.world.execScript = (command) => {
      made.seen.push(command);
      return { ok: command !== 'freeze' || made.seen.length > 3, message: 'it ended with status 1', output: '' };
    };
    made.world.createBackup('first');
    await made.world.settle();
    expect(made.seen).toEqual(['freeze', 'thaw', 'freeze', 'thaw', 'freeze', 'thaw'].slice(0, 2).concat(['freeze', 'thaw', 'freeze', 'thaw'].slice(0, made.seen.length - 2)));
    expect(made.world.backup('first')?.status?.phase).toBe('Stored');
  });

  it('release the workload when the snapshot fails or the backup is cancelled meanwhile', async () => {
    for (let turns = 1; turns <= 8; turns++) {
      const made = setUp();
      made.world.createBackup('first');
      for (let i = 0; i < turns; i++) await made.world.turn();
      made.world.cluster.change('backups', NS, 'first', { spec: { cancel: true } });
      await made.world.settle();
      expect(['Cancelled', 'Stored']).toContain(made.world.backup('first')?.status?.phase);
      if (made.seen.length > 0) expect(made.seen.at(-1)).toMatch(/^thaw/);
      expect(left(made)).toBe(0);
    }
  });

  it('release the workload, give the place to others and leave nothing when the policy is deleted meanwhile', async () => {
    for (let turns = 1; turns <= 6; turns++) {
      const made = setUp();
      const { cluster } = made.world;
      cluster.put('backuppolicies', NS, { ...cluster.find('backuppolicies', NS, 'daily'), metadata: { name: 'other' } });
      made.storage.error = turns < 6 ? 'the array is full' : undefined;
      made.world.createBackup('first');
      for (let i = 0; i < turns; i++) await made.world.turn();
      cluster.remove('backuppolicies', NS, 'daily');
      made.storage.error = undefined;
      made.world.createBackup('second', { policy: 'other', trigger: 'Automatic' });
      for (let i = 0; i < 12; i++, cluster.now += 10_000) await made.world.turn();
      expect({ turns, second: made.world.backup('second')?.status?.phase }).toEqual({ turns, second: 'Stored' });
      cluster.now += 31 * 60_000;
      await made.world.settle();
      expect(['Failed', 'Stored']).toContain(made.world.backup('first')?.status?.phase);
      if (made.seen.length > 0) expect(made.seen.at(-1)).toMatch(/^thaw/);
      expect(left(made)).toBe(0);
    }
  });
});
