import { describe, expect, it } from '@jest/globals';
import { Controller, KubeError, type ReconcileResult } from '../../src/kube/index.ts';

/** What a controller did, and a way to end it. */
function run(reconcile: (key: string, signal: AbortSignal) => Promise<ReconcileResult>, workers = 2) {
  const heard: { failed: string[]; reconciled: number } = { failed: [], reconciled: 0 };
  const stop = new AbortController();
  const controller = new Controller({
    name: 'test',
    workers,
    reconcile,
    observer: {
      reconciled: () => (heard.reconciled += 1),
      failed: (_, key, error) => void heard.failed.push(`${key}: ${String(error)}`),
    },
  });
  const ended = controller.run(stop.signal);
  return { controller, heard, stop: async () => (stop.abort(), ended) };
}

async function until(isSo: () => boolean): Promise<void> {
  const end = Date.now() + 5000;
  while (!isSo()) {
    if (Date.now() > end) throw new Error('waited in vain');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

describe('Controller', () => {
  it('tries again after a conflict and does not call it a failure', async () => {
    let tries = 0;
    const { controller, heard, stop } = run(() => (++tries === 1 ? Promise.reject(new KubeError('Conflict', 'changed', { status: 409 })) : Promise.resolve({})));
    controller.queue.add('a');
    await until(() => tries === 2);
    await stop();
    expect(heard).toEqual({ failed: [], reconciled: 2 });
  });

  it('tells of an error, waits longer each time, and one key that fails holds up no other', async () => {
    const at: number[] = [];
    let others = 0;
    const { controller, heard, stop } = run((key) => {
      if (key === 'good') {
        others += 1;
        return Promise.resolve({});
      }
      at.push(performance.now());
      return Promise.reject(new Error('broken'));
    }, 1);
    controller.queue.add('bad');
    await until(() => at.length >= 4);
    controller.queue.add('good');
    await until(() => others === 1);
    await stop();
    expect(heard.failed[0]).toBe('bad: Error: broken');
    const waits = at.slice(1, 4).map((time, i) => time - (at[i] ?? 0));
    expect(waits[2]).toBeGreaterThan(waits[0] ?? Infinity);
  });

  it('comes back by itself when that was asked', async () => {
    let tries = 0;
    const { controller, stop } = run(() => Promise.resolve(++tries === 1 ? { requeueAfterMs: 20 } : {}));
    controller.queue.add('a');
    await until(() => tries === 2);
    await stop();
  });

  it('never works on one key twice at a time', async () => {
    let inWork = 0;
    let most = 0;
    let done = 0;
    const { controller, stop } = run(async () => {
      most = Math.max(most, ++inWork);
      await new Promise((resolve) => setTimeout(resolve, 10));
      inWork--;
      done++;
      return {};
    }, 4);
    for (let i = 0; i < 5; i++) {
      controller.queue.add('a');
      await new Promise((resolve) => setTimeout(resolve, 3));
    }
    await until(() => done >= 2 && inWork === 0);
    await stop();
    expect(most).toBe(1);
  });

  it('ends when told to, after what is in work, and counts an interruption as no failure', async () => {
    const began = Promise.withResolvers<void>();
    const { controller, heard, stop } = run((_, signal) => {
      began.resolve();
      return new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(new KubeError('Aborted', 'stopped'))));
    });
    controller.queue.add('a');
    await began.promise;
    await stop();
    expect(heard.failed).toEqual([]);
    expect(await controller.queue.take()).toBeUndefined();
  });
});
