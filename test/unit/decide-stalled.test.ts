import { describe, expect, it } from '@jest/globals';
import { attemptState } from '../../src/decide/attempt.ts';
import { ANNOTATION_STALLED_AFTER } from '../../src/decide/mover-job.ts';
import { NO_ATTEMPT, type AttemptFacts } from '../../src/decide/observed.ts';
import { identity, jobOf, podOf } from '../support/attempt-facts.ts';

const START = Date.parse('2030-01-01T00:00:00Z');
const MINUTE = 60_000;
const job = jobOf(START - MINUTE, { annotations: { [ANNOTATION_STALLED_AFTER]: '30m' } });
const pod = podOf({ phase: 'Running', node: 'n1', running: true, runningSince: START });

function after(minutes: number, changes: Partial<AttemptFacts> = {}) {
  return attemptState(identity, { ...NO_ATTEMPT, job, pods: [pod], ...changes }, START + minutes * MINUTE);
}

function saidAt(minutes: number): Pick<AttemptFacts, 'spoken'> {
  return { spoken: { progress: undefined, trouble: undefined, aliveAt: START + minutes * MINUTE } };
}

describe('a mover of which nothing comes', () => {
  it('is let be for as long as its Job says, and looked at then', () => {
    expect(after(29)).toMatchObject({ kind: 'running', lookAt: START + 30 * MINUTE });
    expect(after(50, saidAt(40))).toMatchObject({ kind: 'running', lookAt: START + 70 * MINUTE });
  });

  it('is not ended for what was not heard: its log is wanted first', () => {
    expect(after(30)).toEqual({ kind: 'logWanted' });
    expect(after(70, saidAt(40))).toEqual({ kind: 'logWanted' });
  });

  it.each(['alive', 'unknown'] as const)('is looked at again when its node says: %s', (lately) => {
    expect(after(30, { lately })).toMatchObject({ kind: 'running', lookAt: START + 37.5 * MINUTE });
  });

  it('is a failed attempt when its node says so too, unless it had left its result', () => {
    expect(after(70, { ...saidAt(40), lately: 'silent' })).toEqual({ kind: 'resultWanted' });
    const trouble = { code: 'Unavailable', message: 'The bucket does not answer.' };
    expect(after(70, { spoken: { ...saidAt(40).spoken, trouble }, lately: 'silent', stored: { state: 'absent' } })).toEqual({
      kind: 'failed',
      code: 'Stalled',
      retryable: true,
      node: 'n1',
      message: expect.stringMatching(/Pod pod .* node n1 .* nothing since 2030-01-01T00:40:00Z .* 30m .*last words: The bucket does not answer\. Look whether/),
    });
  });

  it.each([
    ['of an earlier release, that does not say when it gets on', { job: { ...job, annotations: {} } }],
    ['whose Job is being deleted', { job: { ...job, deleting: true } }],
    ['of a pod that is to end', { pods: [{ ...pod, deleting: true }] }],
  ])('is let be for ever: one %s', (_, changes) => {
    expect(after(600, changes)).toMatchObject({ kind: 'running' });
  });

  it('is looked at as soon as its node counts as lost, when that is earlier', () => {
    expect(after(10, { pods: [{ ...pod, nodeLostSince: START + 9 * MINUTE }] })).toMatchObject({ kind: 'running', trouble: { reason: 'NodeLost' }, lookAt: START + 11 * MINUTE });
  });
});
