import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { Backup } from '../../src/api/index.ts';
import { deletionBreaker, deletionKeys } from '../../src/decide/deletion-breaker.ts';
import { isGood } from '../../src/decide/good.ts';
import { MoverWorld, NS, ended } from '../support/mover-world.ts';

const NOW = Date.parse('2026-03-20T10:00:00Z');

interface Shape {
  policy?: string;
  deleting?: boolean;
  complete?: boolean;
  confirmed?: boolean;
  hold?: boolean;
  attempt?: number;
  expired?: boolean;
  stoppedBefore?: boolean;
  rotated?: boolean;
}

function backup(n: number, shape: Shape = {}): Backup {
  const { policy = 'daily', deleting = true, complete = true, confirmed = false, hold = false, attempt = 1, expired = false, stoppedBefore = false, rotated = false } = shape;
  const conditions = [
    { type: 'Complete', status: complete ? 'True' : 'False' },
    ...(stoppedBefore ? [{ type: 'Deleted', status: 'False', reason: 'MassDeletion' }] : []),
  ];
  return {
    metadata: {
      name: `b${n}`,
      namespace: 'n',
      uid: `u${n}`,
      annotations: { ...(confirmed ? { 'backup.dupp.de/confirm-deletion': 'true' } : {}), ...(rotated ? { 'backup.dupp.de/rotated-at': '2026-03-20T02:00:00Z' } : {}) },
      ...(deleting ? { deletionTimestamp: '2026-03-20T09:59:59Z' } : {}),
    },
    spec: { policy, hold },
    status: {
      phase: 'Stored',
      snapshotId: 'ab'.repeat(32),
      attempt,
      completedAt: new Date(NOW - 86_400_000 + n * 1000).toISOString(),
      conditions,
      ...(expired ? { expiresAt: '2026-03-20T09:59:58Z' } : {}),
    },
  } as unknown as Backup;
}

/** The deletions that wait, by UID, with how often a backup was looked at. */
function heldDeletions(backups: readonly Backup[], { covered = [], confirmFrom = 5 }: { readonly covered?: readonly string[]; readonly confirmFrom?: number } = {}) {
  let looks = 0;
  const index = new Map<string, Backup[]>();
  for (const each of backups) for (const key of [...deletionKeys(each), `of ${each.spec.policy}`]) index.set(key, [...(index.get(key) ?? []), each]);
  const find = (key: string): readonly Backup[] => {
    const found = index.get(key) ?? [];
    looks += found.length;
    return found;
  };
  const why = deletionBreaker({ countOf: (key) => index.get(key)?.length ?? 0, find, ofPolicy: (policy) => find(`of ${policy}`), covered: new Set(covered), confirmFrom }, NOW);
  const held = new Map(backups.flatMap((each) => (why(each) === undefined ? [] : [[each.metadata.uid, why(each)] as const])));
  return { held, looks };
}

const held = (backups: readonly Backup[], covered: readonly string[] = []) => Object.fromEntries([...heldDeletions(backups, { covered }).held].map(([uid, why]) => [uid, why?.reason]));
const others = (count: number, shape: Shape = {}) => Array.from({ length: count }, (_, i) => backup(i + 1, shape));
const kept = backup(99, { deleting: false });

