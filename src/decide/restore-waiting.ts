/** A Restore in `Pending` or `Queued`: what it needs is looked for, then its turn is waited for. Nothing is touched yet. */
import type { Restore } from '../api/index.ts';
import { safetyBackupName } from './child-names.ts';
import { isStopped } from './deletion-breaker.ts';
import { displayTime } from './display.ts';
import type { Failure } from './failure-reason.ts';
import { WAIT_DEADLINE_MS, checkGround, type Ground } from './preconditions.ts';
import { admit, type WaitingMover } from './queue.ts';
import type { RestoreFacts } from './restore-facts.ts';
import { notSucceeded, underWay, writeRestore, type RestoreChange, type RestorePlan } from './restore-status.ts';
import { mountable } from './volumes.ts';
import { checkWorkload } from './workload-guard.ts';

const REQUEUE_MS = 30_000;

type Checked =
  | { readonly ok: true; readonly ground: Ground; readonly claims: readonly string[]; readonly snapshotId: string }
  | ({ readonly ok: false; readonly final: boolean } & Failure);

function check(facts: RestoreFacts): Checked {
  const refuse = (reason: string, message: string, final = false): Checked => ({ ok: false, final, reason, message });
  const { source, restore } = facts;
  const named = restore.spec.source.backup;
  if (source === undefined) return refuse('SourceMissing', `Backup ${named} does not exist in this namespace: \`kubectl get backups\` lists them.`);
  const phase = source.status?.phase ?? 'Pending';
  if (phase === 'Failed' || phase === 'Rejected' || phase === 'Cancelled')
    return refuse('SourceNotStored', `Backup ${named} is ${phase}: there is nothing to restore from it. Choose another one.`, true);
  // One whose deletion is held or waits for a person is whole; while a restore runs nothing of its namespace is forgotten.
  const isKept = source.metadata.deletionTimestamp === undefined || source.spec.hold || isStopped(source);
  if (phase === 'Deleting' || !isKept)
    return refuse('SourceDeleting', `Backup ${named} is being deleted.`, true);
  const snapshotId = source.status?.snapshotId;
  if (phase !== 'Stored' || snapshotId === undefined)
    return refuse('SourceNotStored', `Backup ${named} is ${phase}; it is restored once it is Stored.`);
  const ground = checkGround(facts.ground);
  if (!ground.ok) return { ...ground, final: false };
  if (source.status?.tenant !== ground.ground.tenant.metadata.name)
    return refuse('SourceForeign', `Backup ${named} belongs to BackupTenant ${source.status?.tenant ?? '(none)'}, not to this namespace.`, true);
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

export function decideWaiting(facts: RestoreFacts, now: number): RestorePlan {
  const { restore } = facts;
  const checked = check(facts);
  if (!checked.ok) return missing(facts, checked, now);
  if (facts.queue === undefined) return { steps: [] };
  const queuedAt = restore.status?.startedAt ?? displayTime(now);
  const admission = admit(waitingRestore(restore, checked.ground.location.metadata.name, queuedAt), facts.queue);
  if (!admission.admitted) {
    const change: RestoreChange = { phase: 'Queued', conditions: [underWay(admission.reason, admission.message)], fields: { startedAt: queuedAt } };
    return { steps: [writeRestore(facts, change, now)], wakeAt: now + REQUEUE_MS };
  }
  return { steps: [writeRestore(facts, admitted(facts, checked, queuedAt), now)], again: true };
}

function missing(facts: RestoreFacts, why: Failure & { readonly final: boolean }, now: number): RestorePlan {
  const deadline = Date.parse(facts.restore.metadata.creationTimestamp) + WAIT_DEADLINE_MS;
  if (!why.final && now < deadline)
    return {
      steps: [writeRestore(facts, { phase: 'Pending', conditions: [underWay(why.reason, why.message)] }, now)],
      wakeAt: Math.min(deadline, now + REQUEUE_MS),
    };
  const message = why.final
    ? why.message
    : `${why.message} Given up after ${WAIT_DEADLINE_MS / 60_000} minutes; create a new Restore once this is mended.`;
  return {
    steps: [
      writeRestore(facts, { phase: 'Failed', conditions: [notSucceeded(why.reason, message)], fields: { completedAt: displayTime(now) } }, now),
    ],
  };
}

/** The scale before is written down before anything is scaled: whatever happens from here, it can be put back. */
function admitted(facts: RestoreFacts, checked: Checked & { readonly ok: true }, startedAt: string): RestoreChange {
  const { restore, workload } = facts;
  const named = checked.ground.policy.spec.workload;
  const found =
    workload.state === 'found' && named !== undefined
      ? { ...named, uid: workload.uid, replicasBefore: workload.replicas, scaledDown: workload.replicas > 0 }
      : undefined;
  return {
    phase: 'ScalingDown',
    conditions: [
      underWay(
        'ScalingDown',
        found === undefined ? 'The volumes must not be in use.' : `${found.kind} ${found.name} is scaled from ${found.replicasBefore} to 0.`,
      ),
    ],
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

export function waitingRestore(
  restore: Restore,
  location: string,
  queuedAt = restore.status?.startedAt ?? restore.metadata.creationTimestamp,
): WaitingMover {
  const { uid, name, namespace = '' } = restore.metadata;
  return { uid, name, task: 'restore', namespace, location, queuedAt, safetyFor: undefined };
}
