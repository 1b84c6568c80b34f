/**
 * Forgetting what a deleted or cancelled backup left in the repository. One Job does it for all backups of a tenant that are to
 * go at that moment: a prune reads the whole index, and one for each of fifty would take fifty times as long. One of them leads:
 * the Job bears its name, and its status counts the attempts; all of them own the Job, so it is collected when the last is gone. When
 * the one that leads is gone before, the next one does.
 */
import { API_VERSION, GROUP, type Backup, type BackupStatus } from '../api/index.ts';
import { attemptState, type AttemptIdentity, type AttemptState } from './attempt.ts';
import type { MoverStart } from './backup-facts.ts';
import { FIRST_FORGET_ATTEMPT, timeOf } from './backup-status.ts';
import { attemptName, earlierAttemptNames } from './child-names.ts';
import { displayTime } from './display.ts';
import { failureOf, type Failure } from './failure-reason.ts';
import { ANNOTATION_FORGETS } from './mover-job.ts';
import type { AttemptFacts, JobFact } from './observed.ts';
import { forgetOrders } from './orders.ts';
import { checkLocation, type Ground, type GroundFacts } from './preconditions.ts';
import type { MoverQueue, WaitingMover } from './queue.ts';
import { renewalDue, renewalTime, watchUntil } from './renewal.ts';
import { MAX_ATTEMPTS, retryDelayMs } from './retry.ts';

/** Lets a backup go without forgetting its snapshot: the last resort when the bucket is gone for good. */
export const ANNOTATION_ABANDON = `${GROUP}/abandon`;

export interface ForgetFacts {
  /** Of the forget Job of this namespace, if there is one. */
  readonly job: AttemptFacts;
  /** Backups of this namespace that are to be forgotten, whose own mover is gone, and whose deletion nobody has to confirm first. */
  readonly wanting: readonly Backup[];
  /** Why this backup's deletion waits for a person. */
  readonly stopped: Failure | undefined;
}

export interface ForgetInput {
  readonly backup: Backup;
  readonly forget: ForgetFacts;
  readonly ground: Pick<GroundFacts, 'location' | 'tenant'>;
  readonly queue: MoverQueue | undefined;
  readonly liveJobs: ReadonlySet<string>;
  readonly defaultImage: string;
}

type StatusFields = { readonly [Field in keyof BackupStatus]?: BackupStatus[Field] | undefined };

/** How the forgetting of one backup stands, and what is next. */
export type ForgetState =
  | { readonly kind: 'forgotten'; readonly job: JobFact }
  | {
      readonly kind: 'waiting';
      readonly reason: string;
      readonly message: string;
      readonly fields?: StatusFields;
      readonly clear?: string;
      /** Name of the Job whose credentials are about to end. */
      readonly renew?: string;
      readonly wakeAt?: number;
    }
  /** Its place is to be taken, by writing these fields. */
  | { readonly kind: 'admitted'; readonly fields: StatusFields }
  | { readonly kind: 'start'; readonly start: MoverStart };

export function forgetState(input: ForgetInput, now: number): ForgetState {
  const { job } = input.forget.job;
  if (job !== undefined) return withJob(input, job, now);
  const leader = leaderOf(input);
  if (leader.metadata.uid !== input.backup.metadata.uid) {
    return { kind: 'waiting', reason: 'Forgetting', message: `Its snapshot is forgotten together with that of Backup ${leader.metadata.name}.` };
  }
  return lead(input, now);
}

/** UIDs that a forget Job covers, the leader's first. */
export function coveredBy(job: JobFact): readonly string[] {
  return (job.annotations[ANNOTATION_FORGETS] ?? '').split(',').filter((uid) => uid !== '');
}

function withJob(input: ForgetInput, job: JobFact, now: number): ForgetState {
  const covered = coveredBy(job);
  const [first] = covered;
  const { uid, name } = input.backup.metadata;
  const isOwner = (other: string): boolean => job.owners.some((owner) => owner.uid === other);
  if (first === undefined || !covered.includes(uid) || !isOwner(uid)) {
    return { kind: 'waiting', reason: 'Queued', message: 'Another deletion of this namespace runs; this one starts when it has ended.' };
  }
  const state = attemptState(forgetIdentity(job, first, uid), input.forget.job, now);
  // Who led may be gone, let go of by a person: the next one sees to it that it is tried again.
  return covered.find(isOwner) === uid ? asLeader(input, job, state, now) : asFollower(name, job, state);
}

