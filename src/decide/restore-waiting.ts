/** A Restore in `Pending` or `Queued`: what it needs is looked for, then its turn is waited for. Nothing is touched yet. */
import type { Backup, Restore } from '../api/index.ts';
import { timeOf } from './backup-status.ts';
import { safetyBackupName } from './child-names.ts';
import { isStopped } from './deletion-breaker.ts';
import { displayList, displayTime } from './display.ts';
import type { Failure } from './failure-reason.ts';
import { storedAt } from './good.ts';
import { planNewVolumes, type PlannedVolume } from './new-volume.ts';
import { SAFETY_WAIT_DEADLINE_MS, WAIT_DEADLINE_MS, checkGround, type Ground } from './preconditions.ts';
import type { WaitingMover } from './queue.ts';
import type { RestoreFacts } from './restore-facts.ts';
import { stateBeforeLost, stateBeforeRefused } from './restore-safety.ts';
import { chooseBackup, restoredBackup } from './restore-source.ts';
import { isIntoNewVolumes, notSucceeded, underWay, writeRestore, type RestoreChange, type RestorePlan } from './restore-status.ts';
import { mountable } from './volumes.ts';
import { checkWorkload } from './workload-guard.ts';

const REQUEUE_MS = 30_000;

type Checked =
  | {
      readonly ok: true;
      readonly ground: Ground;
      /** The claims that are written. */
      readonly claims: readonly string[];
      readonly newVolumes: readonly PlannedVolume[] | undefined;
      readonly snapshotId: string;
    }
  | Refused;
type Refused = { readonly ok: false; readonly final: boolean } & Failure;

function check(facts: RestoreFacts): Checked {
  const { source, restore } = facts;
  const named = restoredBackup(restore) ?? '';
  // One that was chosen is not looked for again: a Restore never brings back another state than it said.
  if (source === undefined && restore.spec.source.backup === undefined) return refuse('SourceMissing', `Backup ${named}, which was chosen, is gone. Create a new Restore.`, true);
  if (source === undefined) return refuse('SourceMissing', `Backup ${named} does not exist in this namespace: \`kubectl get bk\` lists them.`);
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
  const names = wantedOf(restore, source);
  if (!names.ok) return names;
  if (isIntoNewVolumes(restore)) {
    const planned = planNewVolumes(restore, source, names.names, facts.claims);
    if (!planned.ok) return { ...planned, final: true };
    return { ok: true, ground: ground.ground, claims: planned.volumes.map(({ name }) => name), newVolumes: planned.volumes, snapshotId };
  }
  const volumes = mountable(names.names, facts.claims);
  if (!volumes.ok) return { ...volumes, final: false };
  const workload = checkWorkload(describe(ground.ground), facts.workload);
  if (workload !== undefined) return { ok: false, final: false, ...workload };
  const stateBefore = stateBeforeRefused(facts);
  if (stateBefore !== undefined) return { ok: false, final: false, ...stateBefore };
  return { ok: true, ground: ground.ground, claims: volumes.claims, newVolumes: undefined, snapshotId };
}

function refuse(reason: string, message: string, final = false): Refused {
  return { ok: false, final, reason, message };
}

/** The claims of the backup that are to be brought back, by the names that they have in it. */
function wantedOf(restore: Restore, source: Backup): { readonly ok: true; readonly names: readonly string[] } | Refused {
  const held = source.status?.volumes ?? [];
  if (held.length === 0) return refuse('SourceEmpty', `Backup ${source.metadata.name} names no volumes.`, true);
  const names = restore.spec.volumes ?? held;
  const unknown = names.filter((name) => !held.includes(name));
  if (unknown.length === 0) return { ok: true, names };
  return refuse('VolumeNotInBackup', `Backup ${source.metadata.name} does not hold ${displayList(unknown)}; it holds ${displayList(held, 10)}. Create a new Restore with other spec.volumes.`, true);
}

function describe(ground: Ground): string {
  const { workload } = ground.policy.spec;
  return workload === undefined ? 'The workload' : `${workload.kind} ${workload.name}`;
}

