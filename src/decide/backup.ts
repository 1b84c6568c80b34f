/**
 * What happens next to a Backup. `Pending → Queued → Snapshotting → Transferring → Stored`, or it ends `Rejected`, `Failed` or `Cancelled`; a
 * retry goes back to `Queued`. Pure: the same facts at the same time give the same plan, so a crash anywhere is made good by
 * looking again.
 */
import { FINALIZER, type Backup, type ConditionInput } from '../api/index.ts';
import { decideCancel, decideDeletion, forgetJobIsDone } from './backup-ending.ts';
import type { BackupFacts, BackupStep, Plan } from './backup-facts.ts';
import { changedStatus, expiryOf, isEnding, isTerminal, notDeleted, notStored, safetyFor, timeOf, type StatusChange } from './backup-status.ts';
import { decideSnapshotting, hasCopies, isReadLive, sameInstant, toTransfer } from './backup-snapshotting.ts';
import { decideTransfer } from './backup-transfer.ts';
import { overallMethod, type Copies } from './copy-choice.ts';
import { displayTime } from './display.ts';
import { holdsForgetPlace } from './forget.ts';
import { isGood, newestOf, standsIn } from './good.ts';
import type { Failure } from './failure-reason.ts';
import { findCondition, mergeConditions } from './conditions.ts';
import { acknowledged } from './plausibility.ts';
import { SAFETY_WAIT_DEADLINE_MS, WAIT_DEADLINE_MS, checkVolumes, checkWritableGround, type Ground } from './preconditions.ts';
import type { WaitingMover } from './queue.ts';
import { decideRecovered } from './recovered-backup.ts';
import { streamsOf } from './streams.ts';
import { isReadOnly } from './tenant-record.ts';

type BackupPlan = Plan<BackupStep>;

export function decideBackup(facts: BackupFacts, now: number): BackupPlan {
  const { backup } = facts;
  // An object cannot outlive its namespace: one that is not seen is not seen yet.
  if (facts.ground.namespace === undefined) return { steps: [] };
  if (backup.metadata.deletionTimestamp === undefined) return decideLiving(facts, now);
  // A hold keeps a backup from people, not a namespace from going: the stored data stays in any case.
  if (!backup.spec.hold || facts.ground.namespace.terminating) return decideDeletion(facts, now);
  return held(backup, decideLiving(facts, now), now);
}

/** Deletion of a held backup waits; what it was doing goes on. */
function held(backup: Backup, plan: BackupPlan, now: number): BackupPlan {
  const condition = notDeleted('Held', 'It is to be deleted, but spec.hold keeps it. Set spec.hold to false to let it go.');
  const lastWrite = plan.steps.findLast((step) => step.do === 'writeStatus');
  const status = lastWrite?.status ?? backup.status ?? {};
  const withHeld = { ...status, conditions: mergeConditions(status.conditions, [condition], backup.metadata.generation, displayTime(now)) };
  const steps = plan.steps.filter((step) => step.do !== 'addFinalizer' && step.do !== 'deleteSelf' && step !== lastWrite);
  return { ...plan, steps: [{ do: 'writeStatus', status: withHeld }, ...steps] };
}

function decideLiving(facts: BackupFacts, now: number): BackupPlan {
  const { backup } = facts;
  const recovered = decideRecovered(facts, now);
  if (recovered !== undefined) return recovered;
  const phase = backup.status?.phase ?? 'Pending';
  if (isTerminal(phase)) return decideEnded(facts, now);
  if (!(backup.metadata.finalizers ?? []).includes(FINALIZER) && backup.metadata.deletionTimestamp === undefined) {
    return { steps: [{ do: 'addFinalizer' }], again: true };
  }
  if (backup.spec.cancel) return decideCancel(facts, now);
  switch (phase) {
    case 'Pending':
      return decidePending(facts, now);
    case 'Queued':
      return decideQueued(facts, now);
    case 'Snapshotting':
      return decideSnapshotting(facts, now);
    case 'Transferring':
      return decideTransfer(facts, now);
    case 'Deleting':
    case 'Stored':
    case 'Failed':
    case 'Rejected':
    case 'Cancelled':
      return { steps: [] };
  }
}