/**
 * What is looked for of a forget Job.
 * @param leader - whose the attempt is, and the result
 * @param looking - who looks; it may be the last that is left of them
 */
export function forgetIdentity({ name }: { readonly name: string }, leader: string, looking: string): AttemptIdentity {
  return { task: 'forget', name, uid: leader, owner: looking, jobWasSeen: true };
}

function asFollower(name: string, job: JobFact, state: AttemptState): ForgetState {
  if (state.kind === 'succeeded') return { kind: 'forgotten', job };
  return { kind: 'waiting', ...words(state, `The snapshot of ${name} is being forgotten by Job ${job.name}.`) };
}

function asLeader(input: ForgetInput, job: JobFact, state: AttemptState, now: number): ForgetState {
  if (state.kind === 'succeeded') return { kind: 'forgotten', job };
  const said = words(state, `Its snapshot is being forgotten by Job ${job.name}.`);
  if (state.kind !== 'failed') {
    const wakeAt = watchUntil(renewalTime(job), 'lookAt' in state ? state.lookAt : undefined, now);
    return { kind: 'waiting', ...said, fields: { jobName: job.name }, ...(renewalDue(job, now) ? { renew: job.name } : {}), ...(wakeAt === undefined ? {} : { wakeAt }) };
  }
  const wakeAt = now + retryDelayMs(forgetCount(input.backup));
  return { kind: 'waiting', ...said, fields: { jobName: job.name, nextAttemptAt: displayTime(wakeAt) }, clear: job.name, wakeAt };
}

function words(state: AttemptState, otherwise: string): { readonly reason: string; readonly message: string } {
  switch (state.kind) {
    case 'failed': {
      const { reason, message } = failureOf(state.code, state.message);
      return {
        reason,
        message: `The snapshot could not be forgotten: ${message} It is tried again; the annotation ${ANNOTATION_ABANDON}: "true" lets go without forgetting.`,
      };
    }
    case 'resultUnreachable':
      return { reason: 'ResultUnreachable', message: `The mover's result cannot be read: ${state.message}` };
    case 'starting':
    case 'running':
      return state.trouble ?? { reason: 'Forgetting', message: otherwise };
    case 'absent':
    case 'nameTaken':
    case 'logWanted':
    case 'resultWanted':
    case 'succeeded':
      return { reason: 'Forgetting', message: otherwise };
  }
}

function lead(input: ForgetInput, now: number): ForgetState {
  const { backup, ground } = input;
  const { tenant } = ground;
  const letGo = `The annotation ${ANNOTATION_ABANDON}: "true" lets go without forgetting.`;
  if (tenant === undefined)
    return {
      kind: 'waiting',
      reason: 'TenantMissing',
      message: `BackupTenant ${backup.status?.tenant ?? ''} does not exist, so nobody knows where the snapshot lies. ${letGo}`,
    };
  const place = checkLocation(tenant.spec.location, ground.location);
  if (!place.ok) return { kind: 'waiting', reason: place.reason, message: `${place.message} The snapshot is forgotten once it is ready. ${letGo}` };
  if (holdsForgetPlace(backup))
    return { kind: 'start', start: forgetStart(input, { location: place.location, tenant }, backup.status?.attempt ?? FIRST_FORGET_ATTEMPT) };
  // Before the first forget attempt the time is that of the transfer's next attempt, which will not be made.
  const due = (backup.status?.attempt ?? 0) < FIRST_FORGET_ATTEMPT ? undefined : timeOf(backup.status?.nextAttemptAt);
  if (due !== undefined && due > now) {
    const before = backup.status?.conditions?.find(({ type }) => type === 'Deleted');
    return { kind: 'waiting', reason: before?.reason ?? 'Retrying', message: before?.message ?? 'It is tried again.', wakeAt: due };
  }
  const candidate = forgetCandidate(backup, tenant.spec.location);
  const admission = input.queue?.admit(candidate);
  if (admission?.admitted !== true) return { kind: 'waiting', reason: 'Queued', message: admission?.message ?? 'Waiting for its turn.' };
  const attempt = Math.max(backup.status?.attempt ?? 0, FIRST_FORGET_ATTEMPT - 1) + 1;
  return { kind: 'admitted', fields: { attempt, jobName: undefined, nextAttemptAt: undefined } };
}

