/** A Restore in `Restoring`: its Job is made, watched, and its end becomes the outcome. */
import { API_VERSION, type MoverResult, type Restore } from '../api/index.ts';
import { attemptState, type AttemptIdentity, type AttemptState } from './attempt.ts';
import type { MoverStart } from './backup-facts.ts';
import { timeOf } from './backup-status.ts';
import { attemptName, earlierAttemptNames } from './child-names.ts';
import { displayBytes, displayList, displayTime } from './display.ts';
import { failureOf } from './failure-reason.ts';
import { restoreOrders } from './orders.ts';
import { checkGround, type Ground } from './preconditions.ts';
import { transferProgress } from './progress.ts';
import { renewalDue, renewalTime } from './renewal.ts';
import { MAX_ATTEMPTS, retryDelayMs } from './retry.ts';
import type { RestoreFacts, RestoreStep } from './restore-facts.ts';
import { changedRestore, outcome, underWay, type RestoreChange, type RestorePlan } from './restore-status.ts';
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
      return { steps: [say(facts, 'NameTaken', `Job ${restoreIdentity(restore).name} exists but belongs to somebody else. Delete it.`, now)] };
    case 'starting':
    case 'running':
      return watching(facts, state, now);
    case 'resultWanted':
      return { steps: [], wakeAt: now + RESULT_LOOK_MS };
    case 'resultUnreachable':
      return {
        steps: [say(facts, 'ResultUnreachable', `The mover has ended, but its result cannot be read: ${state.message}`, now)],
        wakeAt: now + RESULT_LOOK_MS,
      };
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
  if (due > now) return { steps: [], wakeAt: due };
  const number = (restore.status?.attempt ?? 1) + 1;
  return {
    steps: [say(facts, 'Starting', `The mover is being started (attempt ${number}).`, now, { attempt: number, nextAttemptAt: undefined })],
    again: true,
  };
}

/** What is missing now was there a moment ago, and the workload is down: it is waited for, and said; a person can cancel. */
function start(facts: RestoreFacts, now: number): RestorePlan {
  const { restore } = facts;
  const names = restore.status?.volumes ?? [];
  const wait = (reason: string, message: string, after = RESULT_LOOK_MS): RestorePlan => ({
    steps: [say(facts, reason, message, now)],
    wakeAt: now + after,
  });
  const ground = checkGround(facts.ground);
  if (!ground.ok) return wait(ground.reason, ground.message);
  const volumes = mountable(names, facts.claims);
  if (!volumes.ok) return wait(volumes.reason, volumes.message);
  const strangers = strangersOn(names, facts.users);
  if (strangers.length > 0)
    return wait(
      'VolumesInUse',
      `Pod ${displayList(strangers.map(({ pod }) => pod))} uses volume ${strangers[0]?.claim ?? ''} again. Stop it: nothing is restored under a running program.`,
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
  const claims = restore.status?.volumes ?? [];
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
  const said =
    state.trouble ??
    (state.kind === 'running'
      ? { reason: 'Restoring', message: `Job ${name} writes the volumes.` }
      : { reason: 'Starting', message: `Job ${name} is starting.` });
  const progress = transferProgress(attempt.spoken.progress, attempt.job?.createdAt ?? now) ?? restore.status?.progress;
  const steps: RestoreStep[] = [say(facts, said.reason, said.message, now, { jobName: name, progress })];
  if (renewalDue(attempt.job, now)) steps.push({ do: 'renewCredentials', name });
  const wakeAt = renewalTime(attempt.job);
  return { steps, ...(wakeAt === undefined ? {} : { wakeAt: Math.max(wakeAt, now + RESULT_LOOK_MS) }) };
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
    return end(
      facts,
      { phase: 'ScalingUp', conditions: [outcome('False', 'RestoreIncomplete', message), underWay('ScalingUp', message)], fields },
      now,
    );
  }
  const message = `${files} files are as they were in Backup ${facts.restore.spec.source.backup} (${displayBytes(done.bytesWritten)} written, ${done.deleted} extra files deleted).`;
  return end(facts, { phase: 'ScalingUp', conditions: [outcome('True', 'Restored', message), underWay('ScalingUp', message)], fields }, now);
}

function fail(facts: RestoreFacts, failure: AttemptState & { readonly kind: 'failed' }, now: number): RestorePlan {
  const { restore } = facts;
  const attempt = restore.status?.attempt ?? 1;
  const { reason, message } = failureOf(failure.code, failure.message);
  const fields: RestoreChange['fields'] = { jobName: restoreIdentity(restore).name, progress: undefined };
  if (failure.retryable && attempt < MAX_ATTEMPTS) {
    const next = now + retryDelayMs(attempt);
    const said = `Attempt ${attempt} of ${MAX_ATTEMPTS} failed and is made again at ${displayTime(next)}: ${message}`;
    return end(
      facts,
      { phase: 'Restoring', conditions: [underWay(reason, said)], fields: { ...fields, nextAttemptAt: displayTime(next) } },
      now,
      next,
    );
  }
  const said = `${attempt > 1 ? `Given up after ${attempt} attempts: ` : ''}${message} Volume ${displayList(restore.status?.volumes ?? [])} may be half restored.${undo(restore)}`;
  return end(facts, { phase: 'ScalingUp', conditions: [outcome('False', reason, said), underWay('ScalingUp', said)], fields }, now);
}

function undo(restore: Restore): string {
  return restore.status?.safetyBackup === undefined ? '' : ` Backup ${restore.status.safetyBackup} holds the state before: restore it to undo this.`;
}

/** As for a backup: the status before what it was read from goes, or, where nothing would find the Secret again, after. */
function end(facts: RestoreFacts, change: RestoreChange, now: number, wakeAt?: number): RestorePlan {
  const clear: RestoreStep = { do: 'clearMover', name: restoreIdentity(facts.restore).name };
  const write: RestoreStep = { do: 'writeStatus', status: changedRestore(facts.restore, change, now) };
  const steps = facts.attempt.job === undefined ? [clear, write] : [write, clear];
  return wakeAt === undefined ? { steps, again: true } : { steps, wakeAt };
}
