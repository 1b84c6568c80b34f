/** `spec.cancel`, or a deletion, before a restore has ended. */
import { LABEL_RESTORE_UID } from '../api/index.ts';
import { isTerminal } from './backup-status.ts';
import { displayList, displayTime } from './display.ts';
import { leftBehind } from './lost-node.ts';
import type { RestoreFacts } from './restore-facts.ts';
import { giveUp, isIntoNewVolumes, notSucceeded, underWay, writeRestore, type RestoreChange, type RestorePlan } from './restore-status.ts';

/** A node that does not answer says nothing that could be watched. */
const LEAVING_LOOK_MS = 10_000;

export function decideStop(facts: RestoreFacts, now: number): RestorePlan {
  const { restore, attempt, safety } = facts;
  const phase = restore.status?.phase ?? 'Pending';
  if (phase === 'Pending' || phase === 'Queued') {
    const change: RestoreChange = {
      phase: 'Cancelled',
      conditions: [notSucceeded('Cancelled', 'Cancelled before anything was touched.')],
      fields: { completedAt: displayTime(now) },
    };
    return { steps: [writeRestore(facts, change, now)] };
  }
  const { job } = attempt;
  if (job?.owners.some(({ uid }) => uid === restore.metadata.uid) === true) {
    const left = leftBehind(attempt.pods, now);
    const why = left?.reason === 'NodeLost' ? underWay(left.reason, left.message) : underWay('Cancelling', 'The mover is being stopped.');
    const said = writeRestore(facts, { phase, conditions: [why], fields: { jobName: job.name } }, now);
    return { steps: job.deleting ? [said] : [said, { do: 'stopMover', name: job.name }], wakeAt: now + LEAVING_LOOK_MS };
  }
  const isRunning = safety !== undefined && !isTerminal(safety.status?.phase) && safety.metadata.deletionTimestamp === undefined;
  if (isRunning && safety.metadata.labels?.[LABEL_RESTORE_UID] === restore.metadata.uid && !safety.spec.cancel)
    return { steps: [{ do: 'cancelSafetyBackup', name: safety.metadata.name }], again: true };
  if (isIntoNewVolumes(restore)) return giveUp(facts, 'Cancelled', 'Cancelled while it was restoring into new volumes.', now);
  const touched = phase === 'Restoring' && restore.status?.jobName !== undefined;
  const undo = restore.status?.safetyBackup === undefined ? '' : ` Backup ${restore.status.safetyBackup} holds the state before.`;
  const message = touched
    ? `Cancelled while it was restoring: volume ${displayList(restore.status.volumes ?? [])} may be half restored.${undo}`
    : 'Cancelled before anything was written.';
  return giveUp(facts, 'Cancelled', message, now);
}
