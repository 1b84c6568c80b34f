import { describe, expect, it } from '@jest/globals';
import { limiting, MemoryStore, retrying, StorageError, type ObjectStore } from '../../src/storage/index.ts';
import { FaultyStore, passing, type Fault } from '../support/faulty-store.ts';

const QUICK = { baseDelayMs: 1, maxDelayMs: 2 };

async function filled(...keys: string[]): Promise<MemoryStore> {
  const store = new MemoryStore();
  for (const key of keys) await store.put(key, Buffer.from(`content of ${key}`));
  return store;
}

async function keysOf(store: ObjectStore): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of store.list('')) keys.push(key);
  return keys;
}

describe('a store that is tried again', () => {
  const failFirst = (times: number): Fault => ({ count }) => (count <= times ? { error: passing() } : undefined);

  it.each(['put', 'get', 'head', 'delete', 'deleteMany'] as const)('repeats %s until it goes', async (operation) => {
    const failing = new FaultyStore(await filled('k'), failFirst(3));
    const store = retrying(failing, QUICK);
    const calls = {
      put: () => store.put('k', Buffer.from('new')),
      get: () => store.get('k'),
      head: () => store.head('k'),
      delete: () => store.delete('k'),
      deleteMany: () => store.deleteMany(['k']),
    };
    await calls[operation]();
    expect(failing.calls).toHaveLength(4);
  });

  it('gives up after so many tries, with the last error', async () => {
    const failing = new FaultyStore(await filled('k'), () => ({ error: passing() }));
    await expect(retrying(failing, { ...QUICK, attempts: 3 }).get('k')).rejects.toMatchObject({ code: 'Unavailable' });
    expect(failing.calls).toHaveLength(3);
  });

  it('has patience with a service that has answered before, each call for itself', async () => {
    let now = 0;
    const failing = new FaultyStore(await filled('k', 'l'), ({ count, key }) => {
      now += 1_000;
      return count > 1 && key === 'k' ? { error: passing() } : undefined;
    });
    const store = retrying(failing, { ...QUICK, attempts: 3, patienceMs: 20_000, now: () => now });
    await store.get('k');
    // Others succeed all the while; that must not make this one wait for ever.
    const others = (async () => {
      for (let times = 0; times < 50; times += 1) await store.get('l');
    })();
    const before = now;
    await expect(store.get('k')).rejects.toMatchObject({ code: 'Unavailable' });
    await others;
    expect(now - before).toBeGreaterThanOrEqual(20_000);
    expect(failing.calls.filter(({ key }) => key === 'k').length).toBeLessThan(30);
  });

  it('has no patience with a service that never answered', async () => {
    const failing = new FaultyStore(await filled('k'), () => ({ error: passing() }));
    await expect(retrying(failing, { ...QUICK, attempts: 3, patienceMs: 60_000 }).get('k')).rejects.toMatchObject({ code: 'Unavailable' });
    expect(failing.calls).toHaveLength(3);
  });

  it('gives a service up that never answered, when each try takes long, and goes on with one that did', async () => {
    let now = 0;
    const failing = new FaultyStore(await filled('k', 'l'), ({ key }) => {
      now += 10_000;
      return key === 'k' ? { error: passing() } : undefined;
    });
    const silent = retrying(failing, { ...QUICK, now: () => now });
    await expect(silent.get('k')).rejects.toMatchObject({ code: 'Unavailable' });
    expect(now).toBe(50_000);

    const known = retrying(failing, { ...QUICK, now: () => now });
    await known.get('l');
    await expect(known.get('k')).rejects.toMatchObject({ code: 'Unavailable' });
    expect(now).toBe(60_000 + 80_000);
  });

  it('does not repeat what cannot help', async () => {
    const failing = new FaultyStore(await filled(), () => ({ error: new StorageError('AccessDenied', 'no', { retryable: false }) }));
    await expect(retrying(failing, QUICK).get('k')).rejects.toMatchObject({ code: 'AccessDenied' });
    expect(failing.calls).toHaveLength(1);
  });

  it('tells of each pause, which doubles up to its bound', async () => {
    const told: number[] = [];
    const failing = new FaultyStore(await filled('k'), failFirst(5));
    await retrying(failing, { baseDelayMs: 1, maxDelayMs: 6, random: () => 0.999, onRetry: ({ delayMs }) => told.push(delayMs) }).get('k');
    expect(told).toEqual([1, 2, 4, 6, 6]);
  });

  it('knows its own object again when the answer to a conditional put was lost', async () => {
    const memory = await filled();
    const store = retrying(new FaultyStore(memory, ({ count }) => (count === 1 ? { error: passing(), after: true } : undefined)), QUICK);
    await store.put('k', [Buffer.from('our '), Buffer.from('own')], { ifAbsent: true });
    expect(Buffer.from(await memory.get('k')).toString()).toBe('our own');
  });

  it('does not take somebody else\'s object for its own', async () => {
    const memory = await filled('k');
    const store = retrying(new FaultyStore(memory, ({ count }) => (count === 1 ? { error: passing() } : undefined)), QUICK);
    await expect(store.put('k', Buffer.from('ours'), { ifAbsent: true })).rejects.toMatchObject({ code: 'AlreadyExists' });
    await expect(store.put('k', Buffer.from('CONTENT of k'), { ifAbsent: true })).rejects.toMatchObject({ code: 'AlreadyExists' });
  });

  it('goes on with a stream behind the last byte that came', async () => {
    const memory = new MemoryStore();
    const body = Buffer.from(Array.from({ length: 900_000 }, (_, index) => index % 251));
    await memory.put('k', body);
    const failing = new FaultyStore(memory, ({ operation, count }) => (operation === 'getStream' && count < 5 ? { error: passing(), after: true } : undefined));
    const store = retrying(failing, { ...QUICK, attempts: 2 });
    const chunks: Uint8Array[] = [];
    for await (const chunk of store.getStream('k', { range: { offset: 100, length: 800_000 } })) chunks.push(chunk);
    expect(Buffer.concat(chunks).equals(body.subarray(100, 800_100))).toBe(true);
  });

  it('goes on with a listing behind the last key that came', async () => {
    const failing = new FaultyStore(await filled('a', 'b', 'c', 'd'), ({ count }) => (count < 4 ? { error: passing(), after: true } : undefined));
    expect(await keysOf(retrying(failing, QUICK))).toEqual(['a', 'b', 'c', 'd']);
  });

  it('stops pausing when told to', async () => {
    const failing = new FaultyStore(await filled('k'), () => ({ error: passing() }));
    const stop = new AbortController();
    const slow = retrying(failing, { baseDelayMs: 60_000, maxDelayMs: 60_000, onRetry: () => setImmediate(() => stop.abort()) });
    await expect(slow.get('k', { signal: stop.signal })).rejects.toMatchObject({ code: 'Aborted' });
    expect(failing.calls).toHaveLength(1);
  });
});

