/** A Backup in `Transferring`: its Job is made, watched, and its end becomes the status. */
import { API_VERSION, type Backup, type ConditionInput, type MoverResult } from '../api/index.ts';
import { attemptState, mayGoOn, type AttemptIdentity, type AttemptState } from './attempt.ts';
import { afterPostHooks, hooksOutcome, type HooksOutcome, type Saying } from './backup-hooks.ts';
import type { BackupFacts, BackupStep, MoverStart, Plan } from './backup-facts.ts';
import { changedStatus, expiryOf, notStored, stored, timeOf, type StatusChange } from './backup-status.ts';
import { attemptName, earlierAttemptNames } from './child-names.ts';
import { displayBytes, displayDuration, displayList, displayTime } from './display.ts';
import { areDelivered, claimNames, isReadLive, liveClaims } from './backup-snapshotting.ts';
import { failureOf, type Failure } from './failure-reason.ts';
import { areReleased, failureOfStage, owesPostHooks } from './hooks.ts';
import { backupOrders } from './orders.ts';
import { implausible } from './plausibility.ts';
import { checkGround, type Ground } from './preconditions.ts';
import { transferProgress } from './progress.ts';
import { renewalDue, renewalTime, watchUntil } from './renewal.ts';
import { MAX_ATTEMPTS, retryDelayMs } from './retry.ts';
import { chooseStreams, streamsOf, type StreamsChoice } from './streams.ts';
import type { Trouble } from './trouble.ts';
import { mountable, placement } from './volumes.ts';

type BackupPlan = Plan<BackupStep>;
const RESULT_LOOK_MS = 10_000;
/** A workload that is quiesced waits no longer than this for a mover that does not start. */
const QUIESCED_START_MS = 120_000;
const TRANSFERRING: Saying = { phase: 'Transferring', condition: notStored };
/** Most movers run a moment after their Job was made; what is on the way until then is not worth a write each. */
const STARTING_QUIET_MS = 5_000;
const LOST_NODE_LOOK_MS = 60_000;
const MAX_LISTED = 20;

export function identityOf(backup: Backup): AttemptIdentity {
  const attempt = backup.status?.attempt ?? 0;
  return {
    task: 'backup',
    name: attemptName(backup.metadata.uid, attempt),
    uid: backup.metadata.uid,
    jobWasSeen: backup.status?.jobName !== undefined,
  };
}

export function decideTransfer(facts: BackupFacts, now: number): BackupPlan {
  // Nothing can be made in a namespace that is going, and what runs there is taken away; the deletion of the Backup follows.
  if (facts.ground.namespace === undefined || facts.ground.namespace.terminating) return { steps: [] };
  const state = attemptState(identityOf(facts.backup), facts.attempt, now);
  switch (state.kind) {
    case 'absent':
      return start(facts, now);
    case 'nameTaken':
      return released(facts, now, () =>
        waiting(
          facts.backup,
          now,
          'NameTaken',
          `Job ${identityOf(facts.backup).name} exists but belongs to somebody else (${displayList(state.owners.map((owner) => `${owner.kind} ${owner.uid}`)) || 'no owner'}). Delete it.`,
        ),
      );
    case 'starting':
    case 'running':
      return watching(facts, state, now);
    case 'logWanted':
    case 'resultWanted':
      return { steps: [], wakeAt: now + RESULT_LOOK_MS };
    case 'resultUnreachable':
      // Nothing reads the volumes any more, whatever came of it.
      return released(facts, now, () => ({
        ...waiting(facts.backup, now, 'ResultUnreachable', `The mover has ended, but its result cannot be read: ${state.message}`),
        wakeAt: now + RESULT_LOOK_MS,
      }));
    case 'succeeded':
      return released(facts, now, (failure) => (failure === undefined ? succeed(facts, state.result, state.node, now) : spoiled(facts, failure, state.node, now)));
    case 'failed':
      return released(facts, now, () => fail(facts, state, now));
  }
}

/** The volumes are not read any more: the workload is released before anything else is said. */
function released(facts: BackupFacts, now: number, end: (failure: Failure | undefined) => BackupPlan): BackupPlan {
  return afterPostHooks(facts, now, TRANSFERRING, end);
}

/** A post hook that counts has failed: what was stored may lack what makes it consistent. The next attempt would find it and take it for done. */
function spoiled(facts: BackupFacts, { reason, message }: Failure, node: string | undefined, now: number): BackupPlan {
  return fail(facts, { code: reason, message, retryable: false, node }, now);
}

