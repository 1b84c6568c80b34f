/** Deletion and cancelling: the mover stops, the snapshot is forgotten, and only then the object goes or is `Cancelled`. */
import { FINALIZER, type Backup, type BackupPhase, type ConditionInput } from '../api/index.ts';
import { afterPostHooks } from './backup-hooks.ts';
import type { BackupFacts, BackupStep, Plan } from './backup-facts.ts';
import { FIRST_FORGET_ATTEMPT, changedStatus, isEnding, mayHaveSnapshot, notDeleted, notStored, type StatusChange } from './backup-status.ts';
import { attemptName } from './child-names.ts';
import { displayTime } from './display.ts';
import { ANNOTATION_ABANDON, coveredBy, forgetState } from './forget.ts';
import type { Failure } from './failure-reason.ts';
import type { JobFact } from './observed.ts';
import { isReadOnly } from './tenant-record.ts';

type BackupPlan = Plan<BackupStep>;

export function decideDeletion(facts: BackupFacts, now: number): BackupPlan {
  const { backup, ground } = facts;
  if (!(backup.metadata.finalizers ?? []).includes(FINALIZER)) return { steps: [] };
  // A namespace on its way out never takes the stored data with it, and never hangs on us.
  if (ground.namespace?.terminating === true) return { steps: [{ do: 'removeFinalizer' }] };
  const own = ownMover(facts);
  if (backup.metadata.annotations?.[ANNOTATION_ABANDON] === 'true')
    return { steps: [...(own === undefined ? [] : stop(own)), { do: 'removeFinalizer' }] };
  const write = writer(facts, now, { phase: 'Deleting', condition: notDeleted });
  if (own !== undefined) return { steps: [...write('Stopping', 'Its mover is being stopped.'), ...stop(own)] };
  return afterPostHooks(facts, now, { phase: 'Deleting', condition: notDeleted }, () => decideLeaving(facts, now, write));
}

/** Nothing runs for it any more, and the workload is released. */
function decideLeaving(facts: BackupFacts, now: number, write: Write): BackupPlan {
  const { backup } = facts;
  if (!mayHaveSnapshot(backup)) return { steps: [...leftovers(backup), { do: 'removeFinalizer' }] };
  const stopped = readOnly(facts) ?? facts.forget.stopped;
  if (stopped !== undefined) {
    const change: StatusChange = { phase: backup.status?.phase ?? 'Stored', conditions: [notDeleted(stopped.reason, stopped.message)] };
    return { steps: [{ do: 'writeStatus', status: changedStatus(backup, change, now) }] };
  }
  return forget(facts, now, write, [{ do: 'removeFinalizer' }]);
}

/** What lies in a copy is only read, and its locks would refuse anyway. */
function readOnly({ ground: { location } }: BackupFacts): Failure | undefined {
  if (location === undefined || !isReadOnly(location)) return undefined;
  const message = `What lies in BackupLocation ${location.metadata.name} is a copy and only read, so nothing of it is forgotten; the backup can be restored meanwhile. The annotation ${ANNOTATION_ABANDON}: "true" lets go of it, and leaves what is stored to its locks.`;
  return { reason: 'LocationReadOnly', message };
}

export function decideCancel(facts: BackupFacts, now: number): BackupPlan {
  const { backup } = facts;
  const phase = backup.status?.phase ?? 'Pending';
  const write = writer(facts, now, { phase, condition: notStored });
  const own = ownMover(facts);
  if (own !== undefined) return { steps: [...write('Cancelling', 'Its mover is being stopped.'), ...stop(own)] };
  return afterPostHooks(facts, now, { phase, condition: notStored }, () => decideCancelled(facts, now, write));
}

function decideCancelled(facts: BackupFacts, now: number, write: Write): BackupPlan {
  const { backup } = facts;
  const cancelled: StatusChange = {
    phase: 'Cancelled',
    conditions: [notStored('Cancelled', 'Cancelled as spec.cancel asked. Nothing of it is kept.')],
    fields: { progress: undefined, nextAttemptAt: undefined, completedAt: backup.status?.completedAt ?? displayTime(now) },
  };
  const end: readonly BackupStep[] = [...leftovers(backup), { do: 'writeStatus', status: changedStatus(backup, cancelled, now) }];
  if (!mayHaveSnapshot(backup)) return { steps: end };
  return forget(facts, now, write, end);
}

