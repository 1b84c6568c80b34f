/**
 * What happens next to a Restore in place: `Pending → Queued → ScalingDown → SafetyBackup → Restoring → ScalingUp → Succeeded`, or
 * it ends `Failed` or `Cancelled`. However it ends, the workload gets the scale that it had before. Pure.
 */
import { FINALIZER, LABEL_RESTORE, LABEL_RESTORE_UID, LABEL_TRIGGER, type Restore } from '../api/index.ts';
import type { Plan } from './backup-facts.ts';
import { labelValue, safetyBackupName } from './child-names.ts';
import { displayDuration, displayList, displayTime } from './display.ts';
import { findCondition } from './conditions.ts';
import type { Failure } from './failure-reason.ts';
import { WAIT_DEADLINE_MS, checkGround, type Ground } from './preconditions.ts';
import { admit, type WaitingMover } from './queue.ts';
import type { RestoreFacts, RestoreStep, WorkloadTarget } from './restore-facts.ts';
import { changedRestore, hasEnded, isActive, notSucceeded, OUTCOME, outcome, underWay, type RestoreChange } from './restore-status.ts';
import { decideRestoring } from './restore-transfer.ts';
import { isTerminal, timeOf } from './backup-status.ts';
import { mountable, strangersOn } from './volumes.ts';
import { checkWorkload } from './workload-guard.ts';

export type RestorePlan = Plan<RestoreStep>;

const REQUEUE_MS = 30_000;
/** Pods of a customer are not watched; while they go down they are looked at this often. */
const LEAVING_LOOK_MS = 1000;

export function decideRestore(facts: RestoreFacts, now: number): RestorePlan {
  const { restore, ground } = facts;
  const hasFinalizer = (restore.metadata.finalizers ?? []).includes(FINALIZER);
  const deleting = restore.metadata.deletionTimestamp !== undefined;
  if (deleting && !hasFinalizer) return { steps: [] };
  if (ground.namespace === undefined || ground.namespace.terminating) return { steps: hasFinalizer && deleting ? [{ do: 'removeFinalizer' }] : [] };
  if (hasEnded(restore)) return cleanUp(facts, deleting);
  if (deleting && !isActive(restore)) return { steps: [{ do: 'removeFinalizer' }] };
  if (!hasFinalizer) return { steps: [{ do: 'addFinalizer' }], again: true };
  if ((restore.spec.cancel || deleting) && restore.status?.phase !== 'ScalingUp') return decideStop(facts, now);
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
    case 'Succeeded':
    case 'Failed':
    case 'Cancelled':
      return { steps: [] };
  }
}

function write(facts: RestoreFacts, change: RestoreChange, now: number): RestoreStep {
  return { do: 'writeStatus', status: changedRestore(facts.restore, change, now) };
}

function cleanUp(facts: RestoreFacts, deleting: boolean): RestorePlan {
  const { job } = facts.attempt;
  const isOurs = job?.owners.some(({ uid }) => uid === facts.restore.metadata.uid) === true;
  return { steps: [...(job !== undefined && isOurs ? [{ do: 'clearMover', name: job.name } as const] : []), ...(deleting ? [{ do: 'removeFinalizer' } as const] : [])] };
}

type Checked = { readonly ok: true; readonly ground: Ground; readonly claims: readonly string[]; readonly snapshotId: string } | ({ readonly ok: false; readonly final: boolean } & Failure);

