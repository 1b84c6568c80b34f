import type { ConditionInput, Restore, RestorePhase, RestoreStatus } from '../api/index.ts';
import { timeOf } from './backup-status.ts';
import { attemptName } from './child-names.ts';
import { findCondition, mergeConditions } from './conditions.ts';
import type { Plan } from './backup-facts.ts';
import { displayDuration, displayTime } from './display.ts';
import { WAIT_DEADLINE_MS } from './preconditions.ts';
import type { RestoreFacts, RestoreStep } from './restore-facts.ts';
import { restoredBackup } from './restore-source.ts';

export type RestorePlan = Plan<RestoreStep>;

export interface RestoreChange {
  readonly phase: RestorePhase;
  readonly conditions: readonly ConditionInput[];
  /** Fields to lay over the status; `undefined` removes one. */
  readonly fields?: { readonly [Field in keyof RestoreStatus]?: RestoreStatus[Field] | undefined };
}

/** The whole status after a change. The same change decided again gives the same status, so nothing is written twice. */
export function changedRestore(restore: Restore, change: RestoreChange, now: number): RestoreStatus {
  const { generation } = restore.metadata;
  const merged = {
    backup: restoredBackup(restore),
    ...restore.status,
    ...change.fields,
    observedGeneration: generation,
    phase: change.phase,
    conditions: mergeConditions(restore.status?.conditions, change.conditions, generation, displayTime(now)),
  };
  return Object.fromEntries(Object.entries(merged).filter(([, value]) => value !== undefined)) satisfies RestoreStatus;
}

/** Not ended yet. */
export function underWay(reason: string, message: string): ConditionInput {
  return { type: 'Succeeded', status: 'Unknown', reason, message };
}

export function notSucceeded(reason: string, message: string): ConditionInput {
  return { type: 'Succeeded', status: 'False', reason, message };
}

/** What became of the volumes. It stands before the workload is scaled up again, so that the end is known after a crash in between. */
export const OUTCOME = 'Restored';

export function outcome(status: 'True' | 'False', reason: string, message: string): ConditionInput {
  return { type: OUTCOME, status, reason, message };
}

/** Phases in which it has its turn: the customer's workload is, or may be, down for it, or new volumes are written. */
const ACTIVE: ReadonlySet<string> = new Set<RestorePhase>(['ScalingDown', 'SafetyBackup', 'Restoring', 'ScalingUp', 'CleaningUp']);

export function isIntoNewVolumes(restore: Restore): boolean {
  return restore.spec.target.type === 'NewVolume';
}

/** What follows once it is known what became of the volumes. */
export function endingPhase(restore: Restore): 'ScalingUp' | 'CleaningUp' {
  return isIntoNewVolumes(restore) ? 'CleaningUp' : 'ScalingUp';
}

export function isActive(restore: Restore): boolean {
  return ACTIVE.has(restore.status?.phase ?? '');
}

export function hasEnded(restore: Restore): boolean {
  const phase = restore.status?.phase;
  return phase === 'Succeeded' || phase === 'Failed' || phase === 'Cancelled';
}

/** The step that writes a change. */
export function writeRestore(facts: RestoreFacts, change: RestoreChange, now: number): RestoreStep {
  return { do: 'writeStatus', status: changedRestore(facts.restore, change, now) };
}

/** The volumes are as they are; what is left is to bring the workload back, or to remove what was made. */
export function giveUp(facts: RestoreFacts, reason: string, message: string, now: number): RestorePlan {
  const { metadata, status: { attempt = 0 } = {} } = facts.restore;
  // Its Job would be seen, but not the Secret that an operator made who ended before he made the Job.
  const clear: readonly RestoreStep[] = attempt > 0 && facts.attempt.job === undefined ? [{ do: 'clearMover', name: attemptName(metadata.uid, attempt) }] : [];
  return { steps: [...clear, writeRestore(facts, ending(facts.restore, outcome('False', reason, message)), now)], again: true };
}

/** What became of the volumes is known, and written before anything else is done. */
export function ending(restore: Restore, result: ConditionInput, fields: RestoreChange['fields'] = {}): RestoreChange {
  const phase = endingPhase(restore);
  return { phase, conditions: [result, underWay(phase, result.message)], fields: { ...fields, waitingSince: undefined } };
}

/** The end, as the outcome says that it is. */
export function concluded(restore: Restore, tail: string, now: number, fields: RestoreChange['fields'] = {}): RestoreChange {
  const result = findCondition(restore.status?.conditions, OUTCOME);
  const message = `${result?.message ?? ''}${tail}`;
  const succeeded = result?.status === 'True';
  return {
    phase: succeeded ? 'Succeeded' : result?.reason === 'Cancelled' ? 'Cancelled' : 'Failed',
    conditions: [succeeded ? { type: 'Succeeded', status: 'True', reason: 'Restored', message } : notSucceeded(result?.reason ?? 'Failed', message)],
    fields: {
      completedAt: displayTime(now),
      duration: displayDuration(now - (timeOf(restore.status?.startedAt) ?? now)),
      progress: undefined,
      waitingSince: undefined,
      ...fields,
    },
  };
}

export interface Wait {
  readonly reason: string;
  readonly message: string;
  /** Milliseconds until the next look, though nothing was seen to change. */
  readonly lookAfter: number;
  /** Written first, whatever comes of the wait. */
  readonly before?: readonly RestoreStep[];
  /** What follows when it has lasted too long. */
  readonly tooLong: (message: string) => RestorePlan;
}

/** Waits for what only others can bring about: said at once with the time at which it is given up, for a workload may be down meanwhile. */
export function waitAWhile(facts: RestoreFacts, wait: Wait, now: number): RestorePlan {
  const { status } = facts.restore;
  const since = timeOf(status?.waitingSince) ?? Math.floor(now / 1000) * 1000;
  const deadline = since + WAIT_DEADLINE_MS;
  if (now >= deadline) return wait.tooLong(`${wait.message} Given up after ${WAIT_DEADLINE_MS / 60_000} minutes.`);
  const message = `${wait.message} It is given up at ${displayTime(deadline)}.`;
  const change: RestoreChange = { phase: status?.phase ?? 'Pending', conditions: [underWay(wait.reason, message)], fields: { waitingSince: displayTime(since) } };
  return { steps: [...(wait.before ?? []), writeRestore(facts, change, now)], wakeAt: Math.min(deadline, now + wait.lookAfter) };
}
