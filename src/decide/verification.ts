/**
 * When a policy's backups are proven restorable, and what became of it. The times are a grid of `interval`, shifted by what the policy's UID says, so that
 * thousands of policies spread over the week and a restart changes nothing. A run that nobody could make is made late, once. Pure.
 */
import { createHash } from 'node:crypto';
import { durationToMs, type Backup, type BackupPolicy, type VerificationStatus } from '../api/index.ts';
import { timeOf } from './backup-status.ts';
import { displayTime } from './display.ts';
import { checkWritableGround } from './preconditions.ts';
import type { WaitingMover } from './queue.ts';
import type { VerificationFacts, VerificationPlan } from './verification-facts.ts';
import { decideRunning } from './verification-run.ts';
import { oldestStored, SETTLE_MS, standing } from './verification-standing.ts';

const REQUEUE_MS = 30_000;
/** Nobody waits for a verification, and each look is a write. */
const HINDERED_LOOK_MS = 3_600_000;
const MINUTE_MS = 60_000;

export function decideVerification(facts: VerificationFacts, now: number): VerificationPlan {
  const { policy } = facts;
  const status = policy.status?.verification;
  if (status?.phase === 'Running') return decideRunning(facts, status, now);
  if (status?.phase === 'Queued') return decideQueued(facts, status, now);
  const due = dueSlot(policy, facts.backups, now);
  const isNew = due.last !== undefined && due.last > (timeOf(status?.scheduledAt) ?? -Infinity);
  if (!isNew || policy.spec.verification.suspend || !checkWritableGround(facts.ground).ok) return atRest(facts, status, due.next, now);
  const queued: VerificationStatus = {
    ...status,
    phase: 'Queued',
    scheduledAt: displayTime(due.last),
    run: status?.run ?? 0,
    queuedAt: displayTime(now),
    startedAt: undefined,
    attempt: 1,
    jobName: undefined,
    nextAttemptAt: undefined,
    message: undefined,
    progress: undefined,
  };
  return { ...standing(facts, queued, now), again: true };
}

function atRest(facts: VerificationFacts, status: VerificationStatus | undefined, next: number | undefined, now: number): VerificationPlan {
  const { attempt, policy } = facts;
  const left = attempt.job?.owners.some(({ uid }) => uid === policy.metadata.uid) === true ? [{ do: 'clearMover', name: attempt.job.name } as const] : [];
  return { ...standing(facts, status, now), after: left, wakeAt: next };
}

/** The newest time of the grid that has come, and the next. A run needs something that was stored a while ago. */
export function dueSlot(policy: BackupPolicy, backups: readonly Backup[], now: number): { readonly last: number | undefined; readonly next: number | undefined } {
  const oldest = oldestStored(backups);
  if (oldest === undefined) return { last: undefined, next: undefined };
  // Whole minutes: names are made of them, and a status keeps no less than seconds.
  const minutes = Math.max(1, Math.round(durationToMs(policy.spec.verification.interval) / MINUTE_MS));
  const interval = minutes * MINUTE_MS;
  const phase = (Number.parseInt(createHash('sha256').update(policy.metadata.uid).digest('hex').slice(0, 12), 16) % minutes) * MINUTE_MS;
  const settled = oldest + Math.min(SETTLE_MS, interval);
  const after = (time: number) => Math.ceil((time - phase) / interval) * interval + phase;
  const last = Math.floor((now - phase) / interval) * interval + phase;
  return last < settled ? { last: undefined, next: after(settled) } : { last, next: last + interval };
}

function decideQueued(facts: VerificationFacts, status: VerificationStatus, now: number): VerificationPlan {
  const { policy, attempt } = facts;
  const say = (message: string, wakeAt: number): VerificationPlan => ({ ...standing(facts, { ...status, message }, now), wakeAt });
  const job = attempt.job;
  if (job?.owners.some(({ uid }) => uid === policy.metadata.uid) === true) return { ...standing(facts, status, now), after: [{ do: 'clearMover', name: job.name }], wakeAt: now + REQUEUE_MS };
  const due = timeOf(status.nextAttemptAt);
  if (due !== undefined && due > now) return { ...standing(facts, status, now), wakeAt: due };
  // A later time of the grid has its own run; this one is over when nothing is left to verify.
  if (oldestStored(facts.backups) === undefined || policy.spec.verification.suspend) return { ...standing(facts, { ...status, phase: 'Completed', message: undefined }, now), again: true };
  const ground = checkWritableGround(facts.ground);
  if (!ground.ok) {
    const message = `${ground.reason}: ${ground.message}`;
    if (ground.reason === 'LocationNotReady') return say(message, now + REQUEUE_MS);
    // In the line it would keep a place free for nobody, and verifications have few.
    const next = now + HINDERED_LOOK_MS;
    return { ...standing(facts, { ...status, message, nextAttemptAt: displayTime(next) }, now), wakeAt: next };
  }
  if (facts.queue === undefined) return { ...standing(facts, status, now), wakeAt: now + REQUEUE_MS };
  const admission = facts.queue.admit(waitingVerification(policy));
  if (!admission.admitted) return say(admission.message, now + REQUEUE_MS);
  const running: VerificationStatus = { ...status, phase: 'Running', startedAt: status.startedAt ?? displayTime(now), jobName: undefined, nextAttemptAt: undefined, message: 'The mover is being started.', progress: undefined };
  return { ...standing(facts, running, now), again: true };
}

/** It waits for everything else: nobody waits for it. */
export function waitingVerification({ metadata, spec, status }: BackupPolicy): WaitingMover {
  const queuedAt = status?.verification?.queuedAt ?? metadata.creationTimestamp;
  return { uid: metadata.uid, name: metadata.name, task: 'verify', namespace: metadata.namespace ?? '', location: spec.location, queuedAt, safetyFor: undefined, automatic: true };
}

/** Whether a decision about it may take a place in the queue: those are made one at a time. */
export function verificationTakesPlace({ status }: BackupPolicy): boolean {
  return status?.verification?.phase === 'Queued';
}

