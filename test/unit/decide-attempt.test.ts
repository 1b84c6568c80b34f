import { describe, expect, it } from '@jest/globals';
import { attemptState, START_DEADLINE_MS } from '../../src/decide/attempt.ts';
import { NO_ATTEMPT, type AttemptFacts } from '../../src/decide/observed.ts';
import { identity, jobOf, podOf } from '../support/attempt-facts.ts';

const NOW = Date.parse('2030-01-01T00:00:00Z');
const job = jobOf(NOW);
const pod = podOf();

function facts(changes: Partial<AttemptFacts>): AttemptFacts {
  return { ...NO_ATTEMPT, job, ...changes };
}

function troubleWith(changes: Partial<AttemptFacts>) {
  const state = attemptState(identity, facts(changes), NOW);
  return state.kind === 'starting' || state.kind === 'running' ? state.trouble : state;
}

const warning = { seenAt: NOW, message: 'exceeded quota: movers', about: 'tbmover-x-1', reason: 'FailedCreate' };

describe('what keeps a mover from getting on is told while it happens', () => {
  it.each([
    [
      'an image that cannot be pulled',
      { pods: [{ ...pod, waiting: { reason: 'ImagePullBackOff', message: 'no such image.' } }] },
      'ImageNotPullable',
      /cannot be pulled.*no such image.*spec\.mover\.image/,
    ],
    [
      'a Secret that is missing',
      { pods: [{ ...pod, waiting: { reason: 'CreateContainerConfigError', message: 'secret "x" not found' } }] },
      'CreateContainerConfigError',
      /secret "x" not found/,
    ],
    ['no node that takes it', { pods: [{ ...pod, unschedulable: '0/3 nodes are available' }] }, 'Unschedulable', /0\/3 nodes/],
    [
      'a volume that cannot be mounted',
      {
        pods: [{ ...pod, waiting: { reason: 'ContainerCreating', message: '' } }],
        warnings: [{ ...warning, about: 'pod', reason: 'FailedMount', message: 'timed out' }],
      },
      'VolumeNotMounted',
      /timed out/,
    ],
    ['a quota', { warnings: [warning] }, 'QuotaExceeded', /exceeded quota/],
    ['pod security', { warnings: [{ ...warning, message: 'violates PodSecurity "restricted:latest"' }] }, 'PodRefused', /violates PodSecurity/],
    ['a queueing system', { job: { ...job, suspended: true } }, 'JobSuspended', /suspended/],
    [
      'what the mover says itself',
      {
        pods: [{ ...pod, running: true }],
        spoken: { progress: undefined, trouble: { code: 'Unavailable', message: 'The bucket does not answer.' } },
      },
      'Unavailable',
      /does not answer/,
    ],
    ['a node that does not answer', { pods: [{ ...pod, running: true, node: 'n1', reason: 'NodeLost' }] }, 'NodeLost', /n1/],
  ] satisfies [string, Partial<AttemptFacts>, string, RegExp][])('%s', (_name, changes, reason, message) => {
    expect(troubleWith(changes)).toEqual({ reason, message: expect.stringMatching(message) });
  });

  it('an old mount failure is not told of a container that runs', () => {
    expect(troubleWith({ pods: [{ ...pod, running: true }], warnings: [{ ...warning, about: 'pod', reason: 'FailedMount' }] })).toBeUndefined();
  });

  it('is the cause when the mover has not started for half an hour', () => {
    const state = attemptState(identity, facts({ pods: [{ ...pod, unschedulable: 'no node' }] }), NOW + START_DEADLINE_MS + 1);
    expect(state).toMatchObject({ kind: 'failed', code: 'Unschedulable', retryable: false });
    expect(attemptState(identity, facts({ job: { ...job, suspended: true } }), NOW + START_DEADLINE_MS + 1).kind).toBe('starting');
    expect(attemptState(identity, facts({ job: { ...job, resumedAt: NOW + START_DEADLINE_MS } }), NOW + START_DEADLINE_MS + 1).kind).toBe('starting');
  });
});