describe('a store with a limit', () => {
  class SlowStore extends MemoryStore {
    running = 0;
    most = 0;
    override async get(key: string): Promise<Uint8Array> {
      this.running += 1;
      this.most = Math.max(this.most, this.running);
      await new Promise((resolve) => setTimeout(resolve, 2));
      this.running -= 1;
      return super.get(key);
    }
  }

  it('lets so many calls through at a time, and all of them in the end', async () => {
    const slow = new SlowStore();
    await slow.put('k', Buffer.from('x'));
    const store = limiting(slow, 3);
    const results = await Promise.allSettled(Array.from({ length: 20 }, (_, index) => store.get(index % 5 === 0 ? 'absent' : 'k')));
    expect(slow.most).toBe(3);
    expect(results.filter(({ status }) => status === 'rejected')).toHaveLength(4);
  });

  it('forgets who stops waiting', async () => {
    const slow = new SlowStore();
    await slow.put('k', Buffer.from('x'));
    const store = limiting(slow, 1);
    const stop = new AbortController();
    const first = store.get('k');
    const second = store.get('k', { signal: stop.signal });
    const third = store.get('k');
    stop.abort();
    await expect(second).rejects.toMatchObject({ code: 'Aborted' });
    await Promise.all([first, third, store.get('k')]);
    expect(slow.most).toBe(1);
  });

  it('of nothing is refused', () => {
    expect(() => limiting(new MemoryStore(), 0)).toThrow(RangeError);
  });
});