function decidePending(facts: BackupFacts, now: number): BackupPlan {
  const { backup } = facts;
  const checked = check(facts);
  if (!checked.ok) return pending(backup, checked, now);
  const slot = slotOf(backup, checked.ground);
  if (slot.kind === 'refused') {
    return {
      steps: [
        write(backup, now, { phase: 'Rejected', conditions: [notStored('QuotaFull', slot.message)], fields: { completedAt: displayTime(now) } }),
      ],
    };
  }
  if (slot.kind === 'waiting') {
    const askedAt = Date.parse(backup.metadata.creationTimestamp);
    if (backup.status?.phase === undefined && Math.abs(now - askedAt) < SLOT_QUIET_MS) return { steps: [], wakeAt: askedAt + SLOT_QUIET_MS };
    return pending(backup, { reason: 'WaitingForSlot', message: 'Waiting for a place among the backups that are kept.' }, now);
  }
  return queue(facts, checked, now);
}

/** Its policy's controller grants it meanwhile; only one that takes longer is worth a write. */
const SLOT_QUIET_MS = 3_000;

/** Something is missing: said at once, given up after half an hour. */
function pending(backup: Backup, why: Failure, now: number): BackupPlan {
  const patience = backup.spec.trigger === 'Safety' ? SAFETY_WAIT_DEADLINE_MS : WAIT_DEADLINE_MS;
  const deadline = Date.parse(backup.metadata.creationTimestamp) + patience;
  if (now < deadline)
    return { steps: [write(backup, now, { phase: 'Pending', conditions: [notStored(why.reason, why.message)] })], wakeAt: deadline };
  const message = `${why.message} Given up after ${patience / 60_000} minutes; create a new Backup once this is mended.`;
  return {
    steps: [write(backup, now, { phase: 'Failed', conditions: [notStored(why.reason, message)], fields: { completedAt: displayTime(now) } })],
  };
}

function decideQueued(facts: BackupFacts, now: number): BackupPlan {
  const { backup } = facts;
  const leftover = facts.attempt.job;
  if (leftover?.owners.some(({ uid }) => uid === backup.metadata.uid) === true)
    return { steps: [{ do: 'clearMover', name: leftover.name }], again: true };
  const due = timeOf(backup.status?.nextAttemptAt);
  if (due !== undefined && due > now) return { steps: [], wakeAt: due };
  const checked = check(facts);
  // A workload that is down waits for a safety backup, so that one waits no longer than in Pending.
  if (!checked.ok && backup.spec.trigger === 'Safety') return pending(backup, checked, now);
  return checked.ok ? queue(facts, checked, now) : hindered(backup, checked, now);
}

/** What it was queued for is gone or not usable any more. All of a platform waits for a location, as long as it takes; what is missing in a namespace may never come, and others are not to wait for it. */
function hindered(backup: Backup, { reason, message }: Failure, now: number): BackupPlan {
  const say = (hinderedSince?: string) => write(backup, now, { phase: 'Queued', conditions: [notStored(reason, message)], fields: { hinderedSince } });
  if (reason === 'LocationNotReady') return { steps: [say()] };
  const since = timeOf(backup.status?.hinderedSince) ?? now;
  if (now - since < WAIT_DEADLINE_MS) return { steps: [say(displayTime(since))], wakeAt: Math.min(since + WAIT_DEADLINE_MS, now + AUTOMATIC_REQUEUE_MS) };
  const given = `${message} Given up after ${WAIT_DEADLINE_MS / 60_000} minutes; create a new Backup once this is mended.`;
  return { steps: [write(backup, now, { phase: 'Failed', conditions: [notStored(reason, given)], fields: { completedAt: displayTime(now), hinderedSince: undefined } })] };
}

