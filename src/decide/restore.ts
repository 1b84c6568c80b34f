/**
 * What happens next to a Restore. In place: `Pending → Queued → ScalingDown → SafetyBackup → Restoring → ScalingUp → Succeeded`; into
 * new volumes: `Pending → Queued → Restoring → CleaningUp → Succeeded`. Or it ends `Failed` or `Cancelled`. However it ends, the
 * workload gets the scale that it had before, and new volumes that failed go again. Pure.
 */
import { FINALIZER } from '../api/index.ts';
import { decideCleaningUp } from './new-volume.ts';
import type { RestoreFacts } from './restore-facts.ts';
import { decideSafetyBackup } from './restore-safety.ts';
import { decideScalingDown, decideScalingUp } from './restore-scaling.ts';
import { endingPhase, hasEnded, isActive, type RestorePlan } from './restore-status.ts';
import { decideStop } from './restore-stopping.ts';
import { decideRestoring } from './restore-transfer.ts';
import { decideWaiting } from './restore-waiting.ts';

export function decideRestore(facts: RestoreFacts, now: number): RestorePlan {
  const { restore, ground } = facts;
  const hasFinalizer = (restore.metadata.finalizers ?? []).includes(FINALIZER);
  const deleting = restore.metadata.deletionTimestamp !== undefined;
  if (deleting && !hasFinalizer) return { steps: [] };
  // An object cannot outlive its namespace: one that is not seen is not seen yet.
  if (ground.namespace === undefined) return { steps: [] };
  if (ground.namespace.terminating) return { steps: hasFinalizer && deleting ? [{ do: 'removeFinalizer' }] : [] };
  if (hasEnded(restore)) return cleanUp(facts, deleting);
  if (deleting && !isActive(restore)) return { steps: [{ do: 'removeFinalizer' }] };
  if (!hasFinalizer) return { steps: [{ do: 'addFinalizer' }], again: true };
  if ((restore.spec.cancel || deleting) && restore.status?.phase !== endingPhase(restore)) return decideStop(facts, now);
  switch (restore.status?.phase ?? 'Pending') {
    case 'Pending':
    case 'Queued':
      return decideWaiting(facts, now);
    case 'ScalingDown':
      return decideScalingDown(facts, now);
    case 'SafetyBackup':
      return decideSafetyBackup(facts, now);
    case 'Restoring':
      return decideRestoring(facts, now);
    case 'ScalingUp':
      return decideScalingUp(facts, now);
    case 'CleaningUp':
      return decideCleaningUp(facts, now);
    case 'Succeeded':
    case 'Failed':
    case 'Cancelled':
      return { steps: [] };
  }
}

function cleanUp(facts: RestoreFacts, deleting: boolean): RestorePlan {
  const { job } = facts.attempt;
  const isOurs = job?.owners.some(({ uid }) => uid === facts.restore.metadata.uid) === true;
  return {
    steps: [
      ...(job !== undefined && isOurs ? [{ do: 'clearMover', name: job.name } as const] : []),
      ...(deleting ? [{ do: 'removeFinalizer' } as const] : []),
    ],
  };
}
