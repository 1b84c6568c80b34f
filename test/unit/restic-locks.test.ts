import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { hash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { CipherKey, encodeLock, encodeUnpacked, parseLock, parseTime } from '../../src/restic/format/index.ts';
import { backup, check, forget, initRepository, listSnapshots, openRepository, prune, restore, type Repository } from '../../src/restic/index.ts';
import { openedOf, type OpenRepository } from '../../src/restic/repository/index.ts';
import { MemoryStore, type ObjectStore } from '../../src/storage/index.ts';
import { compareTrees } from '../support/compare-tree.ts';
import { flipBit } from '../support/crafted-repository.ts';
import { FaultyStore, passing } from '../support/faulty-store.ts';
import { scratchDirectory, testPassword } from '../support/real-restic.ts';
import { seededRandom } from '../support/seeded-random.ts';

const minute = 60_000;
const scratch = scratchDirectory();
const source = join(scratch.path, 'source');
const shared = { hostname: 'here', exclusive: false };
const exclusive = { hostname: 'here', exclusive: true };

beforeAll(() => {
  mkdirSync(source);
  for (let i = 0; i < 10; i++) writeFileSync(join(source, `file-${String(i)}`), seededRandom(i).bytes(50_000));
});
afterEach(() => {
  jest.useRealTimers();
});
afterAll(() => scratch.remove());

async function fresh(store: ObjectStore = new MemoryStore()): Promise<OpenRepository> {
  return openedOf(await initRepository({ store, password: Buffer.from(testPassword) }));
}

async function again({ store }: Repository): Promise<OpenRepository> {
  return openedOf(await openRepository({ store, password: Buffer.from(testPassword) }));
}

async function lockKeys({ store }: Repository): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of store.list('locks/')) keys.push(key);
  return keys;
}

async function leave(repository: OpenRepository, change: { readonly hostname?: string; readonly pid?: number; readonly time?: Date }): Promise<void> {
  const { hostname: host = 'elsewhere', pid = 1, time = new Date() } = change;
  await repository.saveUnpacked('locks', encodeLock({ exclusive: true, username: 'u', uid: 0, gid: 0, hostname: host, pid, time: time.toISOString() }));
}

function backUp(repository: Repository, lockWaitMs?: number): Promise<{ snapshotId: string }> {
  return backup(repository, { hostname: 'here', sources: [{ directory: source, as: '/data' }], snapshotHostname: 'h', tags: [], lockWaitMs });
}

/** The pid of a process that has ended. */
function deadPid(): number {
  return spawnSync('true').pid;
}

/** The clock is the test's; what waits for the store goes on. */
async function pass(ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= minute) await jest.advanceTimersByTimeAsync(Math.min(left, minute));
}

function fakeClock(): void {
  jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate', 'queueMicrotask'] });
}

describe('a lock that is held for long', () => {
  it('is refreshed every five minutes, there is always exactly one, and nobody takes it for stale', async () => {
    fakeClock();
    const repository = await fresh();
    const held = await repository.lock(exclusive);
    const seen = new Set(await lockKeys(repository));
    for (let passed = 0; passed < 120; passed += 5) {
      await pass(5 * minute);
      const keys = await lockKeys(repository);
      expect(keys).toHaveLength(1);
      const { time } = parseLock(await repository.loadUnpacked('locks', keys[0]?.slice(6) ?? ''), 'x');
      expect(Date.now() - (parseTime(time)?.seconds ?? 0) * 1000).toBeLessThan(6 * minute);
      seen.add(keys[0] ?? '');
      await expect(repository.lock(shared)).rejects.toMatchObject({ code: 'Locked' });
    }
    expect(seen.size).toBe(25);
    expect(held.lost.aborted).toBe(false);
    await held.release();
    expect(await lockKeys(repository)).toEqual([]);
  });

  it('is lost, with words, once another program removed it; and the other keeps its own', async () => {
    fakeClock();
    const repository = await fresh();
    const held = await repository.lock(exclusive);
    for (const key of await lockKeys(repository)) await repository.store.delete(key);
    const other = await repository.lock(exclusive);
    await pass(5 * minute);
    expect(held.lost.reason).toMatchObject({ code: 'Locked', retryable: true, message: expect.stringContaining('removed by another program') });
    expect(other.lost.aborted).toBe(false);
    await held.release();
    expect(await lockKeys(repository)).toHaveLength(1);
    await other.release();
  });

  it('survives a store that is away for a quarter of an hour, and is lost when it is away for longer', async () => {
    fakeClock();
    const base = new MemoryStore();
    let isAway = false;
    await fresh(base);
    const repository = openedOf(await openRepository({ store: new FaultyStore(base, () => (isAway ? { error: passing() } : undefined)), password: Buffer.from(testPassword) }));
    const held = await repository.lock(exclusive);
    isAway = true;
    await pass(15 * minute);
    isAway = false;
    await pass(5 * minute);
    expect(held.lost.aborted).toBe(false);
    await expect(repository.lock(shared)).rejects.toMatchObject({ code: 'Locked' });
    isAway = true;
    await pass(21 * minute);
    expect(held.lost.reason).toMatchObject({ code: 'Locked', message: expect.stringContaining('twenty minutes') });
    isAway = false;
    await held.release();
  });
});