function check(facts: RestoreFacts): Checked {
  const refuse = (reason: string, message: string, final = false): Checked => ({ ok: false, final, reason, message });
  const { source, restore } = facts;
  const named = restore.spec.source.backup;
  if (source === undefined) return refuse('SourceMissing', `Backup ${named} does not exist in this namespace: \`kubectl get backups\` lists them.`);
  const phase = source.status?.phase ?? 'Pending';
  if (phase === 'Failed' || phase === 'Rejected' || phase === 'Cancelled') return refuse('SourceNotStored', `Backup ${named} is ${phase}: there is nothing to restore from it. Choose another one.`, true);
  if (phase === 'Deleting' || source.metadata.deletionTimestamp !== undefined) return refuse('SourceDeleting', `Backup ${named} is being deleted.`, true);
  const snapshotId = source.status?.snapshotId;
  if (phase !== 'Stored' || snapshotId === undefined) return refuse('SourceNotStored', `Backup ${named} is ${phase}; it is restored once it is Stored.`);
  const ground = checkGround(facts.ground);
  if (!ground.ok) return { ...ground, final: false };
  if (source.status?.tenant !== ground.ground.tenant.metadata.name) return refuse('SourceForeign', `Backup ${named} belongs to BackupTenant ${source.status?.tenant ?? '(none)'}, not to this namespace.`, true);
  const volumes = mountable(source.status.volumes ?? [], facts.claims);
  if (!volumes.ok) return { ...volumes, final: false };
  if (volumes.claims.length === 0) return refuse('SourceEmpty', `Backup ${named} names no volumes.`, true);
  const workload = checkWorkload(describe(ground.ground), facts.workload);
  if (workload !== undefined) return { ok: false, final: false, ...workload };
  return { ok: true, ground: ground.ground, claims: volumes.claims, snapshotId };
}

function describe(ground: Ground): string {
  const { workload } = ground.policy.spec;
  return workload === undefined ? 'The workload' : `${workload.kind} ${workload.name}`;
}

function decideWaiting(facts: RestoreFacts, now: number): RestorePlan {
  const { restore } = facts;
  const checked = check(facts);
  if (!checked.ok) return missing(facts, checked, now);
  if (facts.queue === undefined) return { steps: [] };
  const queuedAt = restore.status?.startedAt ?? displayTime(now);
  const admission = admit(waitingRestore(restore, checked.ground.location.metadata.name, queuedAt), facts.queue);
  if (!admission.admitted) {
    const change: RestoreChange = { phase: 'Queued', conditions: [underWay(admission.reason, admission.message)], fields: { startedAt: queuedAt } };
    return { steps: [write(facts, change, now)], wakeAt: now + REQUEUE_MS };
  }
  return { steps: [write(facts, admitted(facts, checked, queuedAt), now)], again: true };
}

function missing(facts: RestoreFacts, why: Failure & { readonly final: boolean }, now: number): RestorePlan {
  const deadline = Date.parse(facts.restore.metadata.creationTimestamp) + WAIT_DEADLINE_MS;
  if (!why.final && now < deadline) return { steps: [write(facts, { phase: 'Pending', conditions: [underWay(why.reason, why.message)] }, now)], wakeAt: Math.min(deadline, now + REQUEUE_MS) };
  const message = why.final ? why.message : `${why.message} Given up after ${WAIT_DEADLINE_MS / 60_000} minutes; create a new Restore once this is mended.`;
  return { steps: [write(facts, { phase: 'Failed', conditions: [notSucceeded(why.reason, message)], fields: { completedAt: displayTime(now) } }, now)] };
}

/** The scale before is written down before anything is scaled: whatever happens from here, it can be put back. */
function admitted(facts: RestoreFacts, checked: Checked & { readonly ok: true }, startedAt: string): RestoreChange {
  const { restore, workload } = facts;
  const named = checked.ground.policy.spec.workload;
  const found = workload.state === 'found' && named !== undefined ? { ...named, uid: workload.uid, replicasBefore: workload.replicas, scaledDown: workload.replicas > 0 } : undefined;
  return {
    phase: 'ScalingDown',
    conditions: [underWay('ScalingDown', found === undefined ? 'The volumes must not be in use.' : `${found.kind} ${found.name} is scaled from ${found.replicasBefore} to 0.`)],
    fields: {
      tenant: checked.ground.tenant.metadata.name,
      snapshotId: checked.snapshotId,
      volumes: [...checked.claims],
      startedAt,
      ...(found === undefined ? {} : { workload: found }),
      ...(restore.spec.safetyBackup === 'Skip' ? {} : { safetyBackup: safetyBackupName({ name: restore.metadata.name, uid: restore.metadata.uid }) }),
    },
  };
}

export function waitingRestore(restore: Restore, location: string, queuedAt = restore.status?.startedAt ?? restore.metadata.creationTimestamp): WaitingMover {
  const { uid, name, namespace = '' } = restore.metadata;
  return { uid, name, task: 'restore', namespace, location, queuedAt, safetyFor: undefined };
}