export function decideWaiting(facts: RestoreFacts, now: number): RestorePlan {
  const { restore } = facts;
  if (restoredBackup(restore) === undefined) return choose(facts, now);
  const checked = check(facts);
  if (!checked.ok) return missing(facts, checked, now);
  const waits = checked.newVolumes === undefined ? waitForStateBefore(facts, now) : undefined;
  if (waits !== undefined) return waits;
  if (facts.queue === undefined) return { steps: [] };
  const queuedAt = restore.status?.startedAt ?? displayTime(now);
  const admission = facts.queue.admit(waitingRestore(restore, checked.ground.location.metadata.name, queuedAt));
  if (!admission.admitted) {
    const change: RestoreChange = { phase: 'Queued', conditions: [underWay(admission.reason, admission.message)], fields: { startedAt: queuedAt } };
    return { steps: [writeRestore(facts, change, now)], wakeAt: now + REQUEUE_MS };
  }
  return { steps: [writeRestore(facts, admitted(facts, checked, queuedAt), now)], again: true };
}

/** What was in the way may pass, and waiting costs nothing while the workload runs; a safety backup that waits keeps it down. */
function waitForStateBefore(facts: RestoreFacts, now: number): RestorePlan | undefined {
  const why = stateBeforeLost(facts);
  // What is only read stays so.
  if (why === undefined || why.reason === 'LocationReadOnly') return undefined;
  const since = timeOf(facts.restore.status?.waitingSince) ?? Math.floor(now / 1000) * 1000;
  const until = since + SAFETY_WAIT_DEADLINE_MS;
  if (now >= until) return undefined;
  const message = `The state before is to be backed up first (spec.safetyBackup: Preferred) and cannot be stored: ${why.message} Nothing is touched until ${displayTime(until)}; then it goes on without, and cannot be undone.`;
  const change: RestoreChange = { phase: 'Pending', conditions: [underWay('SafetyBackupImpossible', message)], fields: { waitingSince: displayTime(since) } };
  return { steps: [writeRestore(facts, change, now)], wakeAt: Math.min(until, now + REQUEUE_MS) };
}

/** What was chosen is written before anything else: a backup that is stored meanwhile changes nothing. */
function choose(facts: RestoreFacts, now: number): RestorePlan {
  const ground = checkGround(facts.ground);
  if (!ground.ok) return missing(facts, { ...ground, final: false }, now);
  const choice = chooseBackup(facts.restore, facts.candidates, now);
  if (!choice.ok) return missing(facts, { ...choice, final: true }, now);
  const { name } = choice.backup.metadata;
  const message = `Backup ${name}, stored at ${displayTime(storedAt(choice.backup))}, is what was asked for.`;
  return { steps: [writeRestore(facts, { phase: 'Pending', conditions: [underWay('SourceChosen', message)], fields: { backup: name } }, now)], again: true };
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

/** New volumes are written beside what runs: nothing has to stop, and there is no state before. */
function admittedBeside(checked: Checked & { readonly ok: true }, newVolumes: readonly PlannedVolume[], startedAt: string): RestoreChange {
  const names = displayList(newVolumes.map(({ name }) => name));
  return {
    phase: 'Restoring',
    conditions: [underWay('Starting', `New volume ${names} is made, and the mover started.`)],
    fields: {
      tenant: checked.ground.tenant.metadata.name,
      snapshotId: checked.snapshotId,
      volumes: [...checked.claims],
      newVolumes: [...newVolumes],
      startedAt,
      attempt: 1,
    },
  };
}

/** The scale before is written down before anything is scaled: whatever happens from here, it can be put back. */
function admitted(facts: RestoreFacts, checked: Checked & { readonly ok: true }, startedAt: string): RestoreChange {
  const { restore, workload } = facts;
  const takesNone = restore.spec.safetyBackup === 'Skip' || stateBeforeLost(facts) !== undefined;
  if (checked.newVolumes !== undefined) return admittedBeside(checked, checked.newVolumes, startedAt);
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
      waitingSince: undefined,
      ...(found === undefined ? {} : { workload: found }),
      ...(takesNone ? {} : { safetyBackup: safetyBackupName({ name: restore.metadata.name, uid: restore.metadata.uid }) }),
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