describe('the breaker', () => {
  it.each<[string, Backup[], Record<string, string>]>([
    ['lets one of several go', [backup(1), kept], {}],
    ['stops the last good one', [backup(1)], { u1: 'LastGoodBackup' }],
    ['stops it though bad ones stay', [backup(1), backup(2, { deleting: false, complete: false })], { u1: 'LastGoodBackup' }],
    ['stops it though another policy has good ones', [backup(1), backup(2, { deleting: false, policy: 'other' })], { u1: 'LastGoodBackup' }],
    ['lets bad ones go', [backup(1, { complete: false })], {}],
    ['stops it though a safety backup stays', [backup(1), { ...kept, spec: { policy: 'daily', trigger: 'Safety', hold: false } } as Backup], { u1: 'LastGoodBackup' }],
    ['of several that go together keeps the newest', [backup(1), backup(3), backup(2)], { u3: 'LastGoodBackup' }],
    ['once that is confirmed keeps the next', [backup(1), backup(2), backup(3, { confirmed: true })], { u2: 'LastGoodBackup' }],
    ['lets four go at once', [...others(4), kept], {}],
    ['stops five', [...others(5), kept], { u1: 'MassDeletion', u2: 'MassDeletion', u3: 'MassDeletion', u4: 'MassDeletion', u5: 'MassDeletion' }],
    ['counts what a spec holds anyway not at all', [...others(4), backup(5, { hold: true }), kept], {}],
    ['counts what was confirmed not at all', [...others(4), backup(5, { confirmed: true }), kept], {}],
    ['counts what goes because its time is over not at all', [...others(6, { expired: true }), kept], {}],
    ['counts what rotated out not at all, but keeps the last good one of it', [...others(6, { rotated: true })], { u6: 'LastGoodBackup' }],
    ['once stopped stays so, though fewer are left', [...others(2, { stoppedBefore: true }), kept], { u1: 'MassDeletion', u2: 'MassDeletion' }],
    ['counts one that is being forgotten, and does not call it back', [...others(4), backup(5, { attempt: 101 }), kept], { u1: 'MassDeletion', u2: 'MassDeletion', u3: 'MassDeletion', u4: 'MassDeletion' }],
  ])('%s', (_, backups, expected) => {
    expect(held(backups)).toEqual(expected);
  });

  it('does not call back what a running Job forgets', () => {
    expect(held([...others(5), kept], ['u1', 'u2'])).toEqual({ u3: 'MassDeletion', u4: 'MassDeletion', u5: 'MassDeletion' });
    expect(held([backup(1)], ['u1'])).toEqual({});
  });

  it.each([
    ['of one policy', (n: number) => backup(n)],
    ['of as many policies', (n: number) => backup(n, { policy: `p${n}` })],
    ['that go by themselves tomorrow', (n: number) => ({ ...backup(n), status: { ...backup(n).status, expiresAt: new Date(NOW + 86_400_000).toISOString() } })],
  ])('looks at each backup twice at the most, of thousands %s that are deleted together', (_, make) => {
    const all = Array.from({ length: 3000 }, (__, n) => make(n));
    const { held: stopped, looks } = heldDeletions(all);
    expect(stopped.size).toBe(3000);
    expect(looks).toBeLessThanOrEqual(2 * 3000);
  });

  it('says what to type', () => {
    expect(heldDeletions([backup(1)]).held.get('u1')?.message).toContain('kubectl annotate backups.backup.dupp.de b1 -n n backup.dupp.de/confirm-deletion=true');
  });

  it('leaves every policy that has a good backup with one, unless a person confirmed, whatever is deleted', () => {
    const shape = fc.record({ policy: fc.constantFrom('a', 'b'), deleting: fc.boolean(), complete: fc.boolean(), hold: fc.boolean(), stoppedBefore: fc.boolean() });
    fc.assert(
      fc.property(fc.array(shape, { maxLength: 12 }), fc.integer({ min: 1, max: 8 }), (shapes, confirmFrom) => {
        const all = shapes.map((each, i) => backup(i, each));
        const stopped = heldDeletions(all, { confirmFrom }).held;
        const stays = all.filter(({ metadata, spec }) => metadata.deletionTimestamp === undefined || spec.hold || stopped.has(metadata.uid));
        for (const policy of ['a', 'b']) {
          const good = (each: Backup) => each.spec.policy === policy && isGood(each);
          if (all.some(good)) expect(stays.some(good)).toBe(true);
        }
        expect(all.length - stays.length).toBeLessThan(Math.max(confirmFrom, 1));
      }),
    );
  });
});

describe('backups that are deleted on a cluster', () => {
  const CONFIRMED = { metadata: { annotations: { 'backup.dupp.de/confirm-deletion': 'true' } } };
  const reasonOf = (world: MoverWorld, name: string) => world.backup(name)?.status?.conditions?.find(({ type }) => type === 'Deleted')?.reason;

  async function worldOf(names: readonly string[]): Promise<MoverWorld> {
    const world = new MoverWorld();
    for (const name of names) world.createBackup(name);
    await world.settle(120);
    return world;
  }

  it('all at once stay whole until each is confirmed, and the last good one longest', async () => {
    const names = ['a', 'b', 'c', 'd', 'e', 'f'];
    const world = await worldOf(names);
    for (const name of names) world.cluster.remove('backups', NS, name);
    await world.settle();
    const reasons = names.map((name) => reasonOf(world, name));
    expect(reasons.filter((reason) => reason === 'MassDeletion')).toHaveLength(5);
    expect(reasons.filter((reason) => reason === 'LastGoodBackup')).toHaveLength(1);
    expect(names.map((name) => world.backup(name)?.status?.phase)).toEqual(names.map(() => 'Stored'));
    expect(world.ran.filter(({ task }) => task === 'forget')).toEqual([]);
    expect(world.events.filter(({ type, reason }) => type === 'Warning' && reason === 'MassDeletion')).toHaveLength(5);

    const last = names[reasons.indexOf('LastGoodBackup')] ?? '';
    const [first, ...rest] = names.filter((name) => name !== last);
    world.cluster.change('backups', NS, first ?? '', CONFIRMED);
    await world.settle();
    expect(world.cluster.all('backups')).toHaveLength(5);
    for (const name of rest) world.cluster.change('backups', NS, name, CONFIRMED);
    await world.settle();
    expect(world.cluster.all('backups').map(({ metadata }) => metadata.name)).toEqual([last]);
    world.cluster.change('backups', NS, last, CONFIRMED);
    await world.settle();
    expect(world.cluster.all('backups')).toEqual([]);
  });

  it('wait for each other, or for a Job that forgets others, no longer than half a minute without a look', async () => {
    const world = await worldOf(['a', 'b', 'c']);
    world.script = () => 'running';
    for (const name of ['a', 'b', 'c']) world.cluster.change('backups', NS, name, CONFIRMED);
    world.cluster.remove('backups', NS, 'a');
    await world.turn();
    await world.turn();
    for (const name of ['b', 'c']) world.cluster.remove('backups', NS, name);
    await world.turn();
    expect(['a', 'b', 'c'].map((name) => world.looksAgain.get(name))).toEqual([30_000, 30_000, 30_000]);
    expect(world.backup('b')?.status?.conditions?.find(({ type }) => type === 'Deleted')?.message).toContain('Another deletion of this namespace runs');
  });

  it('by mistake can be restored while they wait', async () => {
    const world = await worldOf(['only']);
    world.cluster.remove('backups', NS, 'only');
    await world.settle();
    world.createRestore('back', 'only');
    await world.settle();
    expect(reasonOf(world, 'only')).toBe('LastGoodBackup');
    expect(world.restore('back')?.status?.phase).toBe('Succeeded');
  });

  it('go with their namespace, unasked, for the stored data stays', async () => {
    const world = await worldOf(['only']);
    world.cluster.change('namespaces', undefined, NS, { metadata: { deletionTimestamp: '2030-01-01T01:00:00Z' }, status: { phase: 'Terminating' } });
    world.cluster.remove('backups', NS, 'only');
    await world.settle();
    expect(world.backup('only')).toBeUndefined();
    expect(world.ran.filter(({ task }) => task === 'forget')).toEqual([]);
  });

  it('after their policy are forgotten all the same', async () => {
    const world = await worldOf(['a', 'b']);
    world.cluster.remove('backuppolicies', NS, 'daily');
    for (const name of ['a', 'b']) {
      world.cluster.change('backups', NS, name, CONFIRMED);
      world.cluster.remove('backups', NS, name);
    }
    await world.settle();
    expect(world.cluster.all('backups')).toEqual([]);
    expect(world.ran.filter(({ task }) => task === 'forget')).toHaveLength(1);
  });
});