function targetOf(restore: Restore): WorkloadTarget | undefined {
  const workload = restore.status?.workload;
  return workload === undefined ? undefined : { apiVersion: workload.apiVersion, kind: workload.kind, name: workload.name, uid: workload.uid };
}

function decideScalingDown(facts: RestoreFacts, now: number): RestorePlan {
  const { restore, workload } = facts;
  const target = targetOf(restore);
  const steps: RestoreStep[] = [];
  if (target !== undefined && workload.state === 'found' && workload.uid === target.uid && workload.replicas > 0) steps.push({ do: 'scale', workload: target, replicas: 0 });
  const strangers = strangersOn(restore.status?.volumes ?? [], facts.users);
  if (steps.length > 0 || strangers.length > 0) {
    const using = strangers.length === 0 ? '' : ` Pod ${displayList(strangers.map(({ pod }) => pod))} still uses volume ${strangers[0]?.claim ?? ''}.`;
    const waitsFor = target === undefined ? ` The policy names no workload: stop what uses the volumes.` : '';
    const reason = strangers.length > 0 && target === undefined ? 'VolumesInUse' : 'ScalingDown';
    const said = target === undefined ? using.trimStart() : `${target.kind} ${target.name} is scaled to 0.${using}`;
    steps.push(write(facts, { phase: 'ScalingDown', conditions: [underWay(reason, `${said}${waitsFor}`)] }, now));
    return { steps, wakeAt: now + LEAVING_LOOK_MS };
  }
  const next: RestoreChange =
    restore.status?.safetyBackup === undefined
      ? { phase: 'Restoring', conditions: [underWay('Starting', 'The mover is being started.')], fields: { attempt: 1 } }
      : { phase: 'SafetyBackup', conditions: [underWay('SafetyBackup', `The state before is backed up as Backup ${restore.status.safetyBackup}.`)] };
  return { steps: [write(facts, next, now)], again: true };
}

function decideSafetyBackup(facts: RestoreFacts, now: number): RestorePlan {
  const { restore, safety, source } = facts;
  const name = restore.status?.safetyBackup ?? '';
  if (safety === undefined) {
    const policy = source?.spec.policy;
    if (policy === undefined) return giveUp(facts, 'SourceMissing', `Backup ${restore.spec.source.backup} is gone.`, now);
    return { steps: [{ do: 'createSafetyBackup', backup: safetyBackup(restore, name, policy) }] };
  }
  if (safety.metadata.labels?.[LABEL_RESTORE_UID] !== restore.metadata.uid) {
    return giveUp(facts, 'SafetyBackupNameTaken', `Backup ${name} exists and was not made for this restore. Delete it, then create a new Restore.`, now);
  }
  const restoring: RestoreChange = { phase: 'Restoring', conditions: [underWay('Starting', 'The mover is being started.')], fields: { attempt: 1 } };
  const condition = findCondition(safety.status?.conditions, 'Stored');
  switch (safety.status?.phase ?? 'Pending') {
    case 'Stored': {
      const complete = findCondition(safety.status?.conditions, 'Complete')?.status === 'True';
      if (complete || restore.spec.safetyBackup !== 'Required') return { steps: [write(facts, restoring, now)], again: true };
      return giveUp(facts, 'SafetyBackupIncomplete', `Backup ${name} of the state before could not read every file, so the restore could not be undone. Nothing was restored. spec.safetyBackup: Preferred goes on without.`, now);
    }
    case 'Failed':
    case 'Rejected':
    case 'Cancelled':
    case 'Deleting': {
      // It holds nothing, so nobody is to be told that it undoes the restore.
      if (restore.spec.safetyBackup === 'Preferred') return { steps: [write(facts, { ...restoring, fields: { ...restoring.fields, safetyBackup: undefined } }, now)], again: true };
      const why = condition === undefined ? '' : ` ${condition.reason}: ${condition.message}`;
      return giveUp(facts, 'SafetyBackupFailed', `Backup ${name} of the state before failed, so nothing was restored.${why}`, now);
    }
    case 'Pending':
    case 'Queued':
    case 'Transferring': {
      const how = condition === undefined || condition.status === 'True' ? '' : ` ${condition.reason}: ${condition.message}`;
      return { steps: [write(facts, { phase: 'SafetyBackup', conditions: [underWay('SafetyBackup', `The state before is backed up as Backup ${name}.${how}`)] }, now)] };
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
      note: `The state before Restore ${metadata.name} of Backup ${spec.source.backup}.`,
      ...(spec.requestedBy === undefined ? {} : { requestedBy: spec.requestedBy }),
    },
  } as const;
}

