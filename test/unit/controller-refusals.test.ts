// The API server says no once, or its answer is lost: whatever was asked, the end is the one of an undisturbed run.
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { KubeError, isKubeError, type Method } from '../../src/kube/index.ts';
import { Killed } from '../support/fake-cluster.ts';
import { FakeStorage } from '../support/fake-storage.ts';
import { MOVERS, MoverWorld, NS } from '../support/mover-world.ts';

/** What becomes of one request. */
interface Fault {
  readonly what: string;
  readonly error: KubeError | Killed;
  /** Whether what was asked for was done all the same. */
  readonly isDone: boolean;
  readonly fits: (method: Method) => boolean;
}

const isWrite = (method: Method): boolean => method !== 'GET';
const FAULTS: readonly Fault[] = [
  { what: 'unavailable', error: new KubeError('Unavailable', 'etcdserver: leader changed', { status: 500 }), isDone: false, fits: () => true },
  { what: 'too many', error: new KubeError('TooManyRequests', 'too many requests, please try again later', { status: 429 }), isDone: false, fits: isWrite },
  { what: 'a conflict', error: new KubeError('Conflict', 'the object has been modified', { status: 409 }), isDone: false, fits: (method) => method === 'PATCH' },
  { what: 'the end of the operator', error: new Killed('killed after the write'), isDone: true, fits: isWrite },
  { what: 'an answer that is lost', error: new KubeError('Unavailable', 'socket hang up'), isDone: true, fits: isWrite },
];

/** From now on, requests meet the faults that are chosen for them. */
function disturb(world: MoverWorld, choose: (method: Method) => Fault | undefined): void {
  const { cluster } = world;
  const request = cluster.request.bind(cluster);
  world.tolerates = (thrown) => isKubeError(thrown, 'Conflict') || (thrown instanceof KubeError && FAULTS.some(({ error }) => error === thrown));
  cluster.request = async <T>(...[method, path, options]: Parameters<typeof request>): Promise<T> => {
    const fault = choose(method);
    if (fault === undefined) return request<T>(method, path, options);
    if (fault.isDone) await request<T>(method, path, options).catch(() => undefined);
    throw fault.error;
  };
}

function left(world: MoverWorld, storage: FakeStorage | undefined) {
  const names = (kind: string) => world.cluster.all(kind).map(({ metadata }) => metadata.name);
  return {
    objects: ['jobs', 'secrets', 'volumesnapshots', 'volumesnapshotcontents', 'volumegroupsnapshots', 'volumegroupsnapshotcontents'].flatMap((kind) => names(kind).map((name) => `${kind} ${name}`)),
    copies: [...names('persistentvolumeclaims'), ...names('persistentvolumes')].filter((name) => name.startsWith('tbmover-') || name.startsWith('pvc-')),
    labels: world.cluster.all('persistentvolumeclaims').flatMap(({ metadata }) => Object.keys(metadata.labels ?? {}).filter((label) => label.includes('group-'))),
    atTheDriver: [...(storage?.snapshots ?? []), ...(storage?.volumes ?? [])],
    claims: names('persistentvolumeclaims'),
    replicas: world.cluster.find('statefulsets', NS, 'app')?.spec?.['replicas'],
  };
}

function essence(world: MoverWorld) {
  const statuses = [...world.cluster.all('backups'), ...world.cluster.all('restores')].map(({ status }) => {
    const conditions = status?.['conditions'] as { type: string; status: string; reason: string }[] | undefined;
    return { phase: status?.['phase'], attempt: status?.['attempt'], conditions: conditions?.map(({ type, status: holds, reason }) => `${type}=${holds} ${reason}`).sort() };
  });
  return { statuses, ran: world.ran.map(({ task, attempt }) => `${task} ${attempt.number}`), recorded: world.recorded.map(({ action }) => action) };
}

type Deed = (world: MoverWorld) => Promise<void>;

const backUp: Deed = async (world) => {
  world.createBackup('first');
  await world.settle();
};

const restore: Deed = async (world) => {
  world.createRestore('back', 'first');
  await world.settle();
};

const forget: Deed = async (world) => {
  world.cluster.change('backups', NS, 'first', { metadata: { annotations: { 'backup.dupp.de/confirm-deletion': 'true' } } });
  world.cluster.remove('backups', NS, 'first');
  await world.settle();
};

const restoreIntoNew: Deed = async (world) => {
  world.cluster.change('persistentvolumeclaims', NS, 'data', { spec: { storageClassName: 'fast', resources: { requests: { storage: '20Gi' } } }, status: { capacity: { storage: '20Gi' } } });
  world.createRestore('back', 'first', { target: { type: 'NewVolume' } });
  await world.settle();
};

/** While its mover runs, or before that. */
const cancelled =
  (begin: (world: MoverWorld) => void, collection: string, name: string): Deed =>
  async (world) => {
    const { script } = world;
    world.script = (orders) => (orders.task === 'backup' || orders.task === 'restore' ? 'running' : script(orders));
    begin(world);
    for (let turn = 0; turn < 8; turn++) await world.turn();
    world.cluster.change(collection, NS, name, { spec: { cancel: true } });
    await world.settle();
  };

