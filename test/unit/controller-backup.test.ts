import { describe, expect, it } from '@jest/globals';
import type { Backup } from '../../src/api/index.ts';
import { PortError } from '../../src/controller/ports.ts';
import { MoverWorld, NS, ended, failed, result } from '../support/mover-world.ts';

const CONFIRMED = { metadata: { annotations: { 'backup.dupp.de/confirm-deletion': 'true' } } };

function stored(backup: Backup | undefined) {
  return backup?.status?.conditions?.find(({ type }) => type === 'Stored');
}

/** What must be the same however often the operator was killed. */
function essence(world: MoverWorld, name: string) {
  const status = world.backup(name)?.status;
  return {
    phase: status?.phase,
    snapshot: status?.snapshotId,
    attempt: status?.attempt,
    conditions: status?.conditions?.map(({ type, status: holds, reason }) => `${type}=${holds} ${reason}`),
    jobs: world.cluster.all('jobs').length,
    secrets: world.cluster.all('secrets').length,
    ran: world.ran.map(({ task, attempt }) => `${task} ${attempt.number}`),
  };
}

describe('a backup', () => {
  it('is stored, in at most 40 requests, and leaves no Job and no Secret', async () => {
    const world = new MoverWorld();
    world.createBackup('first');
    await world.settle();
    expect(essence(world, 'first')).toEqual({
      phase: 'Stored',
      snapshot: 'ab'.repeat(32),
      attempt: 1,
      conditions: ['Stored=True Stored', 'SameInstant=False ReadLive', 'Complete=True AllFilesRead'],
      jobs: 0,
      secrets: 0,
      ran: ['backup 1'],
    });
    expect(world.cluster.requests.length).toBeLessThanOrEqual(20);
    expect(world.events.map(({ reason }) => reason)).toEqual(['Transferring', 'Stored']);
  });

  it('ends as an undisturbed one does when the operator is killed after any of its writes', async () => {
    const calm = new MoverWorld();
    calm.createBackup('first');
    await calm.settle();
    const writes = calm.cluster.writes;
    expect(writes).toBeGreaterThan(5);
    for (let k = 1; k <= writes; k++) {
      const world = new MoverWorld();
      world.cluster.killAfter = k;
      world.createBackup('first');
      await world.settle();
      expect({ k, ...essence(world, 'first') }).toEqual({ k, ...essence(calm, 'first') });
    }
  });

  it('is made again after a retryable failure, with the dead attempt named, and killed anywhere ends alike', async () => {
    const script = (orders: Parameters<typeof ended>[0]) =>
      orders.attempt.number === 1 ? failed(orders, 'Unavailable', 'The bucket did not answer.', true) : ended(orders);
    const run = async (killAfter: number) => {
      const world = new MoverWorld();
      world.script = script;
      world.cluster.killAfter = killAfter;
      world.createBackup('first');
      await world.settle();
      return world;
    };
    const calm = await run(Infinity);
    expect(essence(calm, 'first')).toMatchObject({ phase: 'Stored', attempt: 2, ran: ['backup 1', 'backup 2'], jobs: 0, secrets: 0 });
    expect(calm.ran[1]?.deadAttempts).toEqual([calm.ran[0]?.attempt.name]);
    for (let k = 1; k <= calm.cluster.writes; k++) expect({ k, ...essence(await run(k), 'first') }).toEqual({ k, ...essence(calm, 'first') });
  });

  it('is given up after four attempts, and says why all the time', async () => {
    const world = new MoverWorld();
    world.script = (orders) => failed(orders, 'Unavailable', 'The bucket did not answer.', true);
    world.createBackup('first');
    await world.turn();
    await world.turn();
    await world.turn();
    expect(stored(world.backup('first'))).toMatchObject({ reason: 'Unavailable', message: expect.stringContaining('made again at') });
    expect(world.backup('first')?.status?.nextAttemptAt).toBeDefined();
    await world.settle();
    expect(essence(world, 'first')).toMatchObject({ phase: 'Failed', attempt: 4, jobs: 0, secrets: 0 });
    expect(stored(world.backup('first'))?.message).toBe('Given up after 4 attempts: The bucket did not answer.');
  });

  it.each([
    ['out of memory', { exitCode: 137, reason: 'OOMKilled' }, 'OOMKilled', 4],
    ['refused by KMS', undefined, 'KeyDisabled', 1],
    ['of an unknown result version', { exitCode: 0, message: '{"version":2}' }, 'ResultRefused', 1],
    ['without a container that runs', { exitCode: 128, reason: 'StartError', message: 'exec: not found' }, 'MoverCannotRun', 1],
  ])('fails when its mover is %s', async (_name, end, reason, attempts) => {
    const world = new MoverWorld();
    world.script = (orders) => end ?? failed(orders, 'KeyDisabled', 'The key is disabled.', false);
    world.createBackup('first');
    await world.settle();
    expect(essence(world, 'first')).toMatchObject({ phase: 'Failed', attempt: attempts, jobs: 0, secrets: 0 });
    expect(stored(world.backup('first'))?.reason).toBe(reason);
  });

  it('loses no result with its pod: the bucket has it', async () => {
    const world = new MoverWorld();
    world.script = (orders) => {
      world.results.set(`g1/results/${orders.attempt.uid}-1.json`, result(orders));
      return { exitCode: 0, lost: true };
    };
    world.createBackup('first');
    await world.settle();
    expect(essence(world, 'first')).toMatchObject({ phase: 'Stored', attempt: 1, ran: ['backup 1'] });
  });

  it('is made again when pod and result are lost', async () => {
    const world = new MoverWorld();
    world.script = (orders) => (orders.attempt.number === 1 ? { exitCode: 0, lost: true } : ended(orders));
    world.createBackup('first');
    await world.settle();
    expect(essence(world, 'first')).toMatchObject({ phase: 'Stored', attempt: 2, jobs: 0, secrets: 0 });
  });

  it('says when credentials for its mover are refused', async () => {
    const world = new MoverWorld();
    world.minter = { mint: () => Promise.reject(new PortError('BadCredentials', 'The access key is unknown.', { retryable: false })) };
    world.createBackup('first');
    await world.settle();
    expect(essence(world, 'first')).toMatchObject({ phase: 'Failed', jobs: 0, secrets: 0 });
    expect(stored(world.backup('first'))).toMatchObject({ reason: 'BadCredentials', message: expect.stringContaining('credentialsSecretRef') });
  });

  it('gets fresh credentials before those of its mover expire, once for each life', async () => {
    const world = new MoverWorld();
    let minted = 0;
    world.minter = {
      mint: () => {
        minted++;
        const s3 = { accessKeyId: `session-${minted}`, secretAccessKey: 's' };
        return Promise.resolve({ credentials: { version: 1, s3, kms: {} }, expiresAt: world.cluster.now + 3_600_000 });
      },
    };
    world.script = () => 'running';
    world.createBackup('first');
    await world.turn();
    await world.turn();
    const given = () =>
      Buffer.from(
        (world.cluster.all('secrets')[0] as unknown as { data: Record<string, string> }).data['credentials.json'] ?? '',
        'base64',
      ).toString();
    expect(given()).toContain('session-1');
    world.cluster.now += 29 * 60_000;
    await world.turn();
    expect(given()).toContain('session-1');
    world.cluster.now += 2 * 60_000;
    await world.turn();
    await world.turn();
    expect(given()).toContain('session-2');
    expect(minted).toBe(2);
  });

  it("leaves a Job of its name that is somebody else's alone, and says so", async () => {
    const world = new MoverWorld();
    world.createBackup('first');
    await world.settle();
    const { name } = world.ran[0]!.attempt;
    world.cluster.remove('backups', NS, 'first');
    world.cluster.change('backups', NS, 'first', { metadata: { finalizers: null, deletionTimestamp: null }, status: null });
    world.cluster.put('jobs', NS, { metadata: { name, labels: { 'app.kubernetes.io/managed-by': 'tenant-backup' } } });
    await world.settle();
    expect(stored(world.backup('first'))?.reason).toBe('NameTaken');
    expect(world.cluster.all('jobs')).toHaveLength(1);
    world.cluster.remove('backups', NS, 'first');
    await world.settle();
    expect(world.cluster.all('jobs')).toHaveLength(1);
  });

  it('is made once even when the caches are behind what was just made', async () => {
    const world = new MoverWorld();
    world.createBackup('first');
    world.blind = true;
    await world.turn();
    await world.turn();
    world.blind = false;
    await world.settle();
    expect(essence(world, 'first')).toMatchObject({ phase: 'Stored', attempt: 1, ran: ['backup 1'], jobs: 0, secrets: 0 });
  });

  it('goes back to the queue when its node has as many movers as it may, and starts when one has ended', async () => {
    const world = new MoverWorld();
    await world.turn();
    world.cluster.change('backuplocations', undefined, 'here', { spec: { limits: { movers: 10, moversPerNode: 1 } } });
    const elsewhere = { phase: 'Transferring', tenant: 'shop-tenant', node: 'node-1', attempt: 1 };
    world.cluster.put('backups', 'other', { metadata: { name: 'x', uid: 'x' }, spec: { policy: 'p', trigger: 'Manual' }, status: elsewhere });
    world.createBackup('first');
    await world.turn();
    await world.turn();
    expect(world.backup('first')?.status).toMatchObject({ phase: 'Queued', node: 'node-1' });
    expect(stored(world.backup('first'))).toMatchObject({ reason: 'NodeBusy', message: '1 of 1 movers of node node-1 run; this starts when one has ended.' });
    expect(world.ran).toEqual([]);
    world.cluster.remove('backups', 'other', 'x');
    await world.settle();
    expect(world.backup('first')?.status).toMatchObject({ phase: 'Stored', attempt: 1 });
  });

  it('is refused as the eighth', async () => {
    const world = new MoverWorld();
    for (let i = 1; i <= 8; i++) world.createBackup(`b${i}`);
    await world.settle(200);
    expect(world.cluster.all('backups').filter(({ status }) => status?.['phase'] === 'Stored')).toHaveLength(7);
    expect(world.backup('b8')?.status?.phase).toBe('Rejected');
    expect(stored(world.backup('b8'))?.message).toMatch(/^7 of 7 backups are kept; delete one first/);
  });
});