function waiting(backup: Backup, now: number, reason: string, message: string, fields: StatusChange['fields'] = {}): BackupPlan {
  return {
    steps: [{ do: 'writeStatus', status: changedStatus(backup, { phase: 'Transferring', conditions: [notStored(reason, message)], fields }, now) }],
  };
}

/** The volumes were chosen at admission; they and the ground under them are looked at once more, for time has passed. */
function start(facts: BackupFacts, now: number): BackupPlan {
  const { backup } = facts;
  const names = liveClaims(backup);
  const hooks = backup.status?.hooks ?? [];
  const isLive = isReadLive(backup);
  // The workload works again, so whatever is read live now was not quiesced.
  if (isLive && areReleased(hooks)) return preHookFailed(facts, failureOfStage(hooks, 'Pre'), now) ?? backToQueue(backup, { reason: 'Requeued', message: 'It begins anew, for its hooks are over.' }, now);
  const requeue = (why: Failure, node?: string) => released(facts, now, () => backToQueue(backup, why, now, node));
  const ground = checkGround(facts.ground);
  if (!ground.ok) return requeue(ground);
  const volumes = mountable(names, facts.claims);
  if (!volumes.ok) return requeue(volumes);
  if (!areDelivered(facts)) {
    const lost = { code: 'SnapshotLost', message: 'A snapshot or clone is gone before it was read.', retryable: true, node: undefined };
    return released(facts, now, () => fail(facts, lost, now));
  }
  const placed = placement(names, facts.claims, facts.users);
  // Nobody knows for how long, and others are not to wait for it.
  if (!placed.ok && placed.reason === 'VolumeOnLostNode') return released(facts, now, () => backToQueue(backup, placed, now, undefined, now + LOST_NODE_LOOK_MS));
  if (!placed.ok) return released(facts, now, () => fail(facts, { code: placed.reason, message: placed.message, retryable: false, node: undefined }, now));
  // Now the node is known for certain; the queue went by where the last backup ran.
  const busy = facts.queue?.nodeBusy(placed.node, backup.metadata.uid);
  if (busy !== undefined) return requeue(busy, placed.node);
  const wanted = streamsOf(backup, ground.ground.policy);
  if (wanted.length > 0 && facts.hooks.pods === undefined) return { steps: [], needsPods: true };
  const streams = chooseStreams(backup, wanted, facts.hooks.pods ?? []);
  if (!streams.ok) return released(facts, now, () => fail(facts, { code: streams.reason, message: streams.message, retryable: true, node: placed.node }, now));
  // Snapshots were cut under the hooks, and the workload was released right then.
  const pre: HooksOutcome = isLive ? hooksOutcome('Pre', facts, now, TRANSFERRING) : { failure: undefined };
  if (pre.plan !== undefined) return pre.plan;
  return preHookFailed(facts, pre.failure, now) ?? { steps: [{ do: 'startMover', start: moverStart(facts, ground.ground, placed.node, streams) }] };
}

function preHookFailed(facts: BackupFacts, failure: Failure | undefined, now: number): BackupPlan | undefined {
  if (failure === undefined) return undefined;
  return released(facts, now, () => fail(facts, { code: failure.reason, message: failure.message, retryable: true, node: undefined }, now));
}

/** The mover's credentials could not be made, so no Job was: a failed attempt like any other. */
export function decideStartRefused(
  facts: BackupFacts,
  failure: { readonly reason: string; readonly message: string; readonly retryable: boolean },
  now: number,
): BackupPlan {
  return released(facts, now, () => fail(facts, { code: failure.reason, message: failure.message, retryable: failure.retryable, node: undefined }, now));
}

/** The place is given to others while something is missing. The attempt was none: its number is used again. */
function backToQueue(backup: Backup, why: { readonly reason: string; readonly message: string }, now: number, node = backup.status?.node, notBefore?: number): BackupPlan {
  const attempt = backup.status?.attempt ?? 1;
  const change: StatusChange = {
    phase: 'Queued',
    conditions: [notStored(why.reason, why.message)],
    fields: { attempt: attempt > 1 ? attempt - 1 : undefined, node, hooks: isReadLive(backup) ? undefined : backup.status?.hooks, ...(notBefore === undefined ? {} : { nextAttemptAt: displayTime(notBefore) }) },
  };
  return {
    steps: [
      { do: 'clearMover', name: attemptName(backup.metadata.uid, attempt) },
      { do: 'writeStatus', status: changedStatus(backup, change, now) },
    ],
    ...(notBefore === undefined ? {} : { wakeAt: notBefore }),
  };
}

