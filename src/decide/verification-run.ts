/** A verification that has its turn: its Job is made, watched, and its end becomes the status and the condition `Verified`. */
import { API_VERSION, type Backup, type BackupPolicy, type ConditionInput, type MoverResult, type VerificationStatus } from '../api/index.ts';
import { attemptState, mayGoOn, type AttemptIdentity, type AttemptState } from './attempt.ts';
import type { MoverStart } from './backup-facts.ts';
import { timeOf } from './backup-status.ts';
import { attemptName } from './child-names.ts';
import { displayBytes, displayDuration, displayList, displayTime } from './display.ts';
import { failureOf } from './failure-reason.ts';
import { standsIn, storedAt } from './good.ts';
import { verifyOrders } from './orders.ts';
import { checkGround, type Ground } from './preconditions.ts';
import { transferProgress } from './progress.ts';
import { renewalDue, renewalTime, watchUntil } from './renewal.ts';
import { MAX_ATTEMPTS, retryDelayMs } from './retry.ts';
import { bytesOfQuantity } from './storage-size.ts';
import type { VerificationFacts, VerificationPlan, VerificationStep } from './verification-facts.ts';
import { standing } from './verification-standing.ts';

const RESULT_LOOK_MS = 10_000;
const MAX_LISTED = 20;
const MAX_BACKUPS = 50;
/** Of the scratch space; a file system keeps some for itself. */
const SCRATCH_SHARE = 0.8;
/** Attempts of one time; the number of a result, and of a Job, is the minute and this. */
const ATTEMPTS_A_MINUTE = 10;

/** A number that no other attempt of this policy has: results stay in the bucket under it. */
function attemptNumber(scheduledAt: string, attempt: number): number {
  return Math.floor(Date.parse(scheduledAt) / 60_000) * ATTEMPTS_A_MINUTE + attempt;
}

export function verificationJob(policy: BackupPolicy, status: VerificationStatus): { readonly name: string; readonly number: number } {
  const number = attemptNumber(status.scheduledAt, status.attempt);
  return { name: attemptName(policy.metadata.uid, number), number };
}

export function verificationIdentity(policy: BackupPolicy, status: VerificationStatus): AttemptIdentity {
  const { name } = verificationJob(policy, status);
  return { task: 'verify', name, uid: policy.metadata.uid, jobWasSeen: status.jobName === name };
}

export function decideRunning(facts: VerificationFacts, status: VerificationStatus, now: number): VerificationPlan {
  const identity = verificationIdentity(facts.policy, status);
  const state = attemptState(identity, facts.attempt, now);
  const say = (message: string): VerificationPlan => ({ ...standing(facts, { ...status, message }, now), wakeAt: now + RESULT_LOOK_MS });
  switch (state.kind) {
    case 'absent':
      return start(facts, status, now);
    case 'nameTaken':
      return say(`Job ${identity.name} exists but belongs to somebody else. Delete it.`);
    case 'starting':
    case 'running':
      return watching(facts, status, state, now);
    case 'logWanted':
    case 'resultWanted':
      return { ...standing(facts, status, now), wakeAt: now + RESULT_LOOK_MS };
    case 'resultUnreachable':
      return say(`The mover has ended, but its result cannot be read: ${state.message}`);
    case 'succeeded':
      return succeed(facts, status, state.result, now);
    case 'failed':
      return fail(facts, status, state, now);
  }
}

function start(facts: VerificationFacts, status: VerificationStatus, now: number): VerificationPlan {
  const ground = checkGround(facts.ground);
  const backup = sampled(facts.backups, status.run);
  const back = (message: string): VerificationPlan => ({ ...standing(facts, { ...status, phase: 'Queued', message }, now), again: true });
  if (!ground.ok) return { ...back(`${ground.reason}: ${ground.message}`), again: false, wakeAt: now + RESULT_LOOK_MS };
  if (backup === undefined) return back('There is no good backup any more.');
  const before: VerificationStep[] = [{ do: 'startMover', start: moverStart(facts, status, ground.ground, backup) }];
  return { ...standing(facts, { ...status, sampledBackup: backup.metadata.name }, now), before };
}

/** The newest one every other time, and the others in turn. */
export function sampled(backups: readonly Backup[], run: number): Backup | undefined {
  const good = backups.filter((backup) => standsIn(backup) && backup.status?.snapshotId !== undefined).sort((a, b) => storedAt(b) - storedAt(a));
  const [newest, ...others] = good;
  return run % 2 === 0 || others.length === 0 ? newest : others[((run - 1) / 2) % others.length];
}

/** Parts of one repository are as many as a mover's orders can count. */
const MOST_PARTS = 256;

