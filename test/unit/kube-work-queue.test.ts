import { describe, expect, it } from '@jest/globals';
import { WorkQueue, type Timers } from '../../src/kube/index.ts';

/** A clock that tests turn by hand. */
function heldTimers(): Timers & { advance(ms: number): void } {
  let now = 0;
  const waiting = new Set<{ at: number; callback: () => void }>();
  return {
    now: () => now,
    after(ms, callback) {
      const entry = { at: now + ms, callback };
      waiting.add(entry);
      return () => waiting.delete(entry);
    },
    advance(ms) {
      now += ms;
      for (const entry of [...waiting].filter(({ at }) => at <= now)) {
        waiting.delete(entry);
        entry.callback();
      }
    },
  };
}

describe('WorkQueue', () => {
  it('holds a key once, however often it is added', async () => {
    const queue = new WorkQueue();
    queue.add('a');
    queue.add('a');
    queue.add('b');
    expect([await queue.take(), await queue.take()]).toEqual(['a', 'b']);
    expect(queue.depth).toBe(0);
  });

  it('never gives a key out twice at a time, and again after it was added while in work', async () => {
    const queue = new WorkQueue();
    queue.add('a');
    await queue.take();
    queue.add('a');
    expect(queue.depth).toBe(0);
    queue.done('a');
    expect(await queue.take()).toBe('a');
  });

  it('hands a key to whoever waits already', async () => {
    const queue = new WorkQueue();
    const waiting = queue.take();
    queue.add('a');
    expect(await waiting).toBe('a');
    queue.add('a');
    queue.done('a');
    expect(await queue.take()).toBe('a');
  });

  it('keeps the earlier of two times', () => {
    const timers = heldTimers();
    const queue = new WorkQueue({ timers });
    queue.addAfter('a', 1000);
    queue.addAfter('a', 5000);
    queue.addAfter('b', 5000);
    queue.addAfter('b', 1000);
    timers.advance(1000);
    expect(queue.depth).toBe(2);
    timers.advance(10_000);
    expect(queue.depth).toBe(2);
  });

  it('doubles the pause with each failure, up to the longest, and begins anew after a success', () => {
    const timers = heldTimers();
    const queue = new WorkQueue({ timers, backoffMs: { first: 100, most: 350 } });
    const pauses: number[] = [];
    for (let round = 0; round < 4; round += 1) {
      queue.addAfterFailure('a');
      let waited = 0;
      while (queue.depth === 0) {
        timers.advance(50);
        waited += 50;
      }
      pauses.push(waited);
      void queue.take();
      queue.done('a');
      if (round === 2) queue.succeed('a');
    }
    expect(pauses).toEqual([100, 200, 350, 100]);
  });

  it('lets waiting workers go when it is closed, and takes nothing more', async () => {
    const queue = new WorkQueue();
    const waiting = queue.take();
    queue.close();
    queue.add('a');
    expect(await waiting).toBeUndefined();
    expect(await queue.take()).toBeUndefined();
  });
});
