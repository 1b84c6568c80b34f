import type { AttemptIdentity } from '../../src/decide/attempt.ts';
import type { JobFact, MoverPodFact } from '../../src/decide/observed.ts';

/** The first attempt of a Backup whose Job is there. */
export const identity: AttemptIdentity = { task: 'backup', name: 'tbmover-x-1', uid: 'uid', jobWasSeen: true };

/** Its Job as it is right after it was made. */
export function jobOf(createdAt: number, changes: Partial<JobFact> = {}): JobFact {
  return {
    name: 'tbmover-x-1',
    uid: 'job',
    owners: [{ kind: 'Backup', uid: 'uid' }],
    annotations: {},
    createdAt,
    suspended: false,
    resumedAt: undefined,
    deleting: false,
    ended: undefined,
    ...changes,
  };
}

/** Its pod, which no node has taken yet. */
export function podOf(changes: Partial<MoverPodFact> = {}): MoverPodFact {
  return {
    name: 'pod',
    jobName: 'tbmover-x-1',
    phase: 'Pending',
    reason: '',
    message: '',
    node: undefined,
    deleting: false,
    running: false,
    unschedulable: undefined,
    waiting: undefined,
    terminated: undefined,
    disruption: undefined,
    ...changes,
  };
}
