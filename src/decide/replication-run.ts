/** A copy under way: its Indexed Job is made and watched, and what the workers left in the bucket becomes the status. */
import type { ReplicationResult, ReplicationStatus } from '../api/index.ts';
import { timeOf } from './backup-status.ts';
import { attemptName } from './child-names.ts';
import { displayBytes, displayDuration, displayList, displayTime } from './display.ts';
import { failureOf } from './failure-reason.ts';
import type { SpokenProgress } from './observed.ts';
import type { ReplicationFacts, ReplicationPlan, ReplicationStep } from './replication-facts.ts';
import { findingsAfter, withReplaced, type ReplicationFindings } from './replication-findings.ts';
import { letGoOf, workersStart } from './replication-job.ts';
import { laggingFrom, standingReplication } from './replication-standing.ts';
import { workersState } from './replication-workers.ts';
import { renewalDue } from './renewal.ts';
import { MAX_ATTEMPTS, retryDelayMs } from './retry.ts';
import { troubleOf } from './trouble.ts';

const LOOK_MS = 30_000;
const RESULT_LOOK_MS = 10_000;
/** After the window; a service that is down comes back, mostly. */
const RESULTS_WAIT_MS = 3_600_000;
const MAX_LISTED = 20;
/** Attempts of both stages have numbers of their own. */
const NUMBERS = { Copying: 0, Collecting: 10, perSecond: 20 } as const;

/** Name of the current attempt's Job, its number, and the id that its results have. */
export function replicationAttempt(uid: string, { scheduledAt = '', attempt = 1, stage = 'Copying' }: ReplicationStatus): { readonly name: string; readonly number: number; readonly runId: string } {
  const number = Math.floor(Date.parse(scheduledAt) / 1000) * NUMBERS.perSecond + NUMBERS[stage] + attempt;
  const second = scheduledAt.replace(/\D/g, '');
  return { name: attemptName(uid, number), number, runId: `${second}-${stage === 'Copying' ? '' : 'c'}${attempt}` };
}

export function decideRunningReplication(facts: ReplicationFacts, status: ReplicationStatus, now: number): ReplicationPlan {
  const { location, attempt, leftovers } = facts;
  const { uid } = location.metadata;
  const { name, runId } = replicationAttempt(uid, status);
  const wait = (message: string, wakeAt = now + LOOK_MS): ReplicationPlan => ({ ...standingReplication(facts, { ...status, message }, now), wakeAt });
  const nextAt = timeOf(status.nextAttemptAt);
  if (nextAt !== undefined && nextAt > now) return { ...standingReplication(facts, status, now), wakeAt: nextAt };
  if (leftovers.length > 0) return { ...wait('An earlier Job is being removed.', now + RESULT_LOOK_MS), after: leftovers.map((each) => ({ do: 'clearWorkers', name: each })) };
  if (facts.setup.replication.suspend && attempt.job === undefined) return finish(facts, { ...status, phase: 'Failed', message: 'It was suspended.' }, now);
  const { job } = attempt;
  if (job === undefined) {
    if (status.jobName === name) return collectResults(facts, status, now);
    if ((timeOf(status.windowEndsAt) ?? Infinity) <= now) return finish(facts, { ...status, phase: 'Failed', message: 'Its window ended before it could begin.' }, now);
    return { ...standingReplication(facts, { ...status, runId, nextAttemptAt: undefined }, now), before: [{ do: 'startWorkers', start: workersStart(facts, status, { ...replicationAttempt(uid, status) }, now) }], wakeAt: now + RESULT_LOOK_MS };
  }
  if (!job.owners.some((owner) => owner.uid === uid)) return wait(`Job ${name} exists but belongs to somebody else. Delete it.`);
  if (job.ended !== undefined) return collectResults(facts, { ...status, jobName: name, runId }, now);
  const workers = workersState(facts, now);
  if (workers.kind === 'logsWanted') return { ...standingReplication(facts, status, now), needsLogs: workers.pods, wakeAt: now + LOOK_MS };
  if (workers.kind === 'over') return collectResults(facts, { ...status, jobName: name, runId }, now, workers.reasons);
  const trouble = troubleOf(attempt);
  const counted = countedSoFar(status, attempt.spoken.progress);
  const message = trouble === undefined ? `Job ${name} ${status.stage === 'Collecting' ? 'removes what nothing needs any more' : 'copies'}.` : `${trouble.reason}: ${trouble.message}`;
  const task = status.stage === 'Collecting' ? 'collect' : 'replicate';
  const after: ReplicationStep[] = renewalDue(job, now) ? [{ do: 'renewWorkers', name, task }] : [];
  return { ...standingReplication(facts, { ...status, ...counted, jobName: name, runId, message, nextAttemptAt: undefined }, now), after, wakeAt: Math.min(now + LOOK_MS, workers.lookAt ?? Infinity) };
}

