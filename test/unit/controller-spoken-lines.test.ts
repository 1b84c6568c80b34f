import { describe, expect, it, jest } from '@jest/globals';
import { LogListener } from '../../src/controller/mover/spoken-lines.ts';

const progress = (bytesDone: number) => JSON.stringify({ type: 'progress', filesDone: 1, bytesDone, bytesAdded: 0 });
const trouble = JSON.stringify({ type: 'trouble', code: 'Unavailable', message: 'The bucket does not answer.' });

function listenTo(lines: readonly string[]) {
  const told = jest.fn();
  const opened: string[] = [];
  const listener = new LogListener(
    async function* (pod) {
      opened.push(pod.name);
      await Promise.resolve();
      yield* lines;
    },
    () => 0,
  );
  listener.listen({ namespace: 'shop', name: 'pod' }, 'job', told);
  listener.listen({ namespace: 'shop', name: 'pod' }, 'job', told);
  return { listener, told, opened };
}

async function heard(lines: readonly string[]) {
  const { listener, opened } = listenTo(lines);
  await new Promise((resolve) => setImmediate(resolve));
  const spoken = listener.spoken('job');
  listener.close();
  return { spoken, opened };
}

describe('what a mover says', () => {
  it('is heard once for a Job, and what is no line of the contract is passed over', async () => {
    const { spoken, opened } = await heard(['Node warns of something', '{"type":"unknown"}', '{broken', progress(5)]);
    expect(spoken).toMatchObject({ progress: { bytesDone: 5 }, trouble: undefined });
    expect(opened).toEqual(['pod']);
  });

  it('of trouble stands until it gets on', async () => {
    expect((await heard([progress(5), trouble])).spoken.trouble).toEqual({ code: 'Unavailable', message: 'The bucket does not answer.' });
    expect((await heard([progress(5), trouble, progress(5)])).spoken.trouble).toBeDefined();
    expect((await heard([progress(5), trouble, progress(6)])).spoken.trouble).toBeUndefined();
  });

  it('is told at most every two seconds', async () => {
    jest.useFakeTimers();
    try {
      const { listener, told } = listenTo([progress(1), progress(2), progress(3)]);
      await jest.advanceTimersByTimeAsync(1900);
      expect(told).not.toHaveBeenCalled();
      await jest.advanceTimersByTimeAsync(200);
      expect(told).toHaveBeenCalledTimes(1);
      listener.close();
    } finally {
      jest.useRealTimers();
    }
  });

  it('is forgotten with its Job', async () => {
    const { listener } = listenTo([progress(1)]);
    await new Promise((resolve) => setImmediate(resolve));
    listener.forget('job');
    expect(listener.spoken('job').progress).toBeUndefined();
  });
});