/** The mover's credentials could not be made, so no Job was. */
export function decideForgetRefused(facts: BackupFacts, failure: Failure, now: number): BackupPlan {
  const { backup } = facts;
  const isDeletion = backup.metadata.deletionTimestamp !== undefined;
  const write = writer(
    facts,
    now,
    isDeletion ? { phase: 'Deleting', condition: notDeleted } : { phase: backup.status?.phase ?? 'Pending', condition: notStored },
  );
  const wakeAt = now + REFUSED_LOOK_MS;
  const letGo = isDeletion ? ` The annotation ${ANNOTATION_ABANDON}: "true" lets go without forgetting.` : '';
  return {
    steps: write(failure.reason, `The snapshot cannot be forgotten: ${failure.message}${letGo}`, { nextAttemptAt: displayTime(wakeAt) }),
    wakeAt,
  };
}

const REFUSED_LOOK_MS = 30_000;
const WAITING_LOOK_MS = 30_000;

type Write = (reason: string, message: string, fields?: StatusChange['fields']) => readonly BackupStep[];

function forget(facts: BackupFacts, now: number, write: Write, end: readonly BackupStep[]): BackupPlan {
  const state = forgetState(facts, now);
  switch (state.kind) {
    case 'forgotten':
      return { steps: end };
    case 'waiting': {
      const clear: readonly BackupStep[] = state.clear === undefined ? [] : [{ do: 'clearMover', name: state.clear }];
      const renew: readonly BackupStep[] = state.renew === undefined ? [] : [{ do: 'renewCredentials', name: state.renew }];
      return {
        steps: [...write(state.reason, state.message, state.fields), ...clear, ...renew],
        // What stands in the way (another's Job, a restore, a place of the location) may go without a sign that reaches this backup.
        wakeAt: Math.min(state.wakeAt ?? Infinity, now + WAITING_LOOK_MS),
      };
    }
    case 'admitted':
      return { steps: [...leftovers(facts.backup), ...write('Forgetting', 'Its snapshot is being forgotten.', state.fields)], again: true };
    case 'start':
      return { steps: [{ do: 'startMover', start: state.start }] };
  }
}

function writer(facts: BackupFacts, now: number, how: { phase: BackupPhase; condition: (reason: string, message: string) => ConditionInput }): Write {
  return (reason, message, fields) => [
    {
      do: 'writeStatus',
      status: changedStatus(
        facts.backup,
        { phase: how.phase, conditions: [how.condition(reason, message)], fields: { progress: undefined, ...fields } },
        now,
      ),
    },
  ];
}

/** This backup's own transfer Job while it or a pod of it is there. A forget Job is none of these. */
function ownMover(facts: BackupFacts): JobFact | undefined {
  const { uid } = facts.backup.metadata;
  const { job } = facts.attempt;
  if (job !== undefined && coveredBy(job).length === 0 && job.owners.some((owner) => owner.uid === uid)) return job;
  return undefined;
}

/** A Secret whose Job was never made, or is gone, is found by name alone. */
function leftovers(backup: Backup): readonly BackupStep[] {
  const attempt = backup.status?.attempt ?? 0;
  return attempt > 0 && attempt < FIRST_FORGET_ATTEMPT ? [{ do: 'clearMover', name: attemptName(backup.metadata.uid, attempt) }] : [];
}

function stop(job: JobFact): readonly BackupStep[] {
  return job.deleting ? [] : [{ do: 'stopMover', name: job.name }];
}

/** The backups that a forget Job of the namespace should cover now. */
export function wantsForgetting(backup: Backup, hasOwnMover: boolean): boolean {
  return isEnding(backup) && !hasOwnMover && mayHaveSnapshot(backup);
}

/** A forget Job that a living, cancelled backup owns is not collected by itself: it goes when nobody needs its result any more. */
export function forgetJobIsDone(facts: BackupFacts): string | undefined {
  const { job } = facts.forget.job;
  if (job === undefined) return undefined;
  const covered = coveredBy(job);
  if (!covered.includes(facts.backup.metadata.uid)) return undefined;
  return facts.forget.wanting.some((other) => other.metadata.uid !== facts.backup.metadata.uid && covered.includes(other.metadata.uid))
    ? undefined
    : job.name;
}
