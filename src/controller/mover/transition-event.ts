import type { Condition } from '../../api/index.ts';
import { findCondition } from '../../decide/index.ts';
import type { EventInput } from '../../kube/index.ts';

interface Standing {
  readonly phase?: string | undefined;
  readonly conditions?: readonly Condition[] | undefined;
}

/** Steps that pass in a moment and tell a person nothing; the status shows them. */
const QUIET = new Set(['WaitingForSlot', 'TenantMissing', 'Starting', 'LocationBusy', 'NamespaceBusy', 'NodeBusy', 'RestoreRunning', 'Stopping']);
/** Phases in which a reason that has changed is no trouble. */
const FINE = new Set([
  'Stored',
  'Succeeded',
  'Cancelled',
  'Snapshotting',
  'Transferring',
  'Restoring',
  'ScalingDown',
  'ScalingUp',
  'CleaningUp',
  'SourceChosen',
  'SafetyBackup',
  'Forgetting',
  'Cancelling',
  'Restored',
  'Deleting',
]);

/** What is worth an event in a change of status: a new phase, or a new reason in the conditions that tell how it stands. */
export function transitionEvent(before: Standing | undefined, after: Standing, types: readonly string[]): EventInput | undefined {
  const changed = types
    .map((type) => ({ was: findCondition(before?.conditions, type), is: findCondition(after.conditions, type) }))
    .find(({ was, is }) => is !== undefined && (was?.reason !== is.reason || was.status !== is.status));
  const phaseChanged = before?.phase !== after.phase;
  if (changed?.is === undefined) {
    return phaseChanged && after.phase !== undefined && after.phase !== 'Pending'
      ? { type: 'Normal', reason: after.phase, action: after.phase, message: `It is ${after.phase} now.` }
      : undefined;
  }
  const { reason, message } = changed.is;
  if (QUIET.has(reason)) return undefined;
  return { type: FINE.has(reason) ? 'Normal' : 'Warning', reason, action: after.phase ?? 'Pending', message };
}

/** A warning for each of the named conditions that has become False. */
export function newWarnings(before: Standing | undefined, after: Standing, types: readonly string[]): readonly EventInput[] {
  return types.flatMap((type) => {
    const is = findCondition(after.conditions, type);
    if (is?.status !== 'False' || findCondition(before?.conditions, type)?.status === 'False') return [];
    return [{ type: 'Warning' as const, reason: is.reason, action: after.phase ?? 'Pending', message: is.message }];
  });
}