type Checked = { readonly ok: true; readonly ground: Ground; readonly chosen: Copies & { readonly ok: true } } | ({ readonly ok: false } & Failure);

function check(facts: BackupFacts): Checked {
  const ground = checkWritableGround(facts.ground);
  if (!ground.ok) return ground;
  const { status } = facts.backup;
  // What was chosen stands once something was made: a second choice could mix two moments.
  if (status?.copies !== undefined && hasCopies(status.copies)) return { ok: true, ground: ground.ground, chosen: { ok: true, copies: status.copies, namespace: status.moverNamespace, groupClass: status.groupSnapshotClass } };
  const chosen = checkVolumes(ground.ground.policy, facts.claims, facts.copies.storage);
  return chosen.ok ? { ok: true, ground: ground.ground, chosen } : chosen;
}

type Slot = { readonly kind: 'granted' } | { readonly kind: 'waiting' } | { readonly kind: 'refused'; readonly message: string };

/** Only the controller of the policy grants slots, and only manual backups need one. */
function slotOf(backup: Backup, ground: Ground): Slot {
  if (backup.spec.trigger !== 'Manual') return { kind: 'granted' };
  const quota = ground.policy.status?.quota;
  const isOurs = ({ uid }: { readonly uid: string }) => uid === backup.metadata.uid;
  if (quota?.slots.some(isOurs) === true) return { kind: 'granted' };
  if (quota?.refused?.some(isOurs) === true) {
    return {
      kind: 'refused',
      message: `${quota.used} of ${quota.max} backups are kept; delete one first. Then create a new Backup: \`kubectl get bk\` lists them.`,
    };
  }
  return { kind: 'waiting' };
}

/** Admission is the write of `Snapshotting` or `Transferring`: the place is taken before anything is made. */
function queue(facts: BackupFacts, checked: Checked & { readonly ok: true }, now: number): BackupPlan {
  const { backup } = facts;
  const { status } = backup;
  const queuedAt = status?.queuedAt ?? displayTime(now);
  const candidate = waitingBackup(backup, checked.ground.location.metadata.name, facts.siblings, queuedAt);
  if (facts.queue === undefined) return { steps: [] };
  const admission = facts.queue.admit(candidate);
  if (!admission.admitted) {
    return {
      steps: [write(backup, now, { phase: 'Queued', conditions: [notStored(admission.reason, admission.message)], fields: { queuedAt, hinderedSince: undefined } })],
      // Whoever gets a place is woken; thousands that a schedule made need not look after themselves.
      wakeAt: now + (admission.reason === 'LocationBusy' && candidate.automatic === true ? AUTOMATIC_REQUEUE_MS : REQUEUE_MS),
    };
  }
  const { copies, namespace, groupClass } = checked.chosen;
  const streams = streamsOf(backup, checked.ground.policy);
  const fields: StatusChange['fields'] = {
    tenant: checked.ground.tenant.metadata.name,
    keyGeneration: checked.ground.tenant.status?.keyGeneration ?? 1,
    copyMethod: overallMethod(copies),
    copies: [...copies],
    moverNamespace: namespace,
    groupSnapshotClass: groupClass,
    volumes: copies.map(({ claim }) => claim),
    streams: streams.length === 0 ? undefined : streams.map(({ name }) => name),
    queuedAt,
    hinderedSince: undefined,
    startedAt: status?.startedAt ?? displayTime(now),
    // Snapshots that an earlier attempt cut are read again; what was quiesced for them is past.
    hooks: status?.copiedAt !== undefined && !isReadLive(backup) ? status.hooks : undefined,
  };
  const started = toTransfer((status?.attempt ?? 0) + 1);
  const change: StatusChange = hasCopies(copies)
    ? { phase: 'Snapshotting', conditions: [notStored('Snapshotting', 'The volumes are being snapshotted.')], fields: { ...fields, nextAttemptAt: undefined, progress: undefined } }
    : { ...started, conditions: [...started.conditions, sameInstant(copies)], fields: { ...fields, ...started.fields } };
  return { steps: [write(backup, now, change)], again: true };
}

