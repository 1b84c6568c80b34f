import { describe, expect, it } from '@jest/globals';
import { MoverWorld, NS, ended, failed } from '../support/mover-world.ts';

const FREEZE = { name: 'freeze', command: ['freeze'], allPods: false, timeout: '1m', onError: 'Fail' };
const THAW = { name: 'thaw', command: ['thaw'], allPods: false, timeout: '1m', onError: 'Fail' };

function hooked(hooks: object = { pre: [FREEZE], post: [THAW] }): MoverWorld {
  const world = new MoverWorld();
  world.cluster.change('backuppolicies', NS, 'daily', { spec: { hooks } });
  return world;
}

function condition(world: MoverWorld, type: string) {
  return world.backup('first')?.status?.conditions?.find((each) => each.type === type);
}

function states(world: MoverWorld) {
  return world.backup('first')?.status?.hooks?.map(({ name, state }) => `${name} ${state}`);
}

/** What must hold however it went: the workload is not left quiesced. */
function endsReleased(world: MoverWorld): void {
  const last = world.executed.at(-1);
  if (last !== undefined) expect(last).toMatch(/: thaw$/);
}

describe('hooks of a backup', () => {
  it('run before the mover starts and after it has ended, in the pod that mounts the volume', async () => {
    const world = hooked();
    let executedAtStart: readonly string[] | undefined;
    world.script = (orders) => {
      executedAtStart ??= [...world.executed];
      return ended(orders);
    };
    world.createBackup('first');
    await world.settle();
    expect(world.executed).toEqual(['app-0 db: freeze', 'app-0 db: thaw']);
    expect(executedAtStart).toEqual(['app-0 db: freeze']);
    expect(world.backup('first')?.status?.phase).toBe('Stored');
    expect(states(world)).toEqual(['freeze Succeeded', 'thaw Succeeded']);
    expect(condition(world, 'Quiesced')).toMatchObject({ status: 'True', reason: 'HooksSucceeded' });
    // Commands stand in the status only while they are owed.
    expect(JSON.stringify(world.backup('first')?.status?.hooks)).not.toContain('plan');
    expect(world.cluster.requests.length).toBeLessThanOrEqual(40);
  });

  it('end as undisturbed ones do when the operator is killed after any of its writes; each ran, the last one last', async () => {
    const run = async (killAfter: number) => {
      const world = hooked();
      world.cluster.killAfter = killAfter;
      world.createBackup('first');
      await world.settle();
      return world;
    };
    const calm = await run(Infinity);
    for (let k = 1; k <= calm.cluster.writes; k++) {
      const world = await run(k);
      expect({ k, phase: world.backup('first')?.status?.phase, states: states(world) }).toEqual({ k, phase: 'Stored', states: ['freeze Succeeded', 'thaw Succeeded'] });
      endsReleased(world);
      expect(world.ran).toHaveLength(1);
    }
  });

  it.each([1, 2])('run command %i again when the operator ended before it could say that it had', async (n) => {
    const world = hooked();
    world.restartAfterExec = n;
    world.createBackup('first');
    await world.settle();
    expect(world.backup('first')?.status?.phase).toBe('Stored');
    expect(world.executed).toHaveLength(3);
    endsReleased(world);
  });

  it('restarted after every single turn still end released', async () => {
    const world = hooked();
    world.createBackup('first');
    for (let turn = 0; turn < 40; turn++) {
      await world.turn();
      world.restart();
      world.cluster.now += 3000;
    }
    // Nobody ever lives to see a command end, so the pre hook runs again and again; cancelled, the post hook is tried until its timeout.
    expect(world.ran).toHaveLength(0);
    world.cluster.change('backups', NS, 'first', { spec: { cancel: true } });
    await world.settle();
    expect(world.backup('first')?.status?.phase).toBe('Cancelled');
    endsReleased(world);
  });

  it('keep the mover from starting when a pre hook fails, say what it printed, release, and are tried again', async () => {
    const world = hooked({ pre: [FREEZE, { ...FREEZE, name: 'second', command: ['second'] }], post: [THAW] });
    world.execScript = (command) => (command === 'freeze' ? { ok: false, message: 'it ended with status 3', output: 'FATAL: no such role' } : { ok: true, message: '', output: '' });
    world.createBackup('first');
    for (let i = 0; i < 3; i++) await world.turn();
    expect(states(world)).toEqual(['freeze Failed', 'second Skipped', 'thaw Succeeded']);
    expect(condition(world, 'Quiesced')).toMatchObject({ status: 'False', reason: 'HookFailed', message: expect.stringContaining('it ended with status 3: FATAL: no such role') });
    await world.settle();
    expect(world.ran).toHaveLength(0);
    expect(world.backup('first')?.status).toMatchObject({ phase: 'Failed', attempt: 4 });
    expect(condition(world, 'Stored')).toMatchObject({ reason: 'PreHookFailed', message: expect.stringContaining('Given up after 4 attempts') });
    endsReleased(world);
    expect(world.executed.filter((line) => line.endsWith('thaw'))).toHaveLength(4);
  });

  it('go on after one that may fail, and the backup says so', async () => {
    const world = hooked({ pre: [{ ...FREEZE, onError: 'Continue' }], post: [THAW] });
    world.execScript = (command) => ({ ok: command !== 'freeze', message: 'it ended with status 1', output: '' });
    world.createBackup('first');
    await world.settle();
    expect(world.backup('first')?.status?.phase).toBe('Stored');
    expect(condition(world, 'Quiesced')).toMatchObject({ status: 'False', reason: 'HookFailed' });
    expect(world.events).toContainEqual(expect.objectContaining({ type: 'Warning', reason: 'HookFailed' }));
  });

  it('run a post hook that fails again until it succeeds', async () => {
    const world = hooked();
    let tries = 0;
    world.execScript = (command) => ({ ok: command !== 'thaw' || ++tries === 3, message: 'it ended with status 1', output: '' });
    world.createBackup('first');
    for (let i = 0; i < 30; i++) {
      await world.turn();
      world.cluster.now += 3000;
    }
    expect(world.backup('first')?.status?.phase).toBe('Stored');
    expect(tries).toBe(3);
    expect(states(world)).toEqual(['freeze Succeeded', 'thaw Succeeded']);
  });

  it('fail the backup for good when a post hook that counts fails until its timeout, for what was stored may be worth nothing', async () => {
    const world = hooked();
    world.execScript = (command) => ({ ok: command !== 'thaw', message: 'it ended with status 1', output: '' });
    world.createBackup('first');
    for (let i = 0; i < 30; i++) {
      await world.turn();
      world.cluster.now += 3000;
    }
    expect(world.backup('first')?.status).toMatchObject({ phase: 'Failed', attempt: 1 });
    expect(condition(world, 'Stored')).toMatchObject({ reason: 'PostHookFailed' });
    expect(world.executed.filter((line) => line.endsWith('thaw')).length).toBeGreaterThan(2);
  });

  it('run the post hook when the transfer fails, before each next attempt', async () => {
    const world = hooked();
    world.script = (orders) => failed(orders, 'Unavailable', 'The bucket did not answer.', orders.attempt.number < 2);
    world.createBackup('first');
    await world.settle();
    expect(world.backup('first')?.status?.phase).toBe('Failed');
    expect(world.executed.map((line) => line.split(': ')[1])).toEqual(['freeze', 'thaw', 'freeze', 'thaw']);
  });

  it('run the post hook although the policy was changed, or deleted, while the mover ran', async () => {
    for (const change of ['changed', 'deleted']) {
      const world = hooked();
      world.script = () => 'running';
      world.createBackup('first');
      for (let i = 0; i < 4; i++) await world.turn();
      expect(world.executed).toEqual(['app-0 db: freeze']);
      if (change === 'deleted') world.cluster.remove('backuppolicies', NS, 'daily');
      else world.cluster.change('backuppolicies', NS, 'daily', { spec: { hooks: null } });
      world.script = (orders) => ended(orders);
      await world.settle();
      expect(world.executed).toEqual(['app-0 db: freeze', 'app-0 db: thaw']);
    }
  });

  it.each([
    ['cancelled', (world: MoverWorld) => world.cluster.change('backups', NS, 'first', { spec: { cancel: true } })],
    ['deleted', (world: MoverWorld) => world.cluster.remove('backups', NS, 'first')],
  ])('run the post hook when the backup is %s, at any moment, and after a crash', async (_what, end) => {
    for (let moment = 1; moment <= 8; moment++) {
      for (const killAfter of [Infinity, 1, 2, 3]) {
        const world = hooked();
        world.script = (orders) => (orders.task === 'backup' ? 'running' : ended(orders));
        world.createBackup('first');
        for (let i = 0; i < moment; i++) await world.turn();
        end(world);
        if (killAfter !== Infinity) world.cluster.killAfter = world.cluster.writes + killAfter;
        await world.settle();
        expect([undefined, 'Cancelled']).toContain(world.backup('first')?.status?.phase);
        endsReleased(world);
      }
    }
  });

  it('are skipped where no pod uses the volumes, as in a safety backup', async () => {
    const world = hooked();
    world.cluster.change('statefulsets', NS, 'app', { spec: { replicas: 0 } });
    await world.turn();
    world.createBackup('first');
    await world.settle();
    expect(world.backup('first')?.status?.phase).toBe('Stored');
    expect(world.executed).toEqual([]);
    expect(condition(world, 'Quiesced')).toMatchObject({ status: 'True', reason: 'NothingToQuiesce' });
  });

  it('wait for a pod that is not ready, until their timeout', async () => {
    const world = hooked();
    await world.turn();
    world.cluster.change('pods', NS, 'app-0', { status: { conditions: [{ type: 'Ready', status: 'False' }] } });
    world.createBackup('first');
    await world.turn();
    expect(condition(world, 'Stored')).toMatchObject({ reason: 'PreHooks', message: expect.stringContaining('is not ready') });
    world.cluster.now += 2000;
    world.cluster.change('pods', NS, 'app-0', { status: { conditions: [{ type: 'Ready', status: 'True' }] } });
    await world.settle();
    expect(world.backup('first')?.status?.phase).toBe('Stored');
  });

  it('release a workload whose mover does not start within two minutes', async () => {
    const world = hooked();
    world.script = () => 'running';
    world.createBackup('first');
    for (let i = 0; i < 4; i++) await world.turn();
    const pod = world.cluster.all('pods').find(({ metadata }) => metadata.name.startsWith('tbmover-'));
    world.cluster.change('pods', NS, pod?.metadata.name ?? '', {
      status: { phase: 'Pending', containerStatuses: [{ name: 'mover', state: { waiting: { reason: 'ErrImagePull', message: 'no such image' } } }] },
    });
    await world.turn();
    expect(world.executed).toEqual(['app-0 db: freeze']);
    world.cluster.now += 121_000;
    for (let i = 0; i < 4; i++) await world.turn();
    expect(world.executed).toEqual(['app-0 db: freeze', 'app-0 db: thaw']);
    expect(world.backup('first')?.status?.phase).toBe('Queued');
  });

  it('without pre hooks run their post hooks all the same', async () => {
    const world = hooked({ post: [THAW] });
    world.createBackup('first');
    await world.settle();
    expect(world.executed).toEqual(['app-0 db: thaw']);
    expect(world.backup('first')?.status?.phase).toBe('Stored');
  });

  it('in very many pods that all print as much as they may fail as one does, and release', async () => {
    const world = hooked({ pre: [{ ...FREEZE, allPods: true }], post: [{ ...THAW, allPods: true }] });
    await world.turn();
    const pod = world.cluster.find('pods', NS, 'app-0');
    for (let i = 1; i <= 120; i++) world.cluster.put('pods', NS, { ...pod, metadata: { name: `app-${i}` } });
    world.execScript = (command) => ({ ok: command !== 'freeze', message: 'it ended with status 1', output: 'x'.repeat(1024) });
    world.createBackup('first');
    await world.settle();
    expect(world.backup('first')?.status?.phase).toBe('Failed');
    expect(states(world)).toEqual(['freeze Failed', 'thaw Succeeded']);
    expect(world.executed.filter((line) => line.endsWith('thaw'))).toHaveLength(4 * 121);
    endsReleased(world);
  });

  it('name a container that does not exist', async () => {
    const world = hooked({ pre: [{ ...FREEZE, container: 'database' }] });
    world.createBackup('first');
    await world.settle();
    expect(condition(world, 'Stored')).toMatchObject({ reason: 'PreHookFailed', message: expect.stringContaining('no container database; it has db, proxy') });
  });
});