describe('a backup that is to go', () => {
  async function storedWorld(): Promise<MoverWorld> {
    const world = new MoverWorld();
    world.createBackup('first');
    world.createBackup('second');
    await world.settle();
    world.cluster.requests.length = 0;
    return world;
  }

  it('has its snapshot forgotten first; many of a tenant share one Job', async () => {
    const world = await storedWorld();
    // The last good ones wait for a person.
    for (const name of ['first', 'second']) world.cluster.change('backups', NS, name, CONFIRMED);
    world.cluster.remove('backups', NS, 'first');
    world.cluster.remove('backups', NS, 'second');
    await world.settle();
    expect(world.cluster.all('backups')).toEqual([]);
    const forgets = world.ran.filter(({ task }) => task === 'forget');
    expect(forgets).toHaveLength(1);
    expect(forgets[0]).toMatchObject({ uids: ['uid-first', 'uid-second'], prune: true });
    expect([...world.cluster.all('jobs'), ...world.cluster.all('secrets')]).toEqual([]);
  });

  it('does not wait for one that shared its Job and went first', async () => {
    const world = await storedWorld();
    world.collectsAtOnce = true;
    for (const name of ['first', 'second']) {
      world.cluster.change('backups', NS, name, CONFIRMED);
      world.cluster.remove('backups', NS, name);
    }
    await world.settle();
    expect(world.cluster.all('backups')).toEqual([]);
    expect(world.ran.filter(({ task }) => task === 'forget')).toHaveLength(1);
  });

  it('is forgotten though the one that led their Job was let go of while that failed', async () => {
    const world = await storedWorld();
    let fails = true;
    world.script = (orders) => (orders.task === 'forget' && fails ? { exitCode: 137, reason: 'Error' } : ended(orders));
    for (const name of ['first', 'second']) {
      world.cluster.change('backups', NS, name, CONFIRMED);
      world.cluster.remove('backups', NS, name);
    }
    while (!world.ran.some(({ task }) => task === 'forget')) await world.turn();
    world.cluster.change('backups', NS, 'first', { metadata: { annotations: { 'backup.dupp.de/abandon': 'true' } } });
    await world.turn();
    fails = false;
    await world.settle();
    expect(world.cluster.all('backups')).toEqual([]);
    expect(world.ran.at(-1)).toMatchObject({ task: 'forget', uids: ['uid-second'] });
    expect([...world.cluster.all('jobs'), ...world.cluster.all('secrets')]).toEqual([]);
  });

  it('is gone, and nothing with it stays, when the operator is killed after any write', async () => {
    const calm = await storedWorld();
    const before = calm.cluster.writes;
    calm.cluster.remove('backups', NS, 'first');
    await calm.settle();
    for (let k = 1; k <= calm.cluster.writes - before; k++) {
      const world = await storedWorld();
      world.cluster.killAfter = before + k;
      world.cluster.remove('backups', NS, 'first');
      await world.settle();
      expect({
        k,
        backups: world.cluster.all('backups').length,
        jobs: world.cluster.all('jobs').length,
        secrets: world.cluster.all('secrets').length,
      }).toEqual({ k, backups: 1, jobs: 0, secrets: 0 });
    }
  });

  it('stays while it is held', async () => {
    const world = await storedWorld();
    world.cluster.change('backups', NS, 'first', { spec: { hold: true } });
    world.cluster.remove('backups', NS, 'first');
    await world.settle();
    expect(world.backup('first')?.status?.conditions?.find(({ type }) => type === 'Deleted')?.reason).toBe('Held');
    expect(world.backup('first')?.status?.phase).toBe('Stored');
    world.cluster.change('backups', NS, 'first', { spec: { hold: false } });
    await world.settle();
    expect(world.backup('first')).toBeUndefined();
  });

  it.each([false, true])('is let go without forgetting when the namespace goes, whether it is held (%s) or not', async (hold) => {
    const world = await storedWorld();
    world.cluster.change('backups', NS, 'first', { spec: { hold } });
    world.cluster.change('namespaces', undefined, NS, { metadata: { deletionTimestamp: '2030-01-01T01:00:00Z' }, status: { phase: 'Terminating' } });
    world.cluster.remove('backups', NS, 'first');
    await world.turn();
    expect(world.backup('first')).toBeUndefined();
    expect(world.ran.filter(({ task }) => task === 'forget')).toEqual([]);
  });

  it('is not let go because its namespace is not seen yet', async () => {
    const world = await storedWorld();
    world.cluster.remove('namespaces', undefined, NS);
    world.cluster.remove('backups', NS, 'first');
    await world.turn();
    expect(world.backup('first')).toBeDefined();
  });

  it('is let go without forgetting when a person says so, and says how while it cannot forget', async () => {
    const world = await storedWorld();
    world.cluster.remove('backuplocations', undefined, 'here');
    world.cluster.remove('backups', NS, 'first');
    await world.settle();
    expect(world.backup('first')?.status?.conditions?.find(({ type }) => type === 'Deleted')).toMatchObject({
      reason: 'LocationMissing',
      message: expect.stringContaining('backup.dupp.de/abandon'),
    });
    world.cluster.change('backups', NS, 'first', { metadata: { annotations: { 'backup.dupp.de/abandon': 'true' } } });
    await world.settle();
    expect(world.backup('first')).toBeUndefined();
  });

  it('is stopped when it runs, then forgotten', async () => {
    const world = new MoverWorld();
    world.script = (orders) => (orders.task === 'backup' ? 'running' : ended(orders));
    world.createBackup('first');
    await world.turn();
    await world.turn();
    world.cluster.remove('backups', NS, 'first');
    await world.settle();
    expect(world.backup('first')).toBeUndefined();
    expect(world.ran.map(({ task }) => task)).toEqual(['backup', 'forget']);
    expect(world.ran[1]).toMatchObject({ uids: ['uid-first'], snapshots: [], deadAttempts: expect.arrayContaining([world.ran[0]!.attempt.name]) });
  });

  it('is cancelled with nothing kept, also when the operator is killed after any write', async () => {
    const run = async (k: number) => {
      const world = new MoverWorld();
      world.script = (orders) => (orders.task === 'backup' ? 'running' : ended(orders));
      world.createBackup('first');
      await world.turn();
      await world.turn();
      const before = world.cluster.writes;
      world.cluster.killAfter = before + k;
      world.cluster.change('backups', NS, 'first', { spec: { cancel: true } });
      await world.settle();
      return { world, writes: world.cluster.writes - before };
    };
    const calm = await run(Infinity);
    expect(essence(calm.world, 'first')).toMatchObject({ phase: 'Cancelled', jobs: 0, secrets: 0, ran: ['backup 1', 'forget 101'] });
    for (let k = 1; k <= calm.writes; k++) {
      const { world } = await run(k);
      expect({ k, ...essence(world, 'first') }).toMatchObject({ k, phase: 'Cancelled', jobs: 0, secrets: 0 });
    }
  });
});