describe('a lock that was left behind', () => {
  it.each([
    ['more than thirty minutes ago', {}, 31],
    ['by a process of this machine that is dead', { hostname: hostname(), pid: deadPid() }, 0],
    ['by a machine whose clock was an hour ahead', { time: new Date(Date.now() + 60 * minute) }, 31],
    ['by a machine whose clock was years ahead', { time: new Date(Date.now() + 400 * 24 * 60 * minute) }, 31],
    ['by a machine whose clock was an hour behind', { time: new Date(Date.now() - 60 * minute) }, 31],
  ])('%s is in nobody\'s way, and is removed', async (_when, lock, minutes) => {
    fakeClock();
    const repository = await fresh();
    await leave(repository, lock);
    await pass(minutes * minute);
    const held = await repository.lock({ ...exclusive, hostname: hostname() });
    expect(await lockKeys(repository)).toHaveLength(1);
    await held.release();
  });

  it.each([
    ['a quarter of an hour ago', { time: new Date(Date.now() - 15 * minute) }],
    ['by a machine whose clock is an hour behind', { time: new Date(Date.now() - 60 * minute) }],
    ['by a machine whose clock is years ahead', { time: new Date(Date.now() + 400 * 24 * 60 * minute) }],
    ['by a machine whose clock is an hour ahead', { time: new Date(Date.now() + 60 * minute) }],
    ['by a living process of this machine', { hostname: hostname(), pid: process.ppid }],
    ['by a process of another machine, whose number is free here', { pid: deadPid() }],
  ])('%s counts, and whoever finds it is told whose it is', async (_when, lock) => {
    const repository = await fresh();
    await leave(repository, lock);
    await expect(repository.lock({ ...shared, hostname: hostname() })).rejects.toMatchObject({ code: 'Locked', retryable: true, message: expect.stringMatching(/exclusively locked by process \d+ on .+ since .+Wait until/) });
    expect(await lockKeys(repository)).toHaveLength(1);
  });

  it('counts also where our own clock is the wrong one', async () => {
    const store = new MemoryStore();
    const head = store.head.bind(store);
    // The store's clock, and the holder's, are forty minutes behind ours.
    const theirs = (time: Date | undefined): Date => new Date((time?.getTime() ?? 0) - 40 * minute);
    store.head = async (...args) => {
      const found = await head(...args);
      return found === undefined ? undefined : { ...found, modifiedAt: theirs(found.modifiedAt) };
    };
    const repository = await fresh(store);
    await leave(repository, { time: theirs(new Date()) });
    await expect(repository.lock({ ...shared, lockWaitMs: 1500 })).rejects.toMatchObject({ code: 'Locked' });
    expect(await lockKeys(repository)).toHaveLength(1);
  });

  const unreadable: [string, (repository: OpenRepository) => Promise<void>][] = [
    ['is damaged', async (repository) => {
      await leave(repository, {});
      await flipBit(repository.store, (await lockKeys(repository))[0] ?? '', 300);
    }],
    ['was cut short', async (repository) => {
      await leave(repository, {});
      const [key = ''] = await lockKeys(repository);
      await repository.store.put(key, (await repository.store.get(key)).subarray(0, 40));
    }],
    ['is sealed with an unknown key', async (repository) => {
      const sealed = CipherKey.generate().seal(encodeUnpacked(encodeLock({ exclusive: false, username: 'u', uid: 0, gid: 0, hostname: 'h', pid: 1, time: new Date().toISOString() }), 2));
      await repository.store.put(`locks/${hash('sha256', sealed, 'hex')}`, sealed);
    }],
    ['says nothing that a lock says', async (repository) => {
      await repository.saveUnpacked('locks', Buffer.from('{}'));
    }],
  ];

  it.each(unreadable)('that %s excludes everyone, the message names the file; thirty minutes later it is in nobody\'s way', async (_what, leaveUnreadable) => {
    fakeClock();
    const repository = await fresh();
    await leaveUnreadable(repository);
    const [key] = await lockKeys(repository);
    await pass(29 * minute);
    await expect(repository.lock(shared)).rejects.toMatchObject({ code: 'Locked', retryable: true, message: expect.stringContaining(`${key ?? '?'} cannot be read`) });
    await expect(repository.lock(exclusive)).rejects.toMatchObject({ code: 'Locked' });
    expect(await lockKeys(repository)).toEqual([key]);
    await pass(2 * minute);
    const held = await repository.lock(exclusive);
    expect(await lockKeys(repository)).not.toContain(key);
    await held.release();
    expect(await lockKeys(repository)).toEqual([]);
  });

  it('that nobody can read holds a backup up', async () => {
    const repository = await fresh();
    await repository.saveUnpacked('locks', Buffer.from('{}'));
    await expect(backUp(repository, 0)).rejects.toMatchObject({ code: 'Locked' });
  });

  it('without a byte, as a full disk leaves it, is in nobody\'s way', async () => {
    const repository = await fresh();
    await repository.store.put(`locks/${'ab'.repeat(32)}`, new Uint8Array(0));
    await (await repository.lock(exclusive)).release();
    await backUp(repository, 0);
  });
});

