import { describe, expect, it } from '@jest/globals';
import { KubeError } from '../../src/kube/index.ts';
import { DRIVER, FakeStorage } from '../support/fake-storage.ts';
import { MOVERS, MoverWorld, NS, ended, failed } from '../support/mover-world.ts';

interface Setup {
  readonly copyMethod?: string;
  readonly storage?: ConstructorParameters<typeof FakeStorage>[1];
  /** Claims of the driver, beside `data`. */
  readonly more?: readonly string[];
  /** A claim that is of no driver. */
  readonly plain?: string;
}

function setUp({ copyMethod = 'Auto', storage: options = {}, more = [], plain }: Setup = {}): { world: MoverWorld; storage: FakeStorage } {
  const world = new MoverWorld();
  world.cluster.put('namespaces', undefined, { metadata: { name: MOVERS }, status: { phase: 'Active' } });
  const storage = new FakeStorage(world.cluster, options);
  world.storage = storage;
  storage.addVolume(NS, 'data');
  for (const name of more) storage.addVolume(NS, name);
  if (plain !== undefined)
    world.cluster.put('persistentvolumeclaims', NS, { metadata: { name: plain }, spec: { volumeMode: 'Filesystem', accessModes: ['ReadWriteOnce'] }, status: { phase: 'Bound' } });
  world.cluster.change('backuppolicies', NS, 'daily', { spec: { copyMethod } });
  return { world, storage };
}

/** All that must be gone in the end. */
function leftovers({ world, storage }: { world: MoverWorld; storage: FakeStorage }) {
  const names = (kind: string) => world.cluster.all(kind).map(({ metadata }) => metadata.name);
  return {
    snapshots: names('volumesnapshots'),
    contents: names('volumesnapshotcontents'),
    groups: [...names('volumegroupsnapshots'), ...names('volumegroupsnapshotcontents')],
    labels: world.cluster.all('persistentvolumeclaims').flatMap(({ metadata }) => Object.keys(metadata.labels ?? {}).filter((label) => label.includes('group-'))),
    claims: names('persistentvolumeclaims').filter((name) => name.startsWith('tbmover-')),
    volumes: names('persistentvolumes').filter((name) => name.startsWith('pvc-')),
    jobs: names('jobs'),
    secrets: names('secrets'),
    atTheDriver: [...storage.snapshots, ...storage.volumes],
    doubleDeletions: storage.doubleDeletions,
  };
}

const NOTHING = { snapshots: [], contents: [], groups: [], labels: [], claims: [], volumes: [], jobs: [], secrets: [], atTheDriver: [], doubleDeletions: 0 };

function essence(world: MoverWorld) {
  const status = world.backup('first')?.status;
  return {
    phase: status?.phase,
    attempt: status?.attempt,
    copyMethod: status?.copyMethod,
    copies: status?.copies?.map(({ claim, method, className }) => `${claim} ${method} ${className ?? ''}`.trim()),
    movers: status?.moverNamespace,
    conditions: status?.conditions?.map(({ type, status: holds, reason }) => `${type}=${holds} ${reason}`).sort(),
    ran: world.ran.map(({ task, attempt }) => `${task} ${attempt.number}`),
  };
}

const SETUPS: readonly [string, Setup, object][] = [
  ['a snapshot', {}, { copyMethod: 'Snapshot', movers: MOVERS, copies: ['data Snapshot snap'] }],
  ['snapshots of two volumes', { more: ['logs'] }, { copyMethod: 'Snapshot', movers: MOVERS, copies: ['data Snapshot snap', 'logs Snapshot snap'] }],
  ['a group snapshot of three volumes', { more: ['logs', 'mail'], storage: { groups: true } }, { copyMethod: 'Snapshot', movers: MOVERS, conditions: expect.arrayContaining(['SameInstant=True GroupSnapshot']) }],
  ['a group snapshot whose classes retain', { more: ['logs'], storage: { groups: true, deletionPolicy: 'Retain', reclaimPolicy: 'Retain' } }, { copyMethod: 'Snapshot', movers: MOVERS }],
  ['a class that retains snapshots', { storage: { deletionPolicy: 'Retain' } }, { copyMethod: 'Snapshot', movers: MOVERS }],
  ['a StorageClass that retains volumes', { storage: { reclaimPolicy: 'Retain' } }, { copyMethod: 'Snapshot', movers: MOVERS }],
  ['volumes that wait for their pod', { storage: { bindingMode: 'WaitForFirstConsumer' } }, { copyMethod: 'Snapshot', movers: MOVERS }],
  ['a clone', { copyMethod: 'Clone' }, { copyMethod: 'Clone', movers: undefined, copies: ['data Clone fast'] }],
  ['clones that wait for their pod and are retained', { copyMethod: 'Clone', more: ['logs'], storage: { bindingMode: 'WaitForFirstConsumer', reclaimPolicy: 'Retain' } }, { copyMethod: 'Clone' }],
  ['a snapshot beside a volume that is read live', { plain: 'files' }, { copyMethod: 'Mixed', movers: undefined, copies: ['data Snapshot snap', 'files Direct'] }],
];

