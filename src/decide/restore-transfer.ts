/** A Restore in `Restoring`: its Job is made, watched, and its end becomes the outcome. */
import { API_VERSION, type MoverResult, type Restore } from '../api/index.ts';
import { attemptState, mayGoOn, type AttemptIdentity, type AttemptState } from './attempt.ts';
import type { MoverStart } from './backup-facts.ts';
import { timeOf } from './backup-status.ts';
import { attemptName, earlierAttemptNames } from './child-names.ts';
import { displayBytes, displayList, displayTime } from './display.ts';
import { failureOf } from './failure-reason.ts';
import { newVolumesState, provisioningTrouble } from './new-volume.ts';
import { restoreOrders } from './orders.ts';
import { checkGround, type Ground } from './preconditions.ts';
import { transferProgress } from './progress.ts';
import { leftBehind } from './lost-node.ts';
import { renewalDue, renewalTime, watchUntil } from './renewal.ts';
import { MAX_ATTEMPTS, retryDelayMs } from './retry.ts';
import type { RestoreFacts, RestoreStep } from './restore-facts.ts';
import { restoredBackup } from './restore-source.ts';
import { changedRestore, ending, giveUp, isIntoNewVolumes, outcome, underWay, waitAWhile, type RestoreChange, type RestorePlan } from './restore-status.ts';
import { mountable, placement, strangersOn } from './volumes.ts';

const RESULT_LOOK_MS = 10_000;
const LEAVING_LOOK_MS = 2000;
const MAX_LISTED = 20;

export function restoreIdentity(restore: Restore): AttemptIdentity {
  const { uid } = restore.metadata;
  return {
    task: 'restore',
    name: attemptName(uid, restore.status?.attempt ?? 1),
    uid,
    jobWasSeen: restore.status?.jobName === attemptName(uid, restore.status?.attempt ?? 1),
  };
}

export function decideRestoring(facts: RestoreFacts, now: number): RestorePlan {
  const { restore } = facts;
  const due = timeOf(restore.status?.nextAttemptAt);
  if (due !== undefined) return betweenAttempts(facts, due, now);
  const state = attemptState(restoreIdentity(restore), facts.attempt, now);
  switch (state.kind) {
    case 'absent':
      return start(facts, now);
    case 'nameTaken':
      return waitToStart(facts, 'NameTaken', `Job ${restoreIdentity(restore).name} exists but belongs to somebody else. Delete it.`, now);
    case 'starting':
    case 'running':
      return watching(facts, state, now);
    case 'logWanted':
    case 'resultWanted':
      return { steps: [], wakeAt: now + RESULT_LOOK_MS };
    case 'resultUnreachable':
      return waitAttempt(facts, 'ResultUnreachable', `The mover has ended, but its result cannot be read: ${state.message}`, now);
    case 'succeeded':
      return succeed(facts, state.result, now);
    case 'failed':
      return fail(facts, state, now);
  }
}

function say(facts: RestoreFacts, reason: string, message: string, now: number, fields: RestoreChange['fields'] = {}): RestoreStep {
  return { do: 'writeStatus', status: changedRestore(facts.restore, { phase: 'Restoring', conditions: [underWay(reason, message)], fields }, now) };
}

/** The workload is down meanwhile, so the place is kept and the wait is only the backoff. */
function betweenAttempts(facts: RestoreFacts, due: number, now: number): RestorePlan {
  const { restore, attempt } = facts;
  if (attempt.job?.owners.some(({ uid }) => uid === restore.metadata.uid) === true)
    return { steps: [{ do: 'clearMover', name: attempt.job.name }], again: true };
  // Two movers that write one volume would undo what the other did, and one that outlives the restore the customer's own work.
  const left = leftBehind(attempt.pods, now);
  if (left !== undefined) return { steps: [say(facts, left.reason, left.message, now)], wakeAt: Math.max(due, now + RESULT_LOOK_MS) };
  if (due > now) return { steps: [], wakeAt: due };
  const number = (restore.status?.attempt ?? 1) + 1;
  return {
    steps: [say(facts, 'Starting', `The mover is being started (attempt ${number}).`, now, { attempt: number, nextAttemptAt: undefined })],
    again: true,
  };
}

/** Before there is a mover. Nothing was written in this attempt, but perhaps in one before. */
function waitToStart(facts: RestoreFacts, reason: string, message: string, now: number, lookAfter = RESULT_LOOK_MS): RestorePlan {
  const touched = (facts.restore.status?.attempt ?? 1) > 1 ? halfRestored(facts.restore) : ' Nothing was restored.';
  return waitAWhile(facts, { reason, message, lookAfter, tooLong: (said) => giveUp(facts, reason, `${said}${touched}`, now) }, now);
}