describe('at the same time', () => {
  it('two backups run, and both snapshots are whole', async () => {
    const one = await fresh();
    const other = await again(one);
    const made = await Promise.all([backUp(one), backUp(other)]);
    const reader = await again(one);
    expect((await check(reader, { readData: 'all' })).problems).toEqual([]);
    for (const { snapshotId } of made) {
      const target = join(scratch.path, snapshotId);
      await restore(reader, { snapshot: snapshotId, subtree: '/data', target });
      expect(compareTrees(source, target)).toEqual([]);
    }
    expect(await lockKeys(one)).toEqual([]);
  });

  it('a backup waits for a prune, and a prune that finds a backup gives up at once, or waits when told to', async () => {
    const pruner = await fresh();
    const writer = await again(pruner);
    const pruning = await pruner.lock(exclusive);
    setTimeout(() => void pruning.release(), 300);
    await backUp(writer);
    const writing = await writer.lock(shared);
    const request = { hostname: 'here', graceMs: 0, now: new Date() };
    await expect(prune(pruner, request)).rejects.toMatchObject({ code: 'Locked' });
    setTimeout(() => void writing.release(), 300);
    await prune(pruner, { ...request, lockWaitMs: 10_000 });
    expect((await check(pruner, { readData: 'all' })).problems).toEqual([]);
  });

  it('a snapshot is forgotten while others read and write, not while a prune runs', async () => {
    const repository = await fresh();
    const [{ snapshotId: first }, { snapshotId: second }] = [await backUp(repository), await backUp(repository)];
    const reading = await (await again(repository)).lock(shared);
    await forget(repository, { hostname: 'here', snapshots: [first] });
    await reading.release();
    const pruning = await (await again(repository)).lock(exclusive);
    await expect(forget(repository, { hostname: 'here', snapshots: [second] })).rejects.toMatchObject({ code: 'Locked' });
    await pruning.release();
    expect((await listSnapshots(repository)).map(({ id }) => id)).toEqual([second]);
  });

  it('a check holds a shared lock where it is told to, so that no prune takes away what it looks at', async () => {
    const repository = await fresh();
    await backUp(repository);
    let held = 0;
    const lock = { hostname: 'here' };
    await check(repository, { lock, readData: 'all', onProgress: () => void lockKeys(repository).then(({ length }) => (held = Math.max(held, length))) });
    expect(held).toBe(1);
    expect(await lockKeys(repository)).toEqual([]);
    const pruning = await (await again(repository)).lock(exclusive);
    await expect(check(repository, { lock })).rejects.toMatchObject({ code: 'Locked' });
    expect((await check(repository, {})).problems).toEqual([]);
    await pruning.release();
  });
});