/** The part that is read: all of them in turn. Policies that share a repository share the reading: each reads parts of its own. */
export function partOf({ metadata, spec }: BackupPolicy, siblings: readonly BackupPolicy[], run: number): { readonly part: number; readonly of: number } {
  const sharing = [metadata.uid, ...siblings.filter(({ spec: { verification } }) => !verification.suspend).map((sibling) => sibling.metadata.uid)].sort();
  const of = Math.min(MOST_PARTS, Math.ceil(100 / spec.verification.readDataPercent) * sharing.length);
  return { part: ((run * sharing.length + sharing.indexOf(metadata.uid)) % of) + 1, of };
}

/** What was found damaged is looked at again, also by those whose own backups may need it. */
function knownDamage({ policy, siblings }: VerificationFacts): readonly string[] {
  return [...new Set([policy, ...siblings].flatMap(({ status }) => status?.verification?.damagedPacks ?? []))];
}

function moverStart(facts: VerificationFacts, status: VerificationStatus, ground: Ground, backup: Backup): MoverStart {
  const { policy } = facts;
  const { uid, name: policyName, namespace = '' } = policy.metadata;
  const { name, number } = verificationJob(policy, status);
  const { sampleFiles, scratchSize } = policy.spec.verification;
  const earlier = Array.from({ length: status.attempt - 1 }, (_, index) => attemptName(uid, attemptNumber(status.scheduledAt, index + 1)));
  return {
    orders: verifyOrders({
      attempt: { name, number, uid },
      tenant: { id: ground.tenant.spec.tenantId, generation: backup.status?.keyGeneration ?? 1 },
      location: ground.location.spec,
      deadAttempts: earlier.filter((job) => !facts.liveJobs.has(job)),
      readData: partOf(policy, facts.siblings, status.run),
      damagedPacks: knownDamage(facts),
      sample: {
        backup: backup.metadata.name,
        snapshotId: backup.status?.snapshotId ?? '',
        files: sampleFiles,
        bytes: Math.max(1, Math.floor((bytesOfQuantity(scratchSize) ?? 0) * SCRATCH_SHARE)),
        // The same files again until they are found sound, and others after that.
        seed: `${uid} ${status.run}`,
      },
    }),
    job: {
      name,
      namespace,
      task: 'verify',
      owners: [{ apiVersion: API_VERSION, kind: 'BackupPolicy', name: policyName, uid, controller: true, blockOwnerDeletion: false }],
      tenant: ground.tenant.metadata.name,
      policy: policyName,
      backup: undefined,
      restore: undefined,
      locationName: ground.location.metadata.name,
      location: ground.location.spec,
      defaultImage: facts.defaultImage,
      claims: [],
      scratch: scratchSize,
      node: undefined,
      labels: policy.spec.mover.labels ?? {},
      annotations: policy.spec.mover.annotations ?? {},
      jobAnnotations: {},
    },
  };
}

function watching(facts: VerificationFacts, status: VerificationStatus, state: AttemptState & { readonly kind: 'starting' | 'running' }, now: number): VerificationPlan {
  const { attempt, policy } = facts;
  const { name } = verificationJob(policy, status);
  const message = state.trouble === undefined ? (state.kind === 'running' ? `Job ${name} reads what is stored.` : `Job ${name} is starting.`) : `${state.trouble.reason}: ${state.trouble.message}`;
  const progress = transferProgress(attempt.spoken.progress, attempt.job?.createdAt ?? now) ?? status.progress;
  const after: VerificationStep[] = renewalDue(attempt.job, now) ? [{ do: 'renewCredentials', name }] : [];
  return { ...standing(facts, { ...status, jobName: name, message, progress }, now), after, wakeAt: watchUntil(renewalTime(attempt.job), state.lookAt, now) };
}

function succeed(facts: VerificationFacts, status: VerificationStatus, result: MoverResult, now: number): VerificationPlan {
  const found = result.verify;
  if (found === undefined) return standing(facts, status, now);
  const { part, of } = partOf(facts.policy, facts.siblings, status.run);
  const isSound = found.problems === 0;
  const damagedBackups = isSound ? [] : damagedOf(facts.backups, found.affected);
  const done: VerificationStatus = {
    ...ended(status, 'Completed', now),
    // What was damaged is looked at again, until it is mended or gone.
    run: isSound ? status.run + 1 : status.run,
    snapshots: found.snapshots,
    packs: found.packsChecked,
    packsRead: found.packsRead,
    bytesRead: found.bytesRead,
    part: `${part}/${of}`,
    filesCompared: found.filesCompared,
    bytesCompared: found.bytesCompared,
    filesTooLarge: found.filesTooLarge,
    problems: found.problems,
    findings: isSound ? undefined : result.warnings.slice(0, MAX_LISTED),
    damagedBackups: damagedBackups.length === 0 ? undefined : damagedBackups.slice(0, MAX_BACKUPS),
    damagedPacks: isSound ? undefined : found.damagedPacks.slice(0, 100),
  };
  const condition = isSound ? sound(done, now) : damage(done, result);
  const lastVerified = isSound ? displayTime(now) : facts.policy.status?.lastVerified;
  return end(facts, status, { status: done, lastVerified, condition });
}

