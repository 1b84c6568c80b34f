/**
 * When the second data center's copy is brought up to date, and what became of it. One run at a time; what it is about is in the status before its Job
 * is made, so a crash anywhere is made good by looking again. A time that nobody could begin at is made up for while its window lasts. Pure.
 */
import { ANNOTATION_REPLICATE, durationToMs, type ReplicationStatus } from '../api/index.ts';
import { timeOf } from './backup-status.ts';
import { parseSchedule, type Schedule } from './cron.ts';
import { displayTime } from './display.ts';
import { decideRunningReplication } from './replication-run.ts';
import { standingReplication } from './replication-standing.ts';
import type { ReplicationFacts, ReplicationPlan } from './replication-facts.ts';

export const NOT_REPLICATED: ReplicationPlan = { status: undefined, replicatedUpTo: undefined, conditions: [] };

/** A request has no schedule's window; it ends as a night would. */
const LOCK_LOOK_MS = 10_000;
/** A last copy that is later than that is of a clock that was put back. */
const MOST_AHEAD_MS = 60_000;

export function decideReplication(facts: ReplicationFacts, now: number): ReplicationPlan {
  const status = facts.location.status?.replication;
  return status?.phase === 'Running' ? decideRunningReplication(facts, status, now) : decideResting(facts, status, now);
}

function decideResting(facts: ReplicationFacts, before: ReplicationStatus | undefined, now: number): ReplicationPlan {
  const { location, setup, lock } = facts;
  const { schedule, timeZone, window, suspend } = setup.replication;
  const status: ReplicationStatus = before ?? { phase: 'Waiting' };
  const left = facts.leftovers.map((name) => ({ do: 'clearWorkers', name }) as const);
  const rest = (changed: Partial<ReplicationStatus>, wakeAt?: number): ReplicationPlan => ({ ...standingReplication(facts, { ...status, ...changed }, now), after: left, wakeAt });
  if (suspend) return rest({ schedule: undefined, since: undefined, nextRun: undefined, message: 'Nothing is copied while replication.suspend is true, and no lock is extended.' });
  const parsed = (facts.parse ?? parseSchedule)(schedule, timeZone);
  if (!parsed.ok) return rest({ schedule: undefined, since: undefined, nextRun: undefined, message: parsed.message.replaceAll('spec.automatic.', `${fieldOf(setup.mode)}.replication.`) });
  const key = `${schedule} ${timeZone}`;
  const since = Math.min(status.schedule === key ? (timeOf(status.since) ?? now) : firstSince(facts, now), now);
  const next = parsed.schedule.next(now);
  const inForce = { schedule: key, since: displayTime(since), nextRun: next === undefined ? undefined : displayTime(next) };
  const windowMs = durationToMs(window);
  const requested = location.metadata.annotations?.[ANNOTATION_REPLICATE]?.slice(0, 256);
  const isRequested = requested !== undefined && requested !== '' && requested !== status.requested;
  const floor = Math.max(since, Math.min(timeOf(status.scheduledAt) ?? 0, now), now - windowMs);
  const due = isRequested ? unusedSecond(now, timeOf(status.scheduledAt)) : newest(parsed.schedule, floor, now);
  if (due === undefined) {
    // How the last run ended stays to be read.
    const said = status.phase === 'Waiting' ? undefined : status.message;
    return rest({ ...inForce, message: next === undefined ? `The schedule "${schedule}" names no day that exists.` : said }, next);
  }
  const windowEnd = due + windowMs;
  if (left.length > 0) return rest({ ...inForce, message: 'An earlier Job is being removed.' }, now + LOCK_LOOK_MS);
  if (lock?.kind !== 'proven') {
    return rest({ ...inForce, message: `The copy that is due since ${displayTime(due)} waits, at most until ${displayTime(windowEnd)}, for the proof that it cannot be deleted: ${lock?.message ?? 'it was not tried yet.'}` }, Math.min(windowEnd, now + LOCK_LOOK_MS));
  }
  const begun: ReplicationStatus = {
    ...inForce,
    phase: 'Running',
    stage: 'Copying',
    scheduledAt: displayTime(due),
    requested: isRequested ? requested : status.requested,
    windowEndsAt: displayTime(windowEnd),
    shards: setup.replication.shards,
    attempt: 1,
    startedAt: displayTime(now),
    attemptedAt: displayTime(now),
    message: 'Its workers are being started.',
    // What was found stands until something else is.
    copyRunId: status.copyRunId,
    copyShards: status.copyShards,
    diverged: status.diverged,
    tenantsDiverged: status.tenantsDiverged,
  };
  return { ...standingReplication(facts, begun, now), again: true };
}

/** Jobs and results have their names by the second: of two copies that are asked for in one, the later one would find what the earlier one left. */
function unusedSecond(now: number, last = 0): number {
  const second = wholeSecond(now);
  return last >= second && last - second < MOST_AHEAD_MS ? last + 1000 : second;
}

/** A location that is new has its first copy at its first time; times before a change of the schedule are nobody's. */
function firstSince({ location }: ReplicationFacts, now: number): number {
  return location.status?.replication?.schedule === undefined && location.metadata.generation === 1 ? Date.parse(location.metadata.creationTimestamp) : now;
}

function newest(schedule: Schedule, after: number, until: number): number | undefined {
  let last: number | undefined;
  for (let at = schedule.next(after); at !== undefined && at <= until; at = schedule.next(at)) last = at;
  return last;
}

/** Names are made of it, and a status keeps no less. */
function wholeSecond(time: number): number {
  return Math.floor(time / 1000) * 1000;
}

function fieldOf(mode: 'Push' | 'Pull'): string {
  return mode === 'Push' ? 'spec.replica' : 'spec.pull';
}