/** While there is one. */
function waitAttempt(facts: RestoreFacts, reason: string, message: string, now: number): RestorePlan {
  const tooLong = (said: string): RestorePlan => fail(facts, { kind: 'failed', code: reason, message: said, retryable: false, node: undefined }, now);
  return waitAWhile(facts, { reason, message, lookAfter: RESULT_LOOK_MS, tooLong }, now);
}

/** What is missing now was there a moment ago, and the workload is down: it is waited for, but not for ever. */
function start(facts: RestoreFacts, now: number): RestorePlan {
  const { restore } = facts;
  const names = restore.status?.volumes ?? [];
  const wait = (reason: string, message: string, after = RESULT_LOOK_MS): RestorePlan => waitToStart(facts, reason, message, now, after);
  const ground = checkGround(facts.ground);
  if (!ground.ok) return wait(ground.reason, ground.message);
  if (isIntoNewVolumes(restore)) {
    const made = newVolumesState(facts);
    if (made.kind === 'unusable') return giveUp(facts, made.reason, made.message, now);
    if (made.kind === 'toMake') return { steps: made.steps, again: true };
  } else {
    const volumes = mountable(names, facts.claims);
    if (!volumes.ok) return wait(volumes.reason, volumes.message);
  }
  const strangers = strangersOn(names, facts.users);
  if (strangers.length > 0)
    return wait(
      'VolumesInUse',
      `Pod ${displayList(strangers.map(({ pod }) => pod))} uses volume ${strangers[0]?.claim ?? ''}${isIntoNewVolumes(restore) ? '' : ' again'}. Stop it: nothing is restored under a running program.`,
      LEAVING_LOOK_MS,
    );
  const placed = placement(names, facts.claims, facts.users);
  if (!placed.ok) return wait(placed.reason, placed.message);
  return { steps: [{ do: 'startMover', start: moverStart(facts, ground.ground, placed.node) }] };
}

/** The mover's credentials could not be made, so no Job was: a failed attempt like any other. */
export function decideRestoreRefused(
  facts: RestoreFacts,
  failure: { readonly reason: string; readonly message: string; readonly retryable: boolean },
  now: number,
): RestorePlan {
  return fail(facts, { kind: 'failed', code: failure.reason, message: failure.message, retryable: failure.retryable, node: undefined }, now);
}

function moverStart(facts: RestoreFacts, ground: Ground, node: string | undefined): MoverStart {
  const { restore, source } = facts;
  const { uid, name, namespace } = restore.metadata;
  const attempt = restore.status?.attempt ?? 1;
  const newVolumes = restore.status?.newVolumes;
  // The mover finds each claim under the name that it has in the backup.
  const claims = newVolumes?.map(({ claim }) => claim) ?? restore.status?.volumes ?? [];
  const job = attemptName(uid, attempt);
  return {
    orders: restoreOrders({
      attempt: { name: job, number: attempt, uid },
      tenant: { id: ground.tenant.spec.tenantId, generation: source?.status?.keyGeneration ?? 1 },
      location: ground.location.spec,
      deadAttempts: earlierAttemptNames(uid, attempt).filter((earlier) => !facts.liveJobs.has(earlier)),
      claims,
      snapshotId: restore.status?.snapshotId ?? '',
      includes: restore.spec.includes ?? [],
      excludes: restore.spec.excludes ?? [],
      deleteExtra: restore.spec.extraFiles === 'Delete',
    }),
    job: {
      name: job,
      namespace: namespace ?? '',
      task: 'restore',
      owners: [{ apiVersion: API_VERSION, kind: 'Restore', name, uid, controller: true, blockOwnerDeletion: false }],
      tenant: ground.tenant.metadata.name,
      policy: ground.policy.metadata.name,
      backup: undefined,
      restore: { name, uid },
      locationName: ground.location.metadata.name,
      location: ground.location.spec,
      defaultImage: facts.defaultImage,
      claims,
      ...(newVolumes === undefined ? {} : { standIns: Object.fromEntries(newVolumes.map((volume) => [volume.claim, volume.name])) }),
      node,
      labels: ground.policy.spec.mover.labels ?? {},
      annotations: ground.policy.spec.mover.annotations ?? {},
      jobAnnotations: {},
    },
  };
}