function ended(status: VerificationStatus, phase: 'Completed' | 'Failed', now: number): VerificationStatus {
  return { ...status, phase, message: undefined, progress: undefined, nextAttemptAt: undefined, completedAt: displayTime(now), duration: displayDuration(now - (timeOf(status.startedAt) ?? now)) };
}

function sound(done: VerificationStatus, now: number): ConditionInput {
  const large = (done.filesTooLarge ?? 0) === 0 ? '' : ` ${done.filesTooLarge ?? 0} files are larger than spec.verification.scratchSize has room for and were not tried.`;
  const message =
    `Found sound at ${displayTime(now)}: ${done.snapshots ?? 0} snapshots and ${done.packs ?? 0} packs, ${done.packsRead ?? 0} of them read back (${displayBytes(done.bytesRead ?? 0)}, part ${done.part ?? ''} of the data); ` +
    `${done.filesCompared ?? 0} files (${displayBytes(done.bytesCompared ?? 0)}) of Backup ${done.sampledBackup ?? ''} were restored and are as they were.${large}`;
  return { type: 'Verified', status: 'True', reason: 'Sound', message };
}

function damage(done: VerificationStatus, result: MoverResult): ConditionInput {
  const backups = done.damagedBackups ?? [];
  const whose = backups.length === 0 ? '' : ` These backups cannot be restored whole: ${displayList(backups)}.`;
  const message = `${done.problems ?? 0} things that are stored are damaged: ${displayList(result.warnings, 2)}${whose} Make a new Backup now; docs/errors.md, "When something is damaged", says how to mend it.`;
  return { type: 'Verified', status: 'False', reason: 'DamageFound', message };
}

/** By the names that people know, each with its first files. */
function damagedOf(backups: readonly Backup[], affected: NonNullable<MoverResult['verify']>['affected']): readonly string[] {
  const names = new Map(backups.map((backup) => [backup.status?.snapshotId, backup.metadata.name]));
  return affected.map(({ snapshotId, files, paths }) => {
    const name = names.get(snapshotId) ?? `snapshot ${snapshotId.slice(0, 8)}`;
    return paths.length === 0 ? `${name} (${files} files)` : `${name} (${files} files: ${displayList(paths)})`;
  });
}

/** The mover's credentials could not be made, so no Job was: a failed attempt like any other. */
export function decideVerificationRefused(facts: VerificationFacts, failure: { readonly reason: string; readonly message: string; readonly retryable: boolean }, now: number): VerificationPlan {
  const status = facts.policy.status?.verification;
  if (status === undefined) return standing(facts, status, now);
  return fail(facts, status, { kind: 'failed', code: failure.reason, message: failure.message, retryable: failure.retryable, node: undefined }, now);
}

function fail(facts: VerificationFacts, status: VerificationStatus, failure: AttemptState & { readonly kind: 'failed' }, now: number): VerificationPlan {
  const { reason, message } = failureOf(failure.code, failure.message);
  if (failure.retryable && status.attempt < MAX_ATTEMPTS) {
    const next = now + retryDelayMs(status.attempt);
    const said = `Attempt ${status.attempt} of ${MAX_ATTEMPTS} failed and is made again at ${displayTime(next)}: ${reason}: ${message}`;
    const again: VerificationStatus = { ...status, phase: 'Queued', attempt: status.attempt + 1, jobName: undefined, nextAttemptAt: displayTime(next), message: said, progress: undefined };
    return { ...end(facts, status, standing(facts, again, now)), wakeAt: next };
  }
  const condition: ConditionInput = { type: 'Verified', status: 'False', reason, message: `What is stored could not be verified: ${message.replace(/[.\s]*$/, '')}. It is tried again at the next time of spec.verification.interval.` };
  return end(facts, status, { status: { ...ended(status, 'Failed', now), message: `${reason}: ${message}` }, lastVerified: facts.policy.status?.lastVerified, condition });
}

/** As for a backup: the status before what it was read from goes, or, where nothing would find the Secret again or the mover has not ended, after. */
function end(facts: VerificationFacts, status: VerificationStatus, plan: Pick<VerificationPlan, 'status' | 'lastVerified' | 'condition'>): VerificationPlan {
  const clear: VerificationStep[] = [{ do: 'clearMover', name: verificationJob(facts.policy, status).name }];
  return facts.attempt.job === undefined || mayGoOn(facts.attempt) ? { ...plan, before: clear, again: true } : { ...plan, after: clear, again: true };
}