/** How far something came that was cancelled is chance; how it ends is not. */
type Row = readonly [what: string, copyMethod: string, before: readonly Deed[], deed: Deed, ends?: 'anywhere'];

const ROWS: readonly Row[] = [
  ['a backup of a live volume', 'Direct', [], backUp],
  ['a backup of a group of snapshots', 'Snapshot', [], backUp],
  ['a backup of clones', 'Clone', [], backUp],
  ['a restore in place', 'Direct', [backUp], restore],
  ['a restore into new volumes', 'Direct', [backUp], restoreIntoNew],
  ['a deletion', 'Direct', [backUp], forget],
  ['a cancelled backup', 'Snapshot', [], cancelled((world) => { world.createBackup('first'); }, 'backups', 'first'), 'anywhere'],
  ['a cancelled backup of a live volume', 'Direct', [], cancelled((world) => { world.createBackup('first'); }, 'backups', 'first'), 'anywhere'],
  ['a cancelled restore into new volumes', 'Direct', [backUp], cancelled((world) => { world.createRestore('back', 'first', { target: { type: 'NewVolume' } }); }, 'restores', 'back'), 'anywhere'],
  ['a cancelled restore', 'Direct', [backUp], cancelled((world) => { world.createRestore('back', 'first', { safetyBackup: 'Skip' }); }, 'restores', 'back'), 'anywhere'],
];

/** What controllers see through watches. */
const WATCHED = ['backups', 'restores', 'backuppolicies', 'jobs', 'pods', 'secrets', 'volumesnapshots', 'volumesnapshotcontents', 'volumegroupsnapshots', 'volumegroupsnapshotcontents', 'persistentvolumeclaims', 'persistentvolumes'];

async function run([, copyMethod, before, deed, ends]: Row, choose: (method: Method) => Fault | undefined, beforeLook: (world: MoverWorld) => void = () => undefined) {
  const world = new MoverWorld();
  world.cluster.put('namespaces', undefined, { metadata: { name: MOVERS }, status: { phase: 'Active' } });
  const storage = copyMethod === 'Direct' ? undefined : new FakeStorage(world.cluster, { groups: true, clones: copyMethod === 'Clone' });
  world.storage = storage;
  storage?.addVolume(NS, 'data');
  storage?.addVolume(NS, 'logs');
  world.cluster.change('backuppolicies', NS, 'daily', { spec: { copyMethod } });
  await world.turn();
  for (const each of before) await each(world);
  disturb(world, choose);
  world.beforeLook = () => {
    beforeLook(world);
  };
  await deed(world);
  // A row of refusals, and what is not told of, look like a world in which all is done.
  [world.tolerates, world.beforeLook] = [() => false, () => undefined];
  Reflect.deleteProperty(world.cluster, 'request');
  for (const collection of WATCHED) world.cluster.catchUp(collection);
  await world.settle();
  const { statuses, ...way } = essence(world);
  const end = { statuses: statuses.map(({ phase, ...rest }) => (ends === 'anywhere' ? { phase } : { phase, ...rest })), ...left(world, storage) };
  return ends === 'anywhere' ? end : { ...way, ...end };
}

describe('an API server that does not do as it is asked', () => {
  it.each(ROWS.flatMap((row) => FAULTS.map((fault) => [fault.what, row[0], fault, row] as const)))('once (%s, in %s) changes nothing in the end', async (_what, _deed, fault, row) => {
    const disturbed = async (at: number) => {
      let count = 0;
      const end = await run(row, (method) => (fault.fits(method) && ++count === at ? fault : undefined));
      return { count, end };
    };
    const calm = await disturbed(Infinity);
    expect(calm.count).toBeGreaterThan(2);
    expect(calm.end).toMatchObject({ objects: [], copies: [], labels: [], atTheDriver: [], replicas: 2 });
    for (let at = 1; at <= calm.count; at++) expect({ at, ...(await disturbed(at)).end }).toEqual({ at, ...calm.end });
  }, 120_000);

  it.each(ROWS)('again and again, and tells late of what is, in %s, changes nothing in the end', async (...row) => {
    const calm = await run(row, () => undefined);
    await fc.assert(
      fc.asyncProperty(fc.infiniteStream(fc.nat(41)), async (numbers) => {
        const choices = numbers[Symbol.iterator]();
        const choose = (method: Method): Fault | undefined => {
          const fault = FAULTS[choices.next().value as number];
          return fault?.fits(method) === true ? fault : undefined;
        };
        const end = await run(row, choose, ({ cluster }) => {
          for (const collection of WATCHED) {
            const choice = choices.next().value as number;
            if (choice % 6 === 0) cluster.catchUp(collection);
            else if (choice % 6 === 1) cluster.fallBehind(collection);
          }
        });
        expect(end).toEqual(calm);
      }),
      { numRuns: Number(process.env['RUNS'] ?? 60) },
    );
  }, 120_000);
});
