import type { ConditionInput, Restore, RestorePhase, RestoreStatus } from '../api/index.ts';
import { mergeConditions } from './conditions.ts';
import type { Plan } from './backup-facts.ts';
import { displayTime } from './display.ts';
import type { RestoreFacts, RestoreStep } from './restore-facts.ts';

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

/** Phases in which the customer's workload is, or may be, down for this restore. */
const ACTIVE: ReadonlySet<string> = new Set<RestorePhase>(['ScalingDown', 'SafetyBackup', 'Restoring', 'ScalingUp']);

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

/** The volumes are as they are; what is left is to bring the workload back. */
export function giveUp(facts: RestoreFacts, reason: string, message: string, now: number): RestorePlan {
  const change: RestoreChange = { phase: 'ScalingUp', conditions: [outcome('False', reason, message), underWay('ScalingUp', message)] };
  return { steps: [writeRestore(facts, change, now)], again: true };
}