/** What the workers say while they work, all shards together. */
function countedSoFar({ stage }: ReplicationStatus, progress: SpokenProgress | undefined): Pick<ReplicationStatus, 'objects' | 'bytes' | 'collected'> {
  if (progress === undefined) return {};
  return stage === 'Collecting' ? { collected: progress.filesDone } : { objects: progress.filesDone, bytes: progress.bytesDone };
}

/** The workers' credentials could not be read, so no Job was made: a failed attempt like any other. */
export function decideWorkersRefused(facts: ReplicationFacts, refusal: { readonly reason: string; readonly message: string; readonly retryable: boolean }, now: number): ReplicationPlan {
  const status = facts.location.status?.replication;
  if (status === undefined) return { status, replicatedUpTo: undefined, conditions: [] };
  const problem = `${refusal.reason}: ${refusal.message}`;
  const mayRetry = (status.attempt ?? 1) < MAX_ATTEMPTS && now < (timeOf(status.windowEndsAt) ?? 0);
  if (refusal.retryable && mayRetry) return retry(facts, status, [problem], now);
  return finish(facts, { ...status, phase: 'Failed', problems: [problem], message: `${problem.replace(/[.\s]*$/, '')}. What was not copied is copied the next time.` }, now);
}

/** @param givenUp - why workers were that have not ended, by shard */
function collectResults(facts: ReplicationFacts, status: ReplicationStatus, now: number, givenUp: ReadonlyMap<number, string> = new Map()): ReplicationPlan {
  const { results } = facts;
  switch (results.state) {
    case 'notLooked':
      return { ...standingReplication(facts, status, now), needsResults: true, wakeAt: now + RESULT_LOOK_MS };
    case 'unreachable':
      // Whoever can write into the bucket could put something there that never reads, and no night would begin again.
      if ((timeOf(status.windowEndsAt) ?? 0) + RESULTS_WAIT_MS <= now) return finish(facts, { ...status, phase: 'Failed', message: `The workers have ended, and their results could not be read until after their window: ${results.message}` }, now);
      return { ...standingReplication(facts, { ...status, message: `The workers have ended, but their results cannot be read: ${results.message}` }, now), wakeAt: now + RESULT_LOOK_MS };
    case 'found':
      return conclude(facts, withReplaced(status, results.replaced ?? []), { shards: results.shards, givenUp, replaced: results.replaced ?? [] }, now);
  }
}

interface Ends {
  readonly shards: readonly (ReplicationResult | undefined)[];
  readonly givenUp: ReadonlyMap<number, string>;
  readonly replaced: readonly number[];
}

function conclude(facts: ReplicationFacts, status: ReplicationStatus, ends: Ends, now: number): ReplicationPlan {
  const { shards } = ends;
  const { problems, retryable } = problemsOf(facts, ends);
  if (problems.length > 0 && retryable && (status.attempt ?? 1) < MAX_ATTEMPTS && now < (timeOf(status.windowEndsAt) ?? 0)) return retry(facts, status, problems, now);
  const findings = status.stage === 'Collecting' ? undefined : findingsAfter(status, shards, facts.expected?.() ?? [], new Set(letGoOf(facts)));
  const done = findings === undefined ? collected(status, shards) : copied(status, shards, findings);
  if (problems.length > 0) {
    return finish(facts, { ...done, phase: 'Failed', problems: problems.slice(0, MAX_LISTED), message: `${displayList(problems)}. What was not copied is copied the next time.` }, now);
  }
  const { collectorSecret } = facts.setup;
  if (findings?.isGivenUp === false && collectorSecret !== undefined && (done.tenantsWaiting ?? 0) === 0) {
    const next: ReplicationStatus = { ...done, stage: 'Collecting', attempt: 1, jobName: undefined, attemptedAt: displayTime(now), message: 'What nothing needs any more is removed.' };
    return { ...standingReplication(facts, next, now, coveredUpTo(facts, done)), after: [clear(facts, status)], again: true };
  }
  const byService = sumOf(shards, ({ byService: count = 0 }) => count);
  const ofThem = byService === 0 ? '' : `, ${byService} of them by the service itself`;
  const notByService = shards.find((result) => result?.notByService !== undefined)?.notByService;
  const why = notByService === undefined ? '' : ` ${notByService.replace(/[.\s]*$/, '')}.`;
  const words = `${done.objects ?? 0} objects (${displayBytes(done.bytes ?? 0)}) were copied${ofThem}, ${done.extended ?? 0} locks extended`;
  const waiting = (done.tenantsWaiting ?? 0) === 0 ? '' : ` The window ended: ${done.tenantsWaiting ?? 0} tenants are left for the next run.`;
  return finish(facts, { ...done, phase: 'Completed', message: `${words}.${waiting}${why}` }, now);
}