function moverStart(facts: BackupFacts, ground: Ground, node: string | undefined, { streams, bridge }: StreamsChoice & { readonly ok: true }): MoverStart {
  const { backup } = facts;
  const { uid, name, namespace: home = '' } = backup.metadata;
  const attempt = backup.status?.attempt ?? 1;
  const claims = backup.status?.volumes ?? [];
  const job = attemptName(uid, attempt);
  return {
    orders: backupOrders({
      attempt: { name: job, number: attempt, uid },
      tenant: { id: ground.tenant.spec.tenantId, generation: backup.status?.keyGeneration ?? 1 },
      location: ground.location.spec,
      deadAttempts: earlierAttemptNames(uid, attempt).filter((earlier) => !facts.liveJobs.has(earlier)),
      policy: ground.policy.metadata.name,
      backup: name,
      claims,
      streams,
      excludes: ground.policy.spec.excludes ?? [],
      incompleteSnapshots: facts.siblings.flatMap((other) => (isIncomplete(other) ? (other.status?.snapshotId ?? []) : [])),
    }),
    job: {
      name: job,
      namespace: backup.status?.moverNamespace ?? home,
      task: 'backup',
      // No owner in another namespace: the garbage collector would take it for one that is gone.
      owners: backup.status?.moverNamespace === undefined ? [{ apiVersion: API_VERSION, kind: 'Backup', name, uid, controller: true, blockOwnerDeletion: false }] : [],
      home,
      tenant: ground.tenant.metadata.name,
      policy: ground.policy.metadata.name,
      backup: { name, uid },
      restore: undefined,
      locationName: ground.location.metadata.name,
      location: ground.location.spec,
      defaultImage: facts.defaultImage,
      claims,
      standIns: claimNames(backup),
      node,
      labels: ground.policy.spec.mover.labels ?? {},
      annotations: ground.policy.spec.mover.annotations ?? {},
      jobAnnotations: {},
      hasBridge: bridge !== undefined,
    },
    bridge,
  };
}

function isIncomplete(backup: Backup): boolean {
  return backup.status?.conditions?.some(({ type, status }) => type === 'Complete' && status === 'False') === true;
}

function watching(facts: BackupFacts, state: AttemptState & { readonly kind: 'starting' | 'running' }, now: number): BackupPlan {
  const { backup, attempt } = facts;
  const { name } = identityOf(backup);
  const startedAt = timeOf(backup.status?.startedAt) ?? now;
  const tooLong = state.kind === 'starting' ? quiescedUntil(facts) : undefined;
  if (tooLong !== undefined && now >= tooLong) return stopForWorkload(facts, name, state.trouble, now);
  const renew: readonly BackupStep[] = renewalDue(attempt.job, now) ? [{ do: 'renewCredentials', name }] : [];
  const quiet = state.kind === 'starting' ? quietUntil(facts, state.trouble, now) : undefined;
  if (quiet !== undefined) return { steps: renew, wakeAt: quiet };
  const said =
    state.trouble ??
    (state.kind === 'running'
      ? { reason: 'Transferring', message: `Job ${name} transfers the volumes.` }
      : { reason: 'Starting', message: `Job ${name} is starting.` });
  const plan = waiting(backup, now, said.reason, said.message, {
    jobName: name,
    node: state.node,
    progress: transferProgress(attempt.spoken.progress, startedAt) ?? backup.status?.progress,
  });
  const wakeUps = [watchUntil(renewalTime(attempt.job), state.lookAt, now), tooLong].filter((time) => time !== undefined);
  return { steps: [...plan.steps, ...renew], ...(wakeUps.length === 0 ? {} : { wakeAt: Math.min(...wakeUps) }) };
}

/**
 * Milliseconds since the epoch until which nothing is written of a mover that is starting. A Job that vanishes meanwhile is made once more under its name, as
 * after a crash before this write: its mover had not begun, or the next one finds what it left.
 */
function quietUntil({ backup, attempt: { job } }: BackupFacts, trouble: Trouble | undefined, now: number): number | undefined {
  if (job === undefined || backup.status?.jobName !== undefined || Math.abs(now - job.createdAt) >= STARTING_QUIET_MS) return undefined;
  // A volume that is being made for it, and a scheduler that has not seen it yet, look like this too.
  return trouble === undefined || trouble.reason === 'Unschedulable' ? job.createdAt + STARTING_QUIET_MS : undefined;
}

/** Milliseconds since the epoch until which a quiesced workload waits for its mover to start. */
function quiescedUntil({ backup, attempt }: BackupFacts): number | undefined {
  if (!owesPostHooks(backup.status?.hooks) || attempt.job === undefined) return undefined;
  return attempt.job.createdAt + QUIESCED_START_MS;
}