const good = {
  version: 1,
  task: 'backup',
  attempt: 'tbmover-x-1',
  uid: 'uid',
  outcome: 'succeeded',
  startedAt: '',
  finishedAt: '',
  warnings: [],
  warningCount: 0,
  backup: { snapshotId: 'ab'.repeat(32), complete: true, files: 1, directories: 1, filesUnchanged: 0, bytesProcessed: 1, bytesAdded: 1 },
};

function endedWith(message: unknown, exitCode = 0) {
  return attemptState(
    identity,
    facts({
      pods: [
        {
          ...pod,
          phase: 'Succeeded',
          terminated: { exitCode, reason: 'Completed', message: typeof message === 'string' ? message : JSON.stringify(message) },
        },
      ],
    }),
    NOW,
  );
}

describe('a result', () => {
  it('of ours is taken', () => {
    expect(endedWith(good)).toMatchObject({ kind: 'succeeded', result: { outcome: 'succeeded' } });
  });

  it.each([
    ['of an unknown version', { ...good, version: 2 }],
    ['without a version', { ...good, version: undefined }],
    ['of another Backup', { ...good, uid: 'another' }],
    ['of another attempt', { ...good, attempt: 'tbmover-x-2' }],
    ['of another task', { ...good, task: 'restore' }],
    ['that is malformed', { ...good, warnings: 'none' }],
    ['that succeeded with nothing', { ...good, backup: undefined }],
  ])('%s is refused, and not tried again (invariant 9)', (_name, value) => {
    expect(endedWith(value)).toMatchObject({ kind: 'failed', code: 'ResultRefused', retryable: false });
  });

  it('of another version is refused with both versions named', () => {
    expect(endedWith({ ...good, version: 2 })).toMatchObject({ message: expect.stringMatching(/has version 2; this operator knows 1/) });
  });

  it('that was cut off is looked for in the bucket', () => {
    const cut = JSON.stringify(good).slice(0, 100);
    expect(endedWith(cut)).toEqual({ kind: 'resultWanted' });
    const pods = [{ ...pod, phase: 'Succeeded', terminated: { exitCode: 0, reason: 'Completed', message: cut } }];
    expect(attemptState(identity, facts({ pods, stored: { state: 'found', value: good } }), NOW).kind).toBe('succeeded');
    expect(attemptState(identity, facts({ pods, stored: { state: 'absent' } }), NOW)).toMatchObject({
      kind: 'failed',
      code: 'MoverLost',
      retryable: true,
    });
    expect(attemptState(identity, facts({ pods, stored: { state: 'unreachable', message: 'gone' } }), NOW).kind).toBe('resultUnreachable');
  });

  it('is asked of the bucket when the Job was deleted, and the Job is not made again', () => {
    expect(attemptState(identity, NO_ATTEMPT, NOW).kind).toBe('resultWanted');
    expect(attemptState({ ...identity, jobWasSeen: false }, NO_ATTEMPT, NOW).kind).toBe('absent');
  });
});

describe('an end without a result', () => {
  it.each([
    ['out of memory', 137, 'OOMKilled', 'OOMKilled', true],
    ['killed', 137, 'Error', 'MoverLost', true],
    ['retryable', 75, 'Error', 'MoverLost', true],
    ['broken', 1, 'Error', 'MoverFailed', false],
    ['without a program', 128, 'StartError', 'MoverCannotRun', false],
  ])('%s', (_name, exitCode, reason, code, retryable) => {
    const state = attemptState(
      identity,
      facts({ pods: [{ ...pod, phase: 'Failed', terminated: { exitCode, reason, message: '' } }], stored: { state: 'absent' } }),
      NOW,
    );
    expect(state).toMatchObject({ kind: 'failed', code, retryable });
  });

  it('of an evicted pod is retryable and says so', () => {
    const state = attemptState(
      identity,
      facts({ pods: [{ ...pod, phase: 'Failed', reason: 'Evicted', message: 'low on disk' }], stored: { state: 'absent' } }),
      NOW,
    );
    expect(state).toMatchObject({ kind: 'failed', code: 'MoverEvicted', retryable: true, message: expect.stringContaining('low on disk') });
  });
});
