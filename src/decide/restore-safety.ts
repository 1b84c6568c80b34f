/** The state before a restore is backed up first; without it nothing is restored, unless the spec says otherwise (design.md, invariant 7). */
import { LABEL_RESTORE, LABEL_RESTORE_UID, LABEL_TRIGGER, type Restore } from '../api/index.ts';
import { labelValue } from './child-names.ts';
import { findCondition } from './conditions.ts';
import type { Failure } from './failure-reason.ts';
import { checkWritableGround } from './preconditions.ts';
import type { RestoreFacts } from './restore-facts.ts';
import { restoredBackup } from './restore-source.ts';
import { giveUp, underWay, waitAWhile, writeRestore, type RestoreChange, type RestorePlan } from './restore-status.ts';

/** Its end is seen by a watch; this is for the deadline alone. */
const SUSPENDED_LOOK_MS = 60_000;

/** Why the state before cannot be stored though it must be: said while the workload still runs, not after it was stopped in vain. */
export function stateBeforeRefused({ restore, home }: RestoreFacts): Failure | undefined {
  if (restore.spec.safetyBackup !== 'Required') return undefined;
  const checked = checkWritableGround(home);
  if (checked.ok) return undefined;
  const { name, namespace = '' } = restore.metadata;
  const skip = `kubectl patch restores.backup.dupp.de ${name} -n ${namespace} --type merge -p '{"spec":{"safetyBackup":"Skip"}}'`;
  return {
    reason: 'SafetyBackupImpossible',
    message: `The state before has to be backed up first (spec.safetyBackup: Required) and cannot be stored: ${checked.message} Nothing was touched. If that state is not needed, \`${skip}\` goes on, and then nothing can be undone; a new Restore with spec.target.type: NewVolume leaves it as it is.`,
  };
}

/** The same where it is only preferred: then it goes on without, once it was waited for while the workload still ran. */
export function stateBeforeLost({ restore, home }: Pick<RestoreFacts, 'restore' | 'home'>): Failure | undefined {
  if (restore.spec.safetyBackup !== 'Preferred') return undefined;
  const checked = checkWritableGround(home);
  return checked.ok ? undefined : checked;
}

export function decideSafetyBackup(facts: RestoreFacts, now: number): RestorePlan {
  const { restore, safety, source } = facts;
  const name = restore.status?.safetyBackup ?? '';
  if (safety === undefined) {
    const policy = source?.spec.policy;
    if (policy === undefined) return giveUp(facts, 'SourceMissing', `Backup ${restoredBackup(restore) ?? ''} is gone.`, now);
    return { steps: [{ do: 'createSafetyBackup', backup: safetyBackup(restore, name, policy) }] };
  }
  if (safety.metadata.labels?.[LABEL_RESTORE_UID] !== restore.metadata.uid) {
    return giveUp(
      facts,
      'SafetyBackupNameTaken',
      `Backup ${name} exists and was not made for this restore. Delete it, then create a new Restore.`,
      now,
    );
  }
  const restoring: RestoreChange = { phase: 'Restoring', conditions: [underWay('Starting', 'The mover is being started.')], fields: { attempt: 1, waitingSince: undefined } };
  const condition = findCondition(safety.status?.conditions, 'Stored');
  // What a cancelled one left is forgotten by a mover that waits for this restore to end: nothing more comes of it.
  const isCancelled = safety.spec.cancel && safety.status?.phase !== 'Stored';
  switch (isCancelled ? 'Cancelled' : (safety.status?.phase ?? 'Pending')) {
    case 'Stored': {
      const complete = findCondition(safety.status?.conditions, 'Complete')?.status === 'True';
      if (complete || restore.spec.safetyBackup !== 'Required') return { steps: [writeRestore(facts, restoring, now)], again: true };
      return giveUp(
        facts,
        'SafetyBackupIncomplete',
        `Backup ${name} of the state before could not read every file, so the restore could not be undone. Nothing was restored. spec.safetyBackup: Preferred goes on without.`,
        now,
      );
    }
    case 'Failed':
    case 'Rejected':
    case 'Cancelled':
    case 'Deleting': {
      // It holds nothing, so nobody is to be told that it undoes the restore.
      if (restore.spec.safetyBackup === 'Preferred')
        return { steps: [writeRestore(facts, { ...restoring, fields: { ...restoring.fields, safetyBackup: undefined } }, now)], again: true };
      const why = condition === undefined ? '' : ` ${condition.reason}: ${condition.message}`;
      return giveUp(facts, 'SafetyBackupFailed', `Backup ${name} of the state before failed, so nothing was restored.${why} spec.safetyBackup: Preferred in a new Restore goes on without; target.type: NewVolume needs none.`, now);
    }
    case 'Pending':
    case 'Queued':
    case 'Snapshotting':
    case 'Transferring': {
      const how = condition === undefined || condition.status === 'True' ? '' : ` ${condition.reason}: ${condition.message}`;
      // Everything else that a backup waits for has a deadline of its own, and a queueing system may have none.
      if (condition?.reason === 'JobSuspended')
        return waitAWhile(
          facts,
          { reason: 'SafetyBackup', message: `The state before is backed up as Backup ${name}.${how}`, lookAfter: SUSPENDED_LOOK_MS, tooLong: () => ({ steps: [{ do: 'cancelSafetyBackup', name }], again: true }) },
          now,
        );
      return {
        steps: [
          writeRestore(
            facts,
            { phase: 'SafetyBackup', conditions: [underWay('SafetyBackup', `The state before is backed up as Backup ${name}.${how}`)] },
            now,
          ),
        ],
      };
    }
  }
}

function safetyBackup(restore: Restore, name: string, policy: string) {
  const { metadata, spec } = restore;
  return {
    name,
    labels: { [LABEL_RESTORE]: labelValue(metadata.name), [LABEL_RESTORE_UID]: metadata.uid, [LABEL_TRIGGER]: 'Safety' },
    spec: {
      policy,
      trigger: 'Safety',
      note: `The state before Restore ${metadata.name} of Backup ${restoredBackup(restore) ?? ''}.`,
      ...(spec.requestedBy === undefined ? {} : { requestedBy: spec.requestedBy }),
    },
  } as const;
}