describe('a backup by way of copies', () => {
  it.each(SETUPS)('of %s is stored and leaves nothing, also when the operator is killed after any write', async (_what, setup, expected) => {
    const run = async (killAfter: number) => {
      const made = setUp(setup);
      made.world.cluster.killAfter = made.world.cluster.writes + killAfter;
      made.world.createBackup('first');
      await made.world.settle();
      return made;
    };
    const calm = await run(Infinity);
    expect(essence(calm.world)).toMatchObject({ phase: 'Stored', attempt: 1, ran: ['backup 1'], ...expected });
    expect(leftovers(calm)).toEqual(NOTHING);
    expect(calm.world.cluster.requests.length).toBeLessThanOrEqual(setup.more === undefined ? 30 : 60);
    expect(calm.world.cluster.writes).toBeGreaterThan(10);
    for (let k = 1; k <= calm.world.cluster.writes; k++) {
      const killed = await run(k);
      expect({ k, ...essence(killed.world), ...leftovers(killed) }).toEqual({ k, ...essence(calm.world), ...NOTHING });
    }
  }, 60_000);

  it('mounts the copy, in the namespace of movers, without an owner there', async () => {
    const { world } = setUp();
    world.script = () => 'running';
    world.createBackup('first');
    for (let turn = 0; turn < 8; turn++) await world.turn();
    const [job] = world.cluster.all('jobs');
    expect(job?.metadata).toMatchObject({ namespace: MOVERS, ownerReferences: [], labels: { 'backup.dupp.de/namespace': NS } });
    const spec = (job?.spec?.['template'] as { spec: { volumes: unknown[]; affinity?: unknown; containers: { volumeMounts: unknown[] }[] } }).spec;
    const [claim] = world.cluster.all('persistentvolumeclaims').filter(({ metadata }) => metadata.namespace === MOVERS);
    expect(spec.volumes).toContainEqual({ name: 'volume-0', persistentVolumeClaim: { claimName: claim?.metadata.name } });
    expect(spec.containers[0]?.volumeMounts).toContainEqual({ name: 'volume-0', mountPath: '/volumes/data', readOnly: true });
    expect(spec.affinity).toBeUndefined();
    expect(world.backup('first')?.status?.phase).toBe('Transferring');
  });

  it('is made again from the same snapshot after a failure that may pass', async () => {
    const made = setUp();
    const cuts = new Set<string>();
    made.world.script = (orders) => {
      for (const snapshot of made.storage.snapshots) cuts.add(snapshot);
      return orders.attempt.number === 1 ? failed(orders, 'Unavailable', 'The bucket did not answer.', true) : ended(orders);
    };
    made.world.createBackup('first');
    await made.world.settle();
    expect(essence(made.world)).toMatchObject({ phase: 'Stored', attempt: 2, ran: ['backup 1', 'backup 2'] });
    expect(cuts.size).toBe(1);
    expect(leftovers(made)).toEqual(NOTHING);
  });

  it('that fails for good leaves nothing either', async () => {
    const made = setUp({ more: ['logs'], storage: { deletionPolicy: 'Retain', reclaimPolicy: 'Retain' } });
    made.world.script = (orders) => failed(orders, 'KeyDisabled', 'The key is disabled.', false);
    made.world.createBackup('first');
    await made.world.settle();
    expect(essence(made.world)).toMatchObject({ phase: 'Failed' });
    expect(leftovers(made)).toEqual(NOTHING);
  });

  it('says what the driver says while it cannot cut the snapshot, and gives up in the end', async () => {
    const made = setUp();
    made.storage.error = 'pool is full';
    made.world.createBackup('first');
    for (let turn = 0; turn < 5; turn++) await made.world.turn();
    const stored = () => made.world.backup('first')?.status?.conditions?.find(({ type }) => type === 'Stored');
    expect(made.world.backup('first')?.status?.phase).toBe('Snapshotting');
    expect(stored()).toMatchObject({ reason: 'SnapshotFailing', message: 'The snapshot of data is not cut yet: pool is full' });
    made.world.cluster.now += 11 * 60_000;
    await made.world.settle();
    expect(made.world.backup('first')?.status?.phase).toBe('Failed');
    expect(stored()).toMatchObject({ reason: 'SnapshotDeadline', message: expect.stringContaining('pool is full') });
    expect(leftovers(made)).toEqual(NOTHING);
  });

  it('goes on when what the driver said has passed', async () => {
    const made = setUp();
    made.storage.error = 'pool is full';
    made.world.createBackup('first');
    for (let turn = 0; turn < 5; turn++) await made.world.turn();
    made.storage.error = undefined;
    await made.world.settle();
    expect(essence(made.world)).toMatchObject({ phase: 'Stored', attempt: 1 });
    expect(leftovers(made)).toEqual(NOTHING);
  });

  it('keeps to what was chosen when another class becomes the default meanwhile', async () => {
    const made = setUp();
    made.world.script = (orders) => (orders.attempt.number === 1 ? failed(orders, 'Unavailable', 'The bucket did not answer.', true) : ended(orders));
    made.world.createBackup('first');
    for (let turn = 0; turn < 9 && made.world.backup('first')?.status?.phase !== 'Queued'; turn++) await made.world.turn();
    made.world.cluster.put('volumesnapshotclasses', undefined, {
      metadata: { name: 'other', annotations: { 'snapshot.storage.kubernetes.io/is-default-class': 'true' } },
      driver: DRIVER,
    } as never);
    await made.world.settle();
    expect(essence(made.world)).toMatchObject({ phase: 'Stored', attempt: 2, copies: ['data Snapshot snap'] });
  });

  it('makes nothing twice when the caches are behind what was just made', async () => {
    const made = setUp({ more: ['logs'] });
    made.world.blindToCopies = true;
    made.world.createBackup('first');
    for (let turn = 0; turn < 3; turn++) await made.world.turn();
    expect(made.world.backup('first')?.status?.conditions?.find(({ type }) => type === 'Stored')?.reason).toBe('Snapshotting');
    made.world.blindToCopies = false;
    await made.world.settle();
    expect(essence(made.world)).toMatchObject({ phase: 'Stored', attempt: 1 });
    expect(leftovers(made)).toEqual(NOTHING);
  });

  it('takes no other snapshot when its own was deleted by somebody', async () => {
    const made = setUp();
    made.world.createBackup('first');
    for (let turn = 0; turn < 3; turn++) await made.world.turn();
    const snapshot = made.world.cluster.all('volumesnapshots').find(({ metadata }) => metadata.namespace === NS);
    made.world.cluster.remove('volumesnapshots', NS, snapshot?.metadata.name ?? '');
    await made.world.settle();
    expect(essence(made.world)).toMatchObject({ phase: 'Failed' });
    expect(made.world.backup('first')?.status?.conditions?.find(({ type }) => type === 'Stored')?.reason).toBe('SnapshotLost');
    expect(leftovers(made)).toEqual(NOTHING);
  });

  it('refuses another\'s snapshot of its name', async () => {
    const made = setUp();
    made.world.createBackup('first');
    const probe = setUp();
    probe.world.createBackup('first');
    for (let turn = 0; turn < 3; turn++) await probe.world.turn();
    const name = probe.world.cluster.all('volumesnapshots')[0]?.metadata.name ?? '';
    made.world.cluster.put('volumesnapshots', NS, { metadata: { name }, spec: { source: { persistentVolumeClaimName: 'other' } } });
    for (let turn = 0; turn < 4; turn++) await made.world.turn();
    expect(made.world.backup('first')?.status?.conditions?.find(({ type }) => type === 'Stored')?.reason).toBe('NameTaken');
    made.world.cluster.now += 11 * 60_000;
    await made.world.settle();
    expect(made.world.backup('first')?.status?.phase).toBe('Failed');
    // It is not ours to delete.
    expect(leftovers(made).snapshots).toEqual([name]);
  });
});

