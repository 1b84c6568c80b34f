/**
 * A Backup in `Snapshotting`: first every snapshot and clone is cut, then all of them are brought to where the mover runs. Between
 * the two lies `status.copiedAt`: until then a hook may hold the workload still, from then on nobody has to wait for the transfer.
 */
import type { Backup, ConditionInput, VolumeCopy } from '../api/index.ts';
import { afterPostHooks, hooksOutcome, type Saying } from './backup-hooks.ts';
import type { BackupFacts, BackupStep, Plan } from './backup-facts.ts';
import { changedStatus, notStored, timeOf, type StatusChange } from './backup-status.ts';
import { copyName } from './child-names.ts';
import { NO_COPY } from './copy-facts.ts';
import { cutState, deliveryState, groupCutState, type CopyOf, type CopyState } from './copy-progress.ts';
import { displayList, displayTime } from './display.ts';
import type { Failure } from './failure-reason.ts';
import { failureOfStage, owesPostHooks } from './hooks.ts';
import { WAIT_DEADLINE_MS, checkGround } from './preconditions.ts';
import { MAX_ATTEMPTS, retryDelayMs } from './retry.ts';
import { placement } from './volumes.ts';

type BackupPlan = Plan<BackupStep>;
const REFUSED_LOOK_MS = 10_000;
const SNAPSHOTTING: Saying = { phase: 'Snapshotting', condition: notStored };

export function decideSnapshotting(facts: BackupFacts, now: number): BackupPlan {
  const { backup } = facts;
  // What was made there goes with the namespace, and the rest is swept away.
  if (facts.ground.namespace === undefined || facts.ground.namespace.terminating) return { steps: [] };
  const ground = checkGround(facts.ground);
  if (!ground.ok) return afterPostHooks(facts, now, SNAPSHOTTING, () => backInLine(facts, ground, now));
  const cutAt = timeOf(backup.status?.copiedAt);
  const copies = copiesOf(facts);
  const groupClass = backup.status?.groupSnapshotClass;
  const cuts = () => (groupClass === undefined ? copies.map(cutState) : [groupCutState(backup, groupClass, facts.copies.group, copies)]);
  if (cutAt === undefined) return quiesce(facts, now) ?? step(facts, cuts(), 'The volumes are being snapshotted.', () => cut(facts, now), now);
  // The cut is one instant; only what is read live has to stand still for the transfer too.
  if (!isReadLive(backup)) {
    const post = hooksOutcome('Post', facts, now, SNAPSHOTTING);
    if (post.plan !== undefined) return post.plan;
    if (post.failure !== undefined) return fail(facts, post.failure, now);
  }
  const delivered = copies.map((copy) => deliveryState(copy, cutAt));
  return step(facts, delivered, 'The snapshots are being brought to the mover.', () => transfer(facts, now), now);
}

/** The API server refused an object that is needed for a copy: a quota of the namespace, a missing right. */
export function decideCopyRefused(facts: BackupFacts, message: string, now: number): BackupPlan {
  const since = timeOf(facts.backup.status?.copiedAt) ?? timeOf(facts.backup.status?.queuedAt) ?? now;
  const said = { reason: 'CopyRefused', message: `The volumes cannot be copied: ${message}` };
  // A workload that stands still does not wait for somebody to mend this.
  if (owesPostHooks(facts.backup.status?.hooks)) return afterPostHooks(facts, now, SNAPSHOTTING, () => tryAgain(facts, said, now));
  if (now - since > WAIT_DEADLINE_MS) return fail(facts, said, now);
  return { ...say(facts, now, said), wakeAt: now + REFUSED_LOOK_MS };
}

