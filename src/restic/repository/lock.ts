import { hostname as machineName, userInfo } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { StorageError } from '../../storage/index.ts';
import { EngineError } from '../errors.ts';
import { encodeLock, formatTime, parseLock, parseTime, type Id, type LockFile } from '../format/index.ts';
import { errnoCodeOf } from '../fs/libc-error.ts';
import { keyOf, type HeldLock, type ListedFile, type LockRequest } from './opened.ts';

/** restic's own times: a lock is refreshed every five minutes and counts as left behind after thirty. */
const refreshEvery = 5 * 60_000;
const staleAfter = 30 * 60_000;
/** Where the store has no clock. No other is ahead by so much: a lock from beyond was left behind by a machine that had the wrong time, and would block for years. */
const farFuture = 24 * 60 * 60_000;
/** Whoever could not refresh for this long must stop, for others will soon take the lock for stale. */
const giveUpAfter = 20 * 60_000;
const retryEvery = 1_000;

/** What locks need of a repository. */
export interface LockStore {
  list(signal?: AbortSignal): AsyncIterable<ListedFile>;
  load(id: Id, signal?: AbortSignal): Promise<Uint8Array>;
  save(json: Uint8Array, signal?: AbortSignal): Promise<ListedFile>;
  remove(ids: readonly Id[]): Promise<void>;
  /** By the store's clock; `undefined` where it has none. `absent`: the file is gone. */
  writtenAt(id: Id, signal?: AbortSignal): Promise<Date | undefined | 'absent'>;
}

/**
 * Takes a shared or an exclusive lock (design.rst "Locks"): write the file, then look for others. Of two that lock at once at least
 * one sees the other, because stores list at once what was written; so restic's pause of 200 ms between the two is not needed here, and
 * its own pause covers us. Locks that were left behind are removed on the way: older than thirty minutes, of a host that is known to
 * be dead, or of a dead process on this one. How old a lock is, the store's clock says where the holder's and ours disagree. A lock file that nobody can read excludes everyone, for what it allows is unknown, until thirty
 * minutes after it was written: its holder would have written another by then (restic lets such a file block until a person removes it).
 * @throws {EngineError} `Locked` naming the holder, after `lockWaitMs`
 */
export async function takeLock(store: LockStore, request: LockRequest): Promise<HeldLock> {
  const deadline = performance.now() + (request.lockWaitMs ?? 0);
  for (let inTheWay: InTheWay | undefined; ; inTheWay = await conflicts(store, request, undefined)) {
    request.signal?.throwIfAborted();
    const taken = inTheWay ?? (await tryLock(store, request));
    if (taken instanceof Lock) return taken;
    const left = deadline - performance.now();
    if (left <= 0) throw locked(taken);
    // At random, so that two who found each other in the way do not meet again.
    await delay(Math.min(left, retryEvery * (0.5 + Math.random())), undefined, { signal: request.signal });
  }
}

/** Whose lock it is, or which lock file cannot be read. */
type InTheWay = LockFile | { readonly unreadable: Id; readonly writtenAt: Date | undefined };

async function tryLock(store: LockStore, request: LockRequest): Promise<Lock | InTheWay> {
  const { id } = await store.save(encodeLock(newLockFile(request)), request.signal);
  const lock = new Lock(store, request, id);
  try {
    const inTheWay = await conflicts(store, request, id);
    if (inTheWay === undefined) return lock;
    await lock.release();
    return inTheWay;
  } catch (error) {
    await lock.release();
    throw error;
  }
}

function newLockFile(request: LockRequest): LockFile {
  return { time: now(), exclusive: request.exclusive, hostname: request.hostname, username: userName(), pid: process.pid, uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
}

function now(): string {
  const ms = Date.now();
  return formatTime({ seconds: Math.floor(ms / 1000), nanoseconds: (ms % 1000) * 1_000_000 });
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return ''; // a user without an entry in /etc/passwd, as pods often have
  }
}

/** The first lock that excludes the requested one. Removes those that were left behind. */
async function conflicts(store: LockStore, request: LockRequest, own: Id | undefined): Promise<InTheWay | undefined> {
  const stale: Id[] = [];
  let found: InTheWay | undefined;
  for await (const { id, size } of store.list(request.signal)) {
    if (id === own || size === 0) continue;
    const lock = await loadLock(store, id, request.signal);
    if (lock === undefined) continue;
    const state = stateOf(lock, request);
    // Asked only with a lock of our own, which this search comes before: see `wasWrittenLately`.
    if (state === 'doubtful' && own === undefined) continue;
    if (state === 'dead' || (state === 'doubtful' && !(await wasWrittenLately(store, { id, lock }, own, request.signal)))) stale.push(id);
    else if (request.exclusive || isExclusive(lock)) found ??= lock;
  }
  if (stale.length > 0) await store.remove(stale);
  return found;
}

function isExclusive(lock: InTheWay): boolean {
  return 'unreadable' in lock || lock.exclusive;
}

/** `undefined` when the holder released it between the listing and now. */
async function loadLock(store: LockStore, id: Id, signal: AbortSignal | undefined): Promise<InTheWay | undefined> {
  try {
    return parseLock(await store.load(id, signal), `lock ${id}`);
  } catch (error) {
    if (error instanceof StorageError && error.code === 'NotFound') return undefined;
    if (!(error instanceof EngineError && error.code === 'Damaged')) throw error;
    const writtenAt = await store.writtenAt(id, signal);
    return writtenAt === 'absent' ? undefined : { unreadable: id, writtenAt };
  }
}