describe('hooks around copies', () => {
  const HOOKS = {
    pre: [{ name: 'freeze', command: ['freeze'], allPods: false, timeout: '1m', onError: 'Fail' }],
    post: [{ name: 'thaw', command: ['thaw'], allPods: false, timeout: '1m', onError: 'Fail' }],
  };

  /** What had been executed when a snapshot was first seen at the driver, and when the mover ran. */
  function watched(setup: Setup) {
    const made = setUp(setup);
    const { world, storage } = made;
    world.cluster.change('backuppolicies', NS, 'daily', { spec: { hooks: HOOKS } });
    const seen: { cut?: readonly string[]; moved?: readonly string[] } = {};
    const turn = storage.turn.bind(storage);
    storage.turn = () => {
      turn();
      if (storage.snapshots.size > 0) seen.cut ??= [...world.executed];
    };
    world.script = (orders) => {
      if (orders.task === 'backup') seen.moved ??= [...world.executed];
      return ended(orders);
    };
    return { ...made, seen };
  }

  it.each([false, true])('hold the workload for the cut only (as a group: %s), killed anywhere', async (groups) => {
    const run = async (killAfter: number) => {
      const made = watched({ more: ['logs'], storage: { groups } });
      made.world.cluster.killAfter = made.world.cluster.writes + killAfter;
      made.world.createBackup('first');
      await made.world.settle();
      return made;
    };
    const calm = await run(Infinity);
    expect(calm.seen).toEqual({ cut: ['app-0 db: freeze'], moved: ['app-0 db: freeze', 'app-0 db: thaw'] });
    for (let k = 1; k <= calm.world.cluster.writes; k++) {
      const made = await run(k);
      expect({ k, phase: made.world.backup('first')?.status?.phase, ...leftovers(made) }).toEqual({ k, phase: 'Stored', ...NOTHING });
      expect(made.seen.cut?.at(-1)).toBe('app-0 db: freeze');
      expect(made.seen.moved?.at(-1)).toBe('app-0 db: thaw');
    }
  }, 60_000);

  it('that had to let go before every volume was cut begin with a cut of all', async () => {
    const made = watched({ more: ['logs'] });
    const { world, storage } = made;
    const request = world.cluster.request.bind(world.cluster);
    let refusals = 1;
    world.cluster.request = (method, path, options) => {
      const { metadata } = (options?.body ?? {}) as { metadata?: { name?: string } };
      if (method === 'POST' && path.endsWith('/volumesnapshots') && metadata?.name?.includes('-v1') === true && refusals-- > 0)
        return Promise.reject(new KubeError('Forbidden', 'exceeded quota: snapshots', { status: 403 }));
      return request(method, path, options);
    };
    world.createBackup('first');
    await world.settle();
    expect(world.executed).toEqual(['app-0 db: freeze', 'app-0 db: thaw', 'app-0 db: freeze', 'app-0 db: thaw']);
    expect(world.backup('first')?.status).toMatchObject({ phase: 'Stored', cutsAbandoned: 1 });
    // The first cut of data is not what the backup was read from.
    expect(storage.restored).toHaveLength(2);
    for (const handle of storage.restored) expect(handle).toMatch(/-v[01]-1-/);
    expect(leftovers(made)).toEqual(NOTHING);
  });
});

