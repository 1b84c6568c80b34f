import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Pulse } from '../../src/mover/pulse.ts';

const HALF_MINUTE = 30_000;

describe('a mover', () => {
  let alive: jest.Mock<() => void>;
  let read: number | undefined;
  let pulse: Pulse;

  beforeEach(() => {
    jest.useFakeTimers();
    alive = jest.fn();
    read = 1000;
    pulse = new Pulse({ alive }, () => read);
    // It says so once in any case, for it has just begun.
    jest.advanceTimersByTime(HALF_MINUTE);
    alive.mockClear();
  });
  afterEach(() => {
    pulse.stop();
    jest.useRealTimers();
  });

  it('of which nothing comes says nothing', () => {
    read = 1500;
    jest.advanceTimersByTime(10 * HALF_MINUTE);
    expect(alive).not.toHaveBeenCalled();
  });

  it('says that it gets on each half minute in which the store answers, however often', () => {
    for (let second = 0; second < 90; second++) {
      if (second < 45) pulse.answered('g1/index/abc');
      jest.advanceTimersByTime(1000);
    }
    expect(alive).toHaveBeenCalledTimes(2);
  });

  it('does not take it for work that its lock is kept up', () => {
    pulse.answered('g1/locks/abc');
    jest.advanceTimersByTime(HALF_MINUTE);
    expect(alive).not.toHaveBeenCalled();
  });

  it('takes it for work that it reads, whatever thread does', () => {
    read = 1_000_000;
    jest.advanceTimersByTime(HALF_MINUTE);
    expect(alive).toHaveBeenCalledTimes(1);
    jest.advanceTimersByTime(HALF_MINUTE);
    expect(alive).toHaveBeenCalledTimes(1);
    read = undefined;
    jest.advanceTimersByTime(HALF_MINUTE);
    expect(alive).toHaveBeenCalledTimes(1);
  });

  it('may wait for what has a timeout of its own, and not beyond', async () => {
    const dump = Promise.withResolvers<string>();
    const stream = pulse.waitingFor(
      (async function* () {
        yield await dump.promise;
      })(),
    );
    const rest = (async () => {
      const pieces: string[] = [];
      for await (const piece of stream) pieces.push(piece);
      return pieces;
    })();
    jest.advanceTimersByTime(3 * HALF_MINUTE);
    expect(alive).toHaveBeenCalledTimes(3);
    dump.resolve('rows');
    expect(await rest).toEqual(['rows']);
    jest.advanceTimersByTime(3 * HALF_MINUTE);
    expect(alive).toHaveBeenCalledTimes(3);
  });

  it('says nothing once it has ended', () => {
    pulse.answered('g1/index/abc');
    pulse.stop();
    jest.advanceTimersByTime(HALF_MINUTE);
    expect(alive).not.toHaveBeenCalled();
  });
});