describe('a backup that is empty or suddenly small', () => {
  const sized = (bytesProcessed: number, files = 3) => ({ snapshotId: 'ab'.repeat(32), complete: true, files, directories: 1, filesUnchanged: 0, bytesProcessed, bytesAdded: 1 });
  const plausible = (world: MoverWorld, name: string) => world.backup(name)?.status?.conditions?.find(({ type }) => type === 'Plausible');

  async function worldOf(...sizes: readonly (readonly [number, number])[]): Promise<MoverWorld> {
    const world = new MoverWorld();
    for (const [index, [bytes, files]] of sizes.entries()) {
      world.script = (orders) => ended(orders, orders.task === 'backup' ? { backup: sized(bytes, files) } : {});
      world.createBackup(`b${index}`);
      await world.settle();
    }
    return world;
  }

  it.each<[string, [number, number][], string | undefined]>([
    ['holds no file', [[0, 0]], 'Empty'],
    ['holds one', [[0, 1]], undefined],
    ['is the first', [[10, 1]], undefined],
    ['is half of the last', [[1000, 3], [500, 3]], undefined],
    ['is less than half of the last', [[1000, 3], [499, 3]], 'Shrunk'],
    ['grew', [[10, 3], [1000, 3]], undefined],
    ['is as small as one before that was no good either', [[1000, 3], [10, 3], [10, 3]], 'Shrunk'],
  ])('%s', async (_, sizes, reason) => {
    const world = await worldOf(...sizes);
    const name = `b${sizes.length - 1}`;
    expect(world.backup(name)?.status?.phase).toBe('Stored');
    expect(plausible(world, name)?.reason).toBe(reason);
    expect(world.events.filter((event) => event.type === 'Warning' && event.reason === (reason ?? 'Shrunk')).length > 0).toBe(reason !== undefined);
    expect(isGood(world.backup(name) as Backup)).toBe(reason === undefined);
  });

  it('names what it was compared with, and counts as good once a person says so', async () => {
    const world = await worldOf([1_048_576, 3], [1024, 3]);
    expect(plausible(world, 'b1')?.message).toContain('It holds 1.0 KiB, 99 % less than the last good one, b0, with 1.0 MiB.');
    world.cluster.change('backups', NS, 'b1', { metadata: { annotations: { 'backup.dupp.de/acknowledged': 'true' } } });
    await world.settle();
    expect(plausible(world, 'b1')).toMatchObject({ status: 'True', reason: 'Acknowledged' });
    const { writes } = world.cluster;
    await world.settle();
    expect(world.cluster.writes).toBe(writes);
  });

  it('does not stand in for the last good one when its time is over', async () => {
    const world = await worldOf([1000, 3], [0, 0]);
    world.cluster.change('backups', NS, 'b0', { spec: { ttl: '1h' } });
    world.cluster.now += 2 * 3_600_000;
    await world.settle(5);
    expect(world.backup('b0')?.metadata.deletionTimestamp).toBeUndefined();
  });
});