describe('what a customer deletes meanwhile', () => {
  const KINDS = ['volumesnapshots', 'volumesnapshotcontents', 'volumegroupsnapshots', 'volumegroupsnapshotcontents', 'persistentvolumeclaims'];
  it.each(KINDS.flatMap((kind) => ['one by one', 'as a group'].map((cutting) => [kind, cutting] as const)))('of %s, cut %s, ends the backup, and nothing is left', async (kind, cutting) => {
    for (let moment = 2; moment <= 12; moment++) {
      const made = setUp({ more: ['logs'], storage: { groups: cutting === 'as a group', deletionPolicy: 'Retain', reclaimPolicy: 'Retain' } });
      made.world.createBackup('first');
      for (let turn = 0; turn < moment; turn++) await made.world.turn();
      for (const { metadata } of made.world.cluster.all(kind)) if (kind !== 'persistentvolumeclaims' || metadata.name.startsWith('tbmover-')) made.world.cluster.remove(kind, metadata.namespace, metadata.name);
      made.world.cluster.now += 60_000;
      await made.world.settle(120);
      made.world.cluster.now += 5 * 3_600_000;
      await made.world.settle(120);
      expect(['Stored', 'Failed']).toContain(made.world.backup('first')?.status?.phase);
      expect({ moment, ...leftovers(made) }).toEqual({ moment, ...NOTHING });
    }
  }, 60_000);
});