function watching(facts: RestoreFacts, state: AttemptState & { readonly kind: 'starting' | 'running' }, now: number): RestorePlan {
  const { restore, attempt } = facts;
  const { name } = restoreIdentity(restore);
  // A queueing system may hold the Job for as long as it likes, but not a workload that is down.
  if (state.kind === 'starting' && state.trouble?.reason === 'JobSuspended' && !isIntoNewVolumes(restore))
    return waitAttempt(facts, state.trouble.reason, state.trouble.message, now);
  const said =
    (state.kind === 'starting' ? provisioningTrouble(facts) : undefined) ??
    state.trouble ??
    (state.kind === 'running'
      ? { reason: 'Restoring', message: `Job ${name} writes the volumes.` }
      : { reason: 'Starting', message: `Job ${name} is starting.` });
  const progress = transferProgress(attempt.spoken.progress, attempt.job?.createdAt ?? now) ?? restore.status?.progress;
  const steps: RestoreStep[] = [say(facts, said.reason, said.message, now, { jobName: name, progress, waitingSince: undefined })];
  if (renewalDue(attempt.job, now)) steps.push({ do: 'renewCredentials', name });
  // Events about claims are not watched.
  const wakeAt = state.kind === 'starting' && isIntoNewVolumes(restore) ? now + RESULT_LOOK_MS : watchUntil(renewalTime(attempt.job), state.lookAt, now);
  return { steps, ...(wakeAt === undefined ? {} : { wakeAt }) };
}

function succeed(facts: RestoreFacts, result: MoverResult, now: number): RestorePlan {
  const done = result.restore;
  if (done === undefined) return { steps: [] };
  const files = done.files + done.filesSkippedIdentical;
  const fields: RestoreChange['fields'] = {
    jobName: restoreIdentity(facts.restore).name,
    progress: undefined,
    filesRestored: done.files,
    filesDeleted: done.deleted,
    bytesWritten: done.bytesWritten,
    warnings: result.warnings.length === 0 ? undefined : result.warnings.slice(0, MAX_LISTED),
  };
  if (!done.complete) {
    const message = `${result.warningCount} paths could not be restored: ${displayList(result.warnings)}.${undo(facts.restore)}`;
    return end(facts, ending(facts.restore, outcome('False', 'RestoreIncomplete', message), fields), now);
  }
  return end(facts, ending(facts.restore, outcome('True', 'Restored', doneMessage(facts.restore, files, done)), fields), now);
}

function doneMessage(restore: Restore, files: number, done: NonNullable<MoverResult['restore']>): string {
  const what = `${files} files are as they were in Backup ${restoredBackup(restore) ?? ''}`;
  const { newVolumes } = restore.status ?? {};
  if (newVolumes !== undefined) return `${what}, in new volume ${displayList(newVolumes.map(({ name }) => name))} (${displayBytes(done.bytesWritten)} written). It stays when this Restore is deleted.`;
  return `${what} (${displayBytes(done.bytesWritten)} written, ${done.deleted} extra files deleted).`;
}

function fail(facts: RestoreFacts, failure: AttemptState & { readonly kind: 'failed' }, now: number): RestorePlan {
  const { restore } = facts;
  const attempt = restore.status?.attempt ?? 1;
  const { reason, message } = (failure.code === 'Unschedulable' ? provisioningTrouble(facts) : undefined) ?? failureOf(failure.code, failure.message);
  const fields: RestoreChange['fields'] = { jobName: restoreIdentity(restore).name, progress: undefined };
  if (failure.retryable && attempt < MAX_ATTEMPTS) {
    const next = now + retryDelayMs(attempt);
    const said = `Attempt ${attempt} of ${MAX_ATTEMPTS} failed and is made again at ${displayTime(next)}: ${message}`;
    return end(
      facts,
      { phase: 'Restoring', conditions: [underWay(reason, said)], fields: { ...fields, nextAttemptAt: displayTime(next), waitingSince: undefined } },
      now,
      next,
    );
  }
  const said = `${attempt > 1 ? `Given up after ${attempt} attempts: ` : ''}${message}${halfRestored(restore)}`;
  return end(facts, ending(restore, outcome('False', reason, said), fields), now);
}

function halfRestored(restore: Restore): string {
  return isIntoNewVolumes(restore) ? '' : ` Volume ${displayList(restore.status?.volumes ?? [])} may be half restored.${undo(restore)}`;
}

function undo(restore: Restore): string {
  return restore.status?.safetyBackup === undefined ? '' : ` Backup ${restore.status.safetyBackup} holds the state before: restore it to undo this.`;
}

/** As for a backup: the status before what it was read from goes, or, where nothing would find the Secret again or the mover has not ended, after. */
function end(facts: RestoreFacts, change: RestoreChange, now: number, wakeAt?: number): RestorePlan {
  const clear: RestoreStep = { do: 'clearMover', name: restoreIdentity(facts.restore).name };
  const write: RestoreStep = { do: 'writeStatus', status: changedRestore(facts.restore, change, now) };
  const steps = facts.attempt.job === undefined || mayGoOn(facts.attempt) ? [clear, write] : [write, clear];
  return wakeAt === undefined ? { steps, again: true } : { steps, wakeAt };
}