/** What a lock says of itself; `doubtful` where its time is not of the last half hour by our clock, which may be the wrong one. */
function stateOf(lock: InTheWay, { deadHostnames = [], hostname }: Pick<LockRequest, 'deadHostnames' | 'hostname'>): 'dead' | 'doubtful' | 'alive' {
  if ('unreadable' in lock) return 'doubtful';
  if (deadHostnames.includes(lock.hostname)) return 'dead';
  // A pid tells something only where pids are shared: on this very machine, not in two pods that were given one name.
  const isHere = lock.hostname === hostname && hostname === machineName();
  if (isHere && lock.pid !== process.pid && !isAlive(lock.pid)) return 'dead';
  const age = ageOf(lock);
  return age > staleAfter || age < -refreshEvery ? 'doubtful' : 'alive';
}

/**
 * A lock has the time of its holder's clock, and we judge it by ours. Where those are half an hour apart, a lock that is held would be taken away, and a
 * prune could run beside a backup. The store has one clock for all, so when it wrote that file is held against when it wrote our own, just now.
 */
async function wasWrittenLately(store: LockStore, { id, lock }: { readonly id: Id; readonly lock: InTheWay }, own: Id | undefined, signal: AbortSignal | undefined): Promise<boolean> {
  const theirs = await store.writtenAt(id, signal);
  if (theirs === 'absent') return false;
  const ours = own === undefined ? undefined : await store.writtenAt(own, signal);
  if (theirs !== undefined && ours instanceof Date) return ours.getTime() - theirs.getTime() <= staleAfter;
  // A store without a clock: what the lock says must do. One that nobody can read says nothing.
  if ('unreadable' in lock) return true;
  const age = ageOf(lock);
  return age <= staleAfter && age >= -farFuture;
}

/** By the clocks of its holder and of this machine, ms. */
function ageOf(lock: LockFile): number {
  const time = parseTime(lock.time);
  return time === undefined ? Infinity : Date.now() - time.seconds * 1000;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return errnoCodeOf(error) !== 'ESRCH';
  }
}

function locked(lock: InTheWay): EngineError {
  if ('unreadable' in lock) {
    return new EngineError(
      'Locked',
      `The lock file ${keyOf('locks', lock.unreadable)} cannot be read, so nobody knows whether another program works on the repository. ` +
        'Wait: thirty minutes after it was written it is removed by whoever finds it. Or make sure that no program does, and delete that file.',
      { retryable: true, context: { lock: lock.unreadable } },
    );
  }
  const kind = lock.exclusive ? 'exclusively locked' : 'locked';
  return new EngineError(
    'Locked',
    `The repository is ${kind} by process ${lock.pid} on ${lock.hostname} (user ${lock.username}) since ${lock.time}. ` +
      'Wait until it has ended; a lock that its holder left behind is taken over thirty minutes after its last refresh.',
    { retryable: true, context: { hostname: lock.hostname, pid: lock.pid, since: lock.time } },
  );
}

class Lock implements HeldLock {
  readonly #store: LockStore;
  readonly #request: LockRequest;
  readonly #lost = new AbortController();
  readonly #timer: NodeJS.Timeout;
  #id: Id;
  #refreshedAt = Date.now();
  #refreshing: Promise<void> | undefined;

  constructor(store: LockStore, request: LockRequest, id: Id) {
    this.#store = store;
    this.#request = request;
    this.#id = id;
    this.#timer = setInterval(() => {
      // One at a time: a slow store must not end up with two lock files of ours.
      this.#refreshing ??= this.#refresh().finally(() => (this.#refreshing = undefined));
    }, refreshEvery);
    this.#timer.unref();
  }

  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  async release(): Promise<void> {
    clearInterval(this.#timer);
    await this.#refreshing;
    await this.#store.remove([this.#id]);
  }

  /** A new file first, then the old one goes, so that there is never a moment without a lock. */
  async #refresh(): Promise<void> {
    try {
      if (!(await this.#isThere())) return this.#lose('was removed by another program, which took it for left behind (was this machine asleep, or its clock wrong?)');
      const { id } = await this.#store.save(encodeLock(newLockFile(this.#request)));
      const old = this.#id;
      this.#id = id;
      this.#refreshedAt = Date.now();
      await this.#store.remove([old]);
    } catch (cause) {
      // Wall-clock time, as others judge the lock by: it goes on while a machine sleeps.
      if (Date.now() - this.#refreshedAt >= giveUpAfter) this.#lose('could not be refreshed for twenty minutes', cause);
    }
  }

  async #isThere(): Promise<boolean> {
    try {
      await this.#store.load(this.#id);
      return true;
    } catch (error) {
      if (error instanceof StorageError && error.code === 'NotFound') return false;
      throw error;
    }
  }

  #lose(why: string, cause?: unknown): void {
    clearInterval(this.#timer);
    this.#lost.abort(new EngineError('Locked', `The lock on the repository ${why}, so the work was stopped. Run it again.`, { retryable: true, cause }));
  }
}