describe('the sweeper', () => {
  it('leaves alone what is for a Backup that its cache does not show yet', async () => {
    const { world } = setUp();
    world.createBackup('first');
    for (let turn = 0; turn < 3; turn++) await world.turn();
    const count = () => world.cluster.all('volumesnapshots').length;
    expect(count()).toBeGreaterThan(0);
    world.blindToBackups = true;
    const before = count();
    await world.turn();
    expect(count()).toBe(before);
    world.cluster.change('backups', NS, 'first', { metadata: { finalizers: null } });
    world.cluster.remove('backups', NS, 'first');
    await world.settle();
    expect(count()).toBe(0);
  });
});

describe('a backup by way of copies that is stopped', () => {
  const stops: readonly [string, (made: { world: MoverWorld }) => void][] = [
    ['cancelled', ({ world }) => world.cluster.change('backups', NS, 'first', { spec: { cancel: true } })],
    ['deleted', ({ world }) => world.cluster.remove('backups', NS, 'first')],
    ['deleted and let go', ({ world }) => {
      world.cluster.change('backups', NS, 'first', { metadata: { annotations: { 'backup.dupp.de/abandon': 'true' } } });
      world.cluster.remove('backups', NS, 'first');
    }],
    ['gone without a trace', ({ world }) => {
      world.cluster.change('backups', NS, 'first', { metadata: { finalizers: null } });
      world.cluster.remove('backups', NS, 'first');
    }],
  ];

  const ways = stops.flatMap(([how, stop]) => ['one by one', 'as a group'].flatMap((cutting) => ['Delete', 'Retain'].map((policy) => [how, cutting, policy, stop] as const)));
  it.each(ways)('by being %s, cut %s, with classes that say %s, leaves nothing, at whatever moment', async (_how, cutting, policy, stop) => {
    for (let moment = 1; moment <= 12; moment++) {
      const made = setUp({ more: ['logs'], storage: { groups: cutting === 'as a group', deletionPolicy: policy, reclaimPolicy: policy } });
      made.world.script = (orders) => (orders.task === 'backup' ? 'running' : ended(orders));
      made.world.createBackup('first');
      for (let turn = 0; turn < moment; turn++) await made.world.turn();
      stop(made);
      await made.world.settle();
      expect(['Cancelled', undefined]).toContain(made.world.backup('first')?.status?.phase);
      expect({ moment, ...leftovers(made) }).toEqual({ moment, ...NOTHING });
    }
  }, 60_000);

  it.each([false, true])('leaves nothing when the operator is killed after any write of the clean-up (of a group: %s)', async (groups) => {
    const run = async (killAfter: number) => {
      const made = setUp({ ...(groups ? { more: ['logs'] } : {}), storage: { groups, deletionPolicy: 'Retain', reclaimPolicy: 'Retain' } });
      made.world.script = (orders) => (orders.task === 'backup' ? 'running' : ended(orders));
      made.world.createBackup('first');
      for (let turn = 0; turn < 12; turn++) await made.world.turn();
      const before = made.world.cluster.writes;
      made.world.cluster.killAfter = before + killAfter;
      made.world.cluster.change('backups', NS, 'first', { metadata: { finalizers: null } });
      made.world.cluster.remove('backups', NS, 'first');
      await made.world.settle();
      return { made, writes: made.world.cluster.writes - before };
    };
    const { made, writes } = await run(Infinity);
    expect(leftovers(made)).toEqual(NOTHING);
    expect(writes).toBeGreaterThanOrEqual(8);
    for (let k = 1; k <= writes; k++) expect({ k, ...leftovers((await run(k)).made) }).toEqual({ k, ...NOTHING });
  });
});
