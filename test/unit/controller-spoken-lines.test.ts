import { describe, expect, it, jest } from '@jest/globals';
import { LogListener, type MoverLogs } from '../../src/controller/mover/spoken-lines.ts';
import { KubeError } from '../../src/kube/index.ts';

const progress = (bytesDone: number) => JSON.stringify({ type: 'progress', filesDone: 1, bytesDone, bytesAdded: 0 });
const trouble = JSON.stringify({ type: 'trouble', code: 'Unavailable', message: 'The bucket does not answer.' });

async function* emptyLog(): AsyncGenerator<string> {
  await Promise.resolve();
}

async function until(holds: () => boolean): Promise<void> {
  for (let turn = 0; turn < 200 && !holds(); turn++) await new Promise((resolve) => setTimeout(resolve, 5));
}

function listenTo(lines: readonly string[], now: () => number = () => 0) {
  const told = jest.fn();
  const opened: string[] = [];
  const listener = new LogListener(
    {
      async *follow(pod) {
        opened.push(pod.name);
        await Promise.resolve();
        yield* lines;
      },
      since: () => emptyLog(),
    },
    now,
  );
  listener.listen({ namespace: 'shop', name: 'pod' }, 'job', told);
  listener.listen({ namespace: 'shop', name: 'pod' }, 'job', told);
  return { listener, told, opened };
}

async function heard(lines: readonly string[], now?: () => number) {
  const { listener, opened } = listenTo(lines, now);
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

  it('is of the time that its line has, or, where that is still to come by our clock, of now', async () => {
    const at = (time: string, line: string) => heard([`${time} ${line}`], () => Date.parse('2030-01-01T01:00:00Z'));
    const alive = '{"type":"alive"}';
    expect((await at('2030-01-01T00:30:00.123456789Z', alive)).spoken.aliveAt).toBe(Date.parse('2030-01-01T00:30:00.123Z'));
    expect((await at('2030-01-01T00:30:00Z', progress(5))).spoken).toMatchObject({ aliveAt: Date.parse('2030-01-01T00:30:00Z'), progress: { at: Date.parse('2030-01-01T00:30:00Z') } });
    expect((await at('2030-01-01T02:00:00Z', alive)).spoken.aliveAt).toBe(Date.parse('2030-01-01T01:00:00Z'));
    expect((await at('2030-01-01T00:30:00Z', trouble)).spoken.aliveAt).toBeUndefined();
  });

  it.each([
    ['goes on when its log breaks off', new Error('broken off'), 2],
    ['is over when its pod is gone', new KubeError('NotFound', 'no such pod'), 1],
  ])('%s', async (_, error, opened) => {
    const signals: AbortSignal[] = [];
    const follow: MoverLogs['follow'] = async function* (_pod, signal) {
      signals.push(signal);
      yield await Promise.resolve(progress(signals.length));
      throw error;
    };
    const listener = new LogListener({ follow, since: () => emptyLog() }, () => 0, { first: 5, most: 5 });
    listener.listen({ namespace: 'shop', name: 'pod' }, 'job', () => undefined);
    await until(() => signals.length >= opened);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(listener.spoken('job').progress?.bytesDone).toBeGreaterThanOrEqual(opened);
    if (opened === 1) expect(signals.length).toBe(1);
    listener.close();
  });

  it.each([
    ['alive', [trouble, '2030-01-01T00:30:00Z {"type":"alive"}']],
    ['alive', [progress(5)]],
    ['silent', [trouble, 'Node warns of something']],
    ['silent', []],
    ['unknown', new Error('the node does not answer')],
  ] as const)('of late is read from its log: %s', async (lately, log) => {
    const asked: number[] = [];
    const since: MoverLogs['since'] = async function* (_pod, seconds) {
      asked.push(seconds);
      await Promise.resolve();
      if (log instanceof Error) throw log;
      yield* log;
    };
    const listener = new LogListener({ follow: () => emptyLog(), since }, () => 0);
    expect(await listener.lately({ namespace: 'shop', name: 'pod' }, 90_500, new AbortController().signal)).toBe(lately);
    expect(asked).toEqual([91]);
  });

  it('is forgotten with its Job', async () => {
    const { listener } = listenTo([progress(1)]);
    await new Promise((resolve) => setImmediate(resolve));
    listener.forget('job');
    expect(listener.spoken('job').progress).toBeUndefined();
  });
});