/** What stands in the way may go without a sign that reaches this backup; a look now and then finds it. */
const REQUEUE_MS = 30_000;
const AUTOMATIC_REQUEUE_MS = 5 * 60_000;

/** Whether a decision about this backup may take a place in the queue: those are made one at a time. */
export function takesPlace(backup: Backup): boolean {
  if (isEnding(backup)) return !holdsForgetPlace(backup);
  const phase = backup.status?.phase ?? 'Pending';
  return phase === 'Pending' || phase === 'Queued';
}

/** @param siblings - other backups of its policy, which tell the node that it will most likely run on */
export function waitingBackup(
  backup: Backup,
  location: string,
  siblings: readonly Backup[],
  queuedAt = backup.status?.queuedAt ?? backup.metadata.creationTimestamp,
): WaitingMover {
  const { uid, name, namespace = '' } = backup.metadata;
  return { uid, name, task: 'backup', namespace, location, queuedAt, safetyFor: safetyFor(backup), automatic: backup.spec.trigger === 'Automatic', node: likelyNode(backup, siblings) };
}

/** Where it ran before, else where the newest backup of its policy did: a volume seldom moves. */
export function likelyNode(backup: Backup, siblings: readonly Backup[]): string | undefined {
  if (backup.status?.node !== undefined) return backup.status.node;
  return newestOf(siblings.filter(({ status }) => status?.node !== undefined))?.status?.node;
}

/** An ended backup: what is left of its mover goes, and a stored one goes when its time is over. */
function decideEnded(facts: BackupFacts, now: number): BackupPlan {
  const { backup } = facts;
  const { status } = backup;
  const { job } = facts.attempt;
  const steps: BackupStep[] = [];
  if (job?.owners.some(({ uid }) => uid === backup.metadata.uid) === true && facts.forget.job.job?.name !== job.name)
    steps.push({ do: 'clearMover', name: job.name });
  const done = forgetJobIsDone(facts);
  if (done !== undefined) steps.push({ do: 'clearMover', name: done });
  const completedAt = timeOf(status?.completedAt);
  if (status?.phase !== 'Stored' || completedAt === undefined) return { steps };
  const said = acknowledged(backup);
  if (said !== undefined) return { steps: [...steps, write(backup, now, { phase: 'Stored', conditions: [said] })], again: true };
  if (facts.isReplicated === true && findCondition(status.conditions, 'Replicated')?.status !== 'True') {
    const there: ConditionInput = { type: 'Replicated', status: 'True', reason: 'UpToDate', message: 'The second data center has it whole.' };
    return { steps: [...steps, write(backup, now, { phase: 'Stored', conditions: [there] })], again: true };
  }
  const expiry = expiryOf(backup, completedAt);
  const expiresAt = expiry === undefined ? undefined : displayTime(expiry);
  if (expiresAt !== status.expiresAt) steps.push(write(backup, now, { phase: 'Stored', conditions: [], fields: { expiresAt } }));
  if (expiry === undefined || backup.spec.hold) return { steps };
  if (now < expiry) return { steps, wakeAt: expiry };
  // A copy is only read. And the last good one stays, however old: a customer is never left without any.
  if ((facts.ground.location !== undefined && isReadOnly(facts.ground.location)) || isLastGood(backup, facts.siblings)) return { steps, wakeAt: now + LAST_GOOD_LOOK_MS };
  steps.push({ do: 'deleteSelf', because: 'its time is over' });
  return { steps };
}

const LAST_GOOD_LOOK_MS = 3_600_000;

function isLastGood(backup: Backup, siblings: readonly Backup[]): boolean {
  return isGood(backup) && !siblings.some((other) => other.metadata.uid !== backup.metadata.uid && standsIn(other));
}

function write(backup: Backup, now: number, change: StatusChange): BackupStep {
  return { do: 'writeStatus', status: changedStatus(backup, change, now) };
}