/** A plan as long as the workload does not stand still yet, or when it will not. */
function quiesce(facts: BackupFacts, now: number): BackupPlan | undefined {
  const { backup } = facts;
  const hooks = backup.status?.hooks ?? [];
  // Once the workload is being let go, what is cut from then on is of another moment.
  const isLetGo = hooks.some(({ stage, state }) => stage === 'Post' && state !== 'Pending');
  if (isLetGo) {
    const why = failureOfStage(hooks, 'Pre') ?? { reason: 'CopyRefused', message: 'The workload had to be let go before every volume was cut.' };
    return afterPostHooks(facts, now, SNAPSHOTTING, () => tryAgain(facts, why, now));
  }
  const pre = hooksOutcome('Pre', facts, now, SNAPSHOTTING);
  if (pre.plan !== undefined) return pre.plan;
  const { failure } = pre;
  return failure === undefined ? undefined : afterPostHooks(facts, now, SNAPSHOTTING, () => tryAgain(facts, failure, now));
}

/** What may pass by itself is tried as often as a transfer is. */
function tryAgain(facts: BackupFacts, why: Failure, now: number): BackupPlan {
  const { backup } = facts;
  const attempt = (backup.status?.attempt ?? 0) + 1;
  if (attempt >= MAX_ATTEMPTS) return fail(facts, { reason: why.reason, message: `Given up after ${attempt} attempts: ${why.message}` }, now);
  const next = now + retryDelayMs(attempt);
  const said = `Attempt ${attempt} of ${MAX_ATTEMPTS} failed and is made again at ${displayTime(next)}: ${why.message}`;
  const change: StatusChange = { phase: 'Queued', conditions: [notStored(why.reason, said)], fields: { attempt, nextAttemptAt: displayTime(next), jobName: undefined, ...abandoned(backup) } };
  return { steps: [{ do: 'writeStatus', status: changedStatus(backup, change, now) }], wakeAt: next };
}

/** Its place is for others while something is missing. The attempt was none. */
function backInLine({ backup }: BackupFacts, why: Failure, now: number): BackupPlan {
  const change: StatusChange = { phase: 'Queued', conditions: [notStored(why.reason, why.message)], fields: { ...abandoned(backup) } };
  return { steps: [{ do: 'writeStatus', status: changedStatus(backup, change, now) }], again: true };
}

/** What was cut so far is of an earlier moment than what will be; under its names nothing is taken for new. The rest is swept in the end. */
function abandoned({ status }: Backup): StatusChange['fields'] {
  return status?.copiedAt === undefined ? { cutsAbandoned: (status?.cutsAbandoned ?? 0) + 1 } : {};
}

/** Names of the claims that the mover mounts for those that are not read live. */
export function claimNames(backup: Backup): Readonly<Record<string, string>> {
  const copied = (backup.status?.copies ?? []).flatMap(({ claim, method }, index) => (method === 'Direct' ? [] : [[claim, copyName(backup, index)]]));
  return Object.fromEntries(copied) as Record<string, string>;
}

/** Claims that the mover reads live. */
export function liveClaims(backup: Backup): readonly string[] {
  const copied = claimNames(backup);
  return (backup.status?.volumes ?? []).filter((claim) => copied[claim] === undefined);
}

/** Whether the workload has to stand still while the mover reads: not where everything was cut before. */
export function isReadLive(backup: Backup): boolean {
  return !hasCopies(backup.status?.copies) || liveClaims(backup).length > 0;
}

export function hasCopies(copies: readonly VolumeCopy[] | undefined): boolean {
  return copies?.some(({ method }) => method !== 'Direct') === true;
}

/** Whether all that the mover mounts is there. */
export function areDelivered(facts: BackupFacts): boolean {
  const cutAt = timeOf(facts.backup.status?.copiedAt);
  return !hasCopies(facts.backup.status?.copies) || (cutAt !== undefined && copiesOf(facts).every((copy) => deliveryState(copy, cutAt).kind === 'done'));
}

/** Whether what the backup holds was so at one moment. */
export function sameInstant(copies: readonly VolumeCopy[], groupClass?: string): ConditionInput {
  const type = 'SameInstant';
  const live = copies.filter(({ method }) => method === 'Direct').map(({ claim }) => claim);
  if (live.length > 0) {
    return { type, status: 'False', reason: 'ReadLive', message: `${displayList(live)} ${live.length === 1 ? 'is' : 'are'} read while in use: each file is of the moment at which it was read.` };
  }
  if (copies.length === 1) return { type, status: 'True', reason: 'OneVolume', message: `Everything is of the moment at which ${copies[0]?.claim ?? ''} was snapshotted.` };
  if (groupClass !== undefined) return { type, status: 'True', reason: 'GroupSnapshot', message: `The ${copies.length} volumes were snapshotted at one moment, by VolumeGroupSnapshotClass ${groupClass}.` };
  return { type, status: 'False', reason: 'CutOneByOne', message: `The ${copies.length} volumes were snapshotted one after the other; each is of one moment.` };
}