/** Its Job goes; that it is gone ends the attempt, and with that the workload is released. */
function stopForWorkload(facts: BackupFacts, name: string, trouble: Failure | undefined, now: number): BackupPlan {
  const why = trouble === undefined ? '' : ` ${trouble.message}`;
  const message = `The mover did not start within ${QUIESCED_START_MS / 60_000} minutes, and the workload is quiesced meanwhile, so it is stopped.${why}`;
  const plan = waiting(facts.backup, now, 'MoverNotStarted', message, { jobName: name });
  return facts.attempt.job?.deleting === true ? plan : { steps: [...plan.steps, { do: 'stopMover', name }] };
}

function succeed(facts: BackupFacts, result: MoverResult, node: string | undefined, now: number): BackupPlan {
  const { backup } = facts;
  const done = result.backup;
  if (done === undefined) return { steps: [] };
  const startedAt = timeOf(backup.status?.startedAt) ?? now;
  const expiry = expiryOf(backup, now);
  const size = displayBytes(done.bytesProcessed);
  const odd = implausible(done, backup, facts.siblings, facts.ground.policy);
  const change: StatusChange = {
    phase: 'Stored',
    conditions: [
      stored(`${done.files} files (${size}) are stored; ${displayBytes(done.bytesAdded)} were new.`),
      completeness(result),
      ...(odd === undefined ? [] : [odd]),
    ],
    fields: {
      snapshotId: done.snapshotId,
      jobName: identityOf(backup).name,
      node: node ?? backup.status?.node,
      completedAt: displayTime(now),
      expiresAt: expiry === undefined ? undefined : displayTime(expiry),
      duration: displayDuration(now - startedAt),
      progress: undefined,
      files: done.files,
      bytesProcessed: done.bytesProcessed,
      bytesAdded: done.bytesAdded,
      size,
      unreadable: done.complete ? undefined : result.warnings.slice(0, MAX_LISTED),
    },
  };
  return { steps: afterEnd(facts, { do: 'writeStatus', status: changedStatus(backup, change, now) }) };
}

function completeness(result: MoverResult): ConditionInput {
  if (result.backup?.complete === true) {
    const seen = result.warningCount === 0 ? '' : ` ${result.warningCount} warnings: ${displayList(result.warnings)}.`;
    return { type: 'Complete', status: 'True', reason: 'AllFilesRead', message: `Every file could be read.${seen}` };
  }
  return {
    type: 'Complete',
    status: 'False',
    reason: 'UnreadableFiles',
    message: `${result.warningCount} files could not be read: ${displayList(result.warnings)}. They are missing in this backup.`,
  };
}

function fail(
  facts: BackupFacts,
  failure: { readonly code: string; readonly message: string; readonly retryable: boolean; readonly node: string | undefined },
  now: number,
): BackupPlan {
  const { backup } = facts;
  const attempt = backup.status?.attempt ?? 1;
  const { reason, message } = failureOf(failure.code, failure.message);
  const fields = { node: failure.node ?? backup.status?.node, jobName: identityOf(backup).name, progress: undefined };
  if (failure.retryable && attempt < MAX_ATTEMPTS) {
    const next = now + retryDelayMs(attempt);
    const said = `Attempt ${attempt} of ${MAX_ATTEMPTS} failed and is made again at ${displayTime(next)}: ${message}`;
    const change: StatusChange = { phase: 'Queued', conditions: [notStored(reason, said)], fields: { ...fields, nextAttemptAt: displayTime(next) } };
    return { steps: afterEnd(facts, { do: 'writeStatus', status: changedStatus(backup, change, now) }), wakeAt: next };
  }
  const said = attempt > 1 ? `Given up after ${attempt} attempts: ${message}` : message;
  const change: StatusChange = { phase: 'Failed', conditions: [notStored(reason, said)], fields: { ...fields, completedAt: displayTime(now) } };
  return { steps: afterEnd(facts, { do: 'writeStatus', status: changedStatus(backup, change, now) }) };
}

/**
 * The pod tells its end as long as its Job is there, so the status is written first. Without a Job nothing would find the Secret
 * again after that, so it goes first; and a mover that has not ended is ended first, for what follows counts on that.
 */
function afterEnd(facts: BackupFacts, write: BackupStep): readonly BackupStep[] {
  const clear: BackupStep = { do: 'clearMover', name: identityOf(facts.backup).name };
  return facts.attempt.job === undefined || mayGoOn(facts.attempt) ? [clear, write] : [write, clear];
}