/** A forget attempt whose Job was never seen: it was admitted, and its Job is to be made. */
export function holdsForgetPlace(backup: Backup): boolean {
  const { status } = backup;
  const attempt = status?.attempt ?? 0;
  return attempt >= FIRST_FORGET_ATTEMPT && status?.nextAttemptAt === undefined && status?.jobName !== attemptName(backup.metadata.uid, attempt);
}

function forgetCount(backup: Backup): number {
  return Math.max(1, (backup.status?.attempt ?? 0) - FIRST_FORGET_ATTEMPT + 1);
}

export function forgetCandidate(backup: Backup, location: string): WaitingMover {
  const { metadata, status } = backup;
  return {
    uid: metadata.uid,
    name: metadata.name,
    task: 'forget',
    namespace: metadata.namespace ?? '',
    location,
    safetyFor: undefined,
    automatic: backup.spec.trigger === 'Automatic',
    queuedAt: metadata.deletionTimestamp ?? status?.queuedAt ?? metadata.creationTimestamp,
  };
}

/** Everybody picks the same one: who holds the place already, else the smallest UID. */
function leaderOf(input: ForgetInput): Backup {
  const rank = (backup: Backup) => `${holdsForgetPlace(backup) ? 0 : 1} ${backup.metadata.uid}`;
  return input.forget.wanting.reduce((best, other) => (rank(other) < rank(best) ? other : best), input.backup);
}

function forgetStart(input: ForgetInput, ground: Pick<Ground, 'location' | 'tenant'>, attempt: number): MoverStart {
  const { backup } = input;
  const { uid } = backup.metadata;
  const others = input.forget.wanting.filter((other) => other.metadata.uid !== uid);
  const all = [backup, ...others];
  const name = attemptName(uid, attempt);
  const transfers = all.flatMap((one) => earlierAttemptNames(one.metadata.uid, Math.min(one.status?.attempt ?? 0, MAX_ATTEMPTS) + 1));
  const forgets = all.flatMap((one) => Array.from({ length: Math.max(0, (one.status?.attempt ?? 0) - FIRST_FORGET_ATTEMPT + 1) }, (_, index) => attemptName(one.metadata.uid, FIRST_FORGET_ATTEMPT + index)));
  const dead = [...transfers, ...forgets].filter((earlier) => earlier !== name);
  return {
    orders: forgetOrders({
      attempt: { name, number: attempt, uid },
      tenant: { id: ground.tenant.spec.tenantId, generation: backup.status?.keyGeneration ?? 1 },
      location: ground.location.spec,
      deadAttempts: dead.filter((job) => !input.liveJobs.has(job)),
      snapshots: all.flatMap((one) => one.status?.snapshotId ?? []),
      uids: all.map((one) => one.metadata.uid),
    }),
    job: {
      name,
      namespace: backup.metadata.namespace ?? '',
      task: 'forget',
      owners: all.map((one) => ({ apiVersion: API_VERSION, kind: 'Backup', name: one.metadata.name, uid: one.metadata.uid })),
      tenant: ground.tenant.metadata.name,
      policy: undefined,
      backup: undefined,
      restore: undefined,
      locationName: ground.location.metadata.name,
      location: ground.location.spec,
      defaultImage: input.defaultImage,
      claims: [],
      node: undefined,
      labels: {},
      annotations: {},
      jobAnnotations: { [ANNOTATION_FORGETS]: all.map((one) => one.metadata.uid).join(',') },
    },
  };
}