/** What a run counts for what was stored before it began, so long as nobody was left out. */
function coveredUpTo(facts: ReplicationFacts, { stage, attemptedAt, tenantsWaiting = 0, tenantsFailed = 0, tenantsDiverged = 0, problems }: ReplicationStatus): string | undefined {
  const isWhole = tenantsWaiting + tenantsFailed + tenantsDiverged === 0 && (problems ?? []).length === 0;
  return stage === 'Copying' && isWhole ? attemptedAt : facts.location.status?.replicatedUpTo;
}

function finish(facts: ReplicationFacts, status: ReplicationStatus, now: number): ReplicationPlan {
  const ended: ReplicationStatus = { ...status, nextAttemptAt: undefined, completedAt: displayTime(now), duration: displayDuration(now - (timeOf(status.startedAt) ?? now)) };
  const upTo = status.phase === 'Completed' ? coveredUpTo(facts, status) : facts.location.status?.replicatedUpTo;
  return { ...standingReplication(facts, ended, now, upTo), after: [clear(facts, status)], again: true, wakeAt: laggingFrom(facts, upTo) };
}

function retry(facts: ReplicationFacts, status: ReplicationStatus, problems: readonly string[], now: number): ReplicationPlan {
  const attempt = status.attempt ?? 1;
  const at = now + retryDelayMs(attempt);
  const message = `Attempt ${attempt} of ${MAX_ATTEMPTS} did not do everything and is made again at ${displayTime(at)}: ${displayList(problems)}`;
  const next: ReplicationStatus = { ...status, attempt: attempt + 1, jobName: undefined, nextAttemptAt: displayTime(at), attemptedAt: displayTime(at), problems: problems.slice(0, MAX_LISTED), message };
  return { ...standingReplication(facts, next, now), after: [clear(facts, status)], wakeAt: at };
}

function clear(facts: ReplicationFacts, status: ReplicationStatus): ReplicationStep {
  return { do: 'clearWorkers', name: replicationAttempt(facts.location.metadata.uid, status).name };
}

/** In words, by shard and tenant. A tenant whose turn did not come is none: it waits. */
function problemsOf({ attempt }: ReplicationFacts, { shards, givenUp, replaced }: Ends): { readonly problems: readonly string[]; readonly retryable: boolean } {
  const problems: string[] = [];
  let retryable = false;
  for (const [index, result] of shards.entries()) {
    if (result === undefined) {
      const why = attempt.job?.ended?.reason === 'DeadlineExceeded' ? 'its time was over' : 'it was lost';
      const isReplaced = replaced.includes(index);
      problems.push(isReplaced ? `worker ${index} left another result than the one in the bucket` : (givenUp.get(index) ?? `worker ${index} left no result: ${why}`));
      retryable = true;
    } else if (result.failure !== undefined) {
      const { reason, message } = failureOf(result.failure.code, result.failure.message);
      problems.push(`${reason}: ${message}`);
      retryable ||= result.failure.retryable;
    }
    for (const { tenant, failure } of result?.tenants ?? []) {
      if (failure === undefined) continue;
      problems.push(`tenant ${tenant}: ${failure.code}: ${failure.message}`);
      retryable ||= failure.retryable;
    }
  }
  return { problems, retryable };
}

function copied(status: ReplicationStatus, shards: readonly (ReplicationResult | undefined)[], { diverged, tenantsDiverged }: ReplicationFindings): ReplicationStatus {
  const sum = (count: (counts: ReplicationResult['counts']) => number) => sumOf(shards, count);
  return {
    ...status,
    copyRunId: status.runId,
    copyShards: shards.length,
    tenants: sum(({ done, waiting, failed, diverged }) => done + waiting + failed + diverged),
    tenantsDone: sum(({ done }) => done),
    tenantsWaiting: sum(({ waiting }) => waiting),
    tenantsFailed: sum(({ failed }) => failed),
    tenantsDiverged,
    objects: sum(({ objects }) => objects),
    bytes: sum(({ bytes }) => bytes),
    extended: sum(({ extended }) => extended),
    problems: undefined,
    diverged: diverged.length === 0 ? undefined : [...diverged],
  };
}

function sumOf(shards: readonly (ReplicationResult | undefined)[], count: (counts: ReplicationResult['counts']) => number): number {
  return shards.reduce((total, result) => total + (result === undefined ? 0 : count(result.counts)), 0);
}

function collected(status: ReplicationStatus, shards: readonly (ReplicationResult | undefined)[]): ReplicationStatus {
  return { ...status, collected: sumOf(shards, ({ collected: count }) => count), problems: undefined };
}