function copiesOf(facts: BackupFacts): readonly CopyOf[] {
  const { backup } = facts;
  const home = backup.metadata.namespace ?? '';
  const copies = backup.status?.copies ?? [];
  return copies.map((copy, index) => {
    const placed = placement([copy.claim], facts.claims, facts.users);
    return {
      backup,
      index,
      copy,
      fact: facts.copies.volumes[index] ?? NO_COPY,
      source: facts.claims.find(({ name }) => name === copy.claim),
      storage: facts.copies.storage,
      namespace: backup.status?.moverNamespace ?? home,
      node: placed.ok ? placed.node : undefined,
    };
  });
}

/** Failures first, then what is to be made, then what is waited for. */
function step(facts: BackupFacts, states: readonly CopyState[], message: string, then: () => BackupPlan, now: number): BackupPlan {
  const failed = states.find((state) => state.kind === 'failed');
  if (failed !== undefined) return fail(facts, { reason: failed.code, message: failed.message }, now);
  const waits = states.filter((state) => state.kind === 'waiting');
  const late = waits.find(({ until }) => until <= now);
  if (late !== undefined) return fail(facts, { reason: 'SnapshotDeadline', message: `${late.message} Given up, for it took too long.` }, now);
  const objects = states.flatMap((state) => (state.kind === 'make' ? state.objects : []));
  if (objects.length === 0 && waits.length === 0) return then();
  const trouble = waits.find(({ reason }) => reason !== 'Snapshotting');
  const said = say(facts, now, trouble ?? { reason: 'Snapshotting', message });
  const wakeAt = waits.length === 0 ? undefined : Math.min(...waits.map(({ until }) => until));
  // The objects first: the status tells of them.
  return { steps: [...objects.map((object) => ({ do: 'makeCopy', object }) as const), ...said.steps], ...(wakeAt === undefined ? {} : { wakeAt }) };
}

function cut({ backup }: BackupFacts, now: number): BackupPlan {
  const change: StatusChange = {
    phase: 'Snapshotting',
    conditions: [notStored('Snapshotting', 'The snapshots are being brought to the mover.'), sameInstant(backup.status?.copies ?? [], backup.status?.groupSnapshotClass)],
    fields: { copiedAt: displayTime(now) },
  };
  return { steps: [{ do: 'writeStatus', status: changedStatus(backup, change, now) }], again: true };
}

function transfer({ backup }: BackupFacts, now: number): BackupPlan {
  const attempt = (backup.status?.attempt ?? 0) + 1;
  return { steps: [{ do: 'writeStatus', status: changedStatus(backup, toTransfer(attempt), now) }], again: true };
}

/** The write that lets the mover be made. */
export function toTransfer(attempt: number): StatusChange {
  return {
    phase: 'Transferring',
    conditions: [notStored('Starting', attempt === 1 ? 'The mover is being started.' : `The mover is being started (attempt ${attempt}).`)],
    fields: { attempt, jobName: undefined, node: undefined, nextAttemptAt: undefined, progress: undefined },
  };
}

function say({ backup }: BackupFacts, now: number, why: Failure): BackupPlan {
  return { steps: [{ do: 'writeStatus', status: changedStatus(backup, { phase: 'Snapshotting', conditions: [notStored(why.reason, why.message)] }, now) }] };
}

function fail(facts: BackupFacts, why: Failure, now: number): BackupPlan {
  const change: StatusChange = { phase: 'Failed', conditions: [notStored(why.reason, why.message)], fields: { completedAt: displayTime(now), progress: undefined } };
  return afterPostHooks(facts, now, SNAPSHOTTING, () => ({ steps: [{ do: 'writeStatus', status: changedStatus(facts.backup, change, now) }] }));
}