/** The volumes are as they are; what is left is to bring the workload back. */
export function giveUp(facts: RestoreFacts, reason: string, message: string, now: number): RestorePlan {
  const change: RestoreChange = { phase: 'ScalingUp', conditions: [outcome('False', reason, message), underWay('ScalingUp', message)] };
  return { steps: [write(facts, change, now)], again: true };
}

/** `spec.cancel`, or a deletion while the workload may be down. */
function decideStop(facts: RestoreFacts, now: number): RestorePlan {
  const { restore, attempt, safety } = facts;
  const phase = restore.status?.phase ?? 'Pending';
  if (phase === 'Pending' || phase === 'Queued') {
    const change: RestoreChange = { phase: 'Cancelled', conditions: [notSucceeded('Cancelled', 'Cancelled before anything was touched.')], fields: { completedAt: displayTime(now) } };
    return { steps: [write(facts, change, now)] };
  }
  const { job } = attempt;
  if (job?.owners.some(({ uid }) => uid === restore.metadata.uid) === true) {
    const said = write(facts, { phase, conditions: [underWay('Cancelling', 'The mover is being stopped.')], fields: { jobName: job.name } }, now);
    return { steps: job.deleting ? [said] : [said, { do: 'stopMover', name: job.name }] };
  }
  const isRunning = safety !== undefined && !isTerminal(safety.status?.phase) && safety.metadata.deletionTimestamp === undefined;
  if (isRunning && safety.metadata.labels?.[LABEL_RESTORE_UID] === restore.metadata.uid && !safety.spec.cancel) return { steps: [{ do: 'cancelSafetyBackup', name: safety.metadata.name }], again: true };
  const touched = phase === 'Restoring' && restore.status?.jobName !== undefined;
  const undo = restore.status?.safetyBackup === undefined ? '' : ` Backup ${restore.status.safetyBackup} holds the state before.`;
  const message = touched ? `Cancelled while it was restoring: volume ${displayList(restore.status.volumes ?? [])} may be half restored.${undo}` : 'Cancelled before anything was written.';
  return giveUp(facts, 'Cancelled', message, now);
}

function decideScalingUp(facts: RestoreFacts, now: number): RestorePlan {
  const { restore, workload } = facts;
  const { status } = restore;
  const target = targetOf(restore);
  const before = status?.workload;
  const steps: RestoreStep[] = [];
  if (target !== undefined && before?.scaledDown === true && workload.state === 'found' && workload.uid === target.uid && workload.replicas === 0) {
    steps.push({ do: 'scale', workload: target, replicas: before.replicasBefore });
  }
  const result = findCondition(status?.conditions, OUTCOME);
  const gone = target !== undefined && before?.scaledDown === true && (workload.state === 'missing' || (workload.state === 'found' && workload.uid !== target.uid));
  const tail = gone ? ` ${target.kind} ${target.name} is gone, so its scale could not be put back.` : '';
  const message = `${result?.message ?? ''}${tail}`;
  const startedAt = timeOf(status?.startedAt) ?? now;
  const succeeded = result?.status === 'True';
  const condition = succeeded ? { type: 'Succeeded', status: 'True', reason: 'Restored', message } as const : notSucceeded(result?.reason ?? 'Failed', message);
  const change: RestoreChange = {
    phase: succeeded ? 'Succeeded' : result?.reason === 'Cancelled' ? 'Cancelled' : 'Failed',
    conditions: [condition],
    fields: {
      completedAt: displayTime(now),
      duration: displayDuration(now - startedAt),
      progress: undefined,
      ...(before === undefined ? {} : { workload: { ...before, scaledDown: false } }),
    },
  };
  steps.push(write(facts, change, now));
  return { steps, again: restore.metadata.deletionTimestamp !== undefined };
}
