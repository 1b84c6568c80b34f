/**
 * When a policy's next automatic backup is made: now, later, or never any more because it was missed. Pure. What was dealt with is
 * in the policy's status and in the Backups themselves, whose names follow from the scheduled minute, so neither a crash nor a
 * second replica makes one twice.
 */
import { createHash } from 'node:crypto';
import { ANNOTATION_SCHEDULED_AT, durationToMs, type Backup, type BackupPolicy, type BackupPolicySpec, type BackupPolicyStatus } from '../api/index.ts';
import { isTerminal, timeOf } from './backup-status.ts';
import { automaticBackupName } from './child-names.ts';
import { parseSchedule, type Schedule, type ScheduleParser } from './cron.ts';
import { displayTime } from './display.ts';
import type { Failure } from './failure-reason.ts';

type Automatic = NonNullable<BackupPolicySpec['automatic']>;
type Before = BackupPolicyStatus['automatic'];

export interface ScheduleFacts {
  readonly policy: BackupPolicy;
  /** Every backup of the policy. */
  readonly backups: readonly Backup[];
  /** Why no backup could be made now; a run that is due waits for it to be mended. */
  readonly hindrance: Failure | undefined;
  /** Reads the schedule; left out, it is read anew each time. */
  readonly parse?: ScheduleParser | undefined;
}

/** A scheduled time and the Backup that is to be made for it. */
export interface Run {
  /** Milliseconds since the epoch. */
  readonly slot: number;
  readonly name: string;
  /** The name for it where somebody else's Backup has the first. */
  readonly secondName: string;
}

export interface Missed {
  /** The newest of them, milliseconds since the epoch. */
  readonly newest: number;
  /** At most `MOST_COUNTED`. */
  readonly count: number;
}

export interface ScheduleDecision {
  readonly kind: 'off' | 'suspended' | 'refused' | 'waiting' | 'held' | 'run';
  /** For the condition `Scheduled`. */
  readonly reason: string;
  readonly message: string;
  readonly run?: Run;
  readonly missed?: Missed;
  /** What the status is to remember, once the run's Backup is made. */
  readonly remembered?: Omit<NonNullable<Before>, 'kept' | 'display'>;
  /** Milliseconds since the epoch. */
  readonly wakeAt?: number;
}

export const MOST_COUNTED = 100;

export function decideSchedule(facts: ScheduleFacts, now: number): ScheduleDecision {
  const { automatic } = facts.policy.spec;
  if (automatic === undefined) return { kind: 'off', reason: 'NotBooked', message: 'There is no schedule: spec.automatic is not set.' };
  const { lastScheduled, lastMissed } = facts.policy.status?.automatic ?? {};
  const past = { ...(lastScheduled === undefined ? {} : { lastScheduled }), ...(lastMissed === undefined ? {} : { lastMissed }) };
  if (automatic.suspend) {
    return { kind: 'suspended', reason: 'Suspended', message: 'No automatic backups are made while spec.automatic.suspend is true.', remembered: past };
  }
  const parsed = (facts.parse ?? parseSchedule)(automatic.schedule, automatic.timeZone);
  if (!parsed.ok) return { kind: 'refused', reason: parsed.reason, message: parsed.message, remembered: past };
  if (parsed.schedule.next(now) === undefined) {
    const message = `spec.automatic.schedule: "${automatic.schedule}" names no day that exists, so no backup would ever be made. Change it.`;
    return { kind: 'refused', reason: 'ScheduleNeverRuns', message, remembered: past };
  }
  return decideInForce(facts, automatic, parsed.schedule, past, now);
}

function decideInForce(facts: ScheduleFacts, automatic: Automatic, schedule: Schedule, past: { lastScheduled?: string; lastMissed?: string }, now: number): ScheduleDecision {
  const { metadata, status } = facts.policy;
  const key = `${automatic.schedule} ${automatic.timeZone}`;
  // What was remembered under a clock that was set back since must not keep from running what is to come; what ran already is known
  // by its Backup.
  const since = Math.min(inForceSince(facts.policy, key, now), now);
  const dealtUntil = Math.min(timeOf(status?.automatic?.lastScheduled) ?? 0, now);
  const floor = Math.max(since, dealtUntil);
  const timing = new Timing(schedule, automatic, metadata.uid);
  const { due: slot, nextRun } = timing.around(floor, now);
  const last = dealtUntil === 0 ? {} : { lastScheduled: displayTime(dealtUntil) };
  const remembered = { schedule: key, since: displayTime(since), ...past, ...last, nextRun: displayTime(nextRun) };
  const upcoming = { kind: 'waiting', reason: 'Scheduled', message: `The next automatic backup is due at ${displayTime(nextRun)}.` } as const;
  if (slot === undefined) return { ...upcoming, remembered, wakeAt: nextRun };

  // Only the operator makes automatic ones; an annotation alone proves nothing.
  const made = facts.backups.filter(({ spec }) => spec.trigger === 'Automatic');
  const existing = new Set(made.flatMap(({ metadata: { annotations } }) => annotations?.[ANNOTATION_SCHEDULED_AT] ?? []));
  const dealtWith = { ...remembered, lastScheduled: displayTime(slot) };
  const deadline = timing.runAt(slot) + durationToMs(automatic.startingDeadline);
  if (existing.has(displayTime(slot))) return { ...upcoming, remembered: dealtWith, wakeAt: nextRun };
  if (now > deadline) {
    const missed = timing.missed(floor, slot, existing, true);
    const told = missed === undefined ? dealtWith : { ...dealtWith, lastMissed: displayTime(missed.newest) };
    return { ...upcoming, ...(missed === undefined ? {} : { missed }), remembered: told, wakeAt: nextRun };
  }
  const held = hindranceOf(facts);
  if (held !== undefined) {
    const message = `The automatic backup of ${displayTime(slot)} waits, at most until ${displayTime(deadline)}: ${held.message}`;
    return { kind: 'held', reason: held.reason, message, remembered, wakeAt: Math.min(deadline + 1, nextRun) };
  }
  const missed = timing.missed(floor, slot, existing, false);
  return {
    ...upcoming,
    kind: 'run',
    run: { slot, name: automaticBackupName(metadata.name, slot), secondName: automaticBackupName(metadata.name, slot, metadata.uid) },
    ...(missed === undefined ? {} : { missed }),
    remembered: missed === undefined ? dealtWith : { ...dealtWith, lastMissed: displayTime(missed.newest) },
    wakeAt: nextRun,
  };
}

/** Times before the schedule came into force, or before it was resumed, are nobody's. */
function inForceSince(policy: BackupPolicy, key: string, now: number): number {
  const before = policy.status?.automatic;
  if (before?.schedule === key) return timeOf(before.since) ?? now;
  // The spec of a policy of generation 1 is the one that it was created with.
  return before === undefined && policy.metadata.generation === 1 ? Math.min(now, Date.parse(policy.metadata.creationTimestamp)) : now;
}

/** As a CronJob's `Forbid`: no second one beside one that is not done. */
function hindranceOf({ backups, hindrance }: ScheduleFacts): Failure | undefined {
  const running = backups.find(
    ({ spec, status, metadata }) => spec.trigger === 'Automatic' && !isTerminal(status?.phase) && metadata.deletionTimestamp === undefined,
  );
  if (running !== undefined) return { reason: 'PreviousRuns', message: `Backup ${running.metadata.name} is not done yet.` };
  return hindrance;
}

const MINUTE_MS = 60_000;
/** The newest time is looked for in ever longer stretches before now, so that a schedule of every minute is not walked through for a year. */
const STRETCHES_MS = [5, 60, 26 * 60, 8 * 1440, 32 * 1440, 370 * 1440].map((minutes) => minutes * MINUTE_MS);

class Timing {
  readonly #schedule: Schedule;
  readonly #jitter: number;
  readonly #share: number;

  constructor(schedule: Schedule, automatic: Automatic, uid: string) {
    this.#schedule = schedule;
    this.#jitter = automatic.jitter === undefined ? 0 : durationToMs(automatic.jitter);
    this.#share = shareOf(uid);
  }

  /** A scheduled time with the policy's own delay, in whole seconds. The delay never reaches the next time. */
  runAt(slot: number): number {
    if (this.#jitter === 0) return slot;
    const gap = (this.#schedule.next(slot) ?? Infinity) - slot;
    return slot + Math.floor((this.#share * Math.min(this.#jitter, gap)) / 1000) * 1000;
  }

  /** The newest time after `floor` whose run is due at `now`, and when the next run is. */
  around(floor: number, now: number): { readonly due: number | undefined; readonly nextRun: number } {
    const newest = this.#newestIn(floor, now);
    const newestRun = newest === undefined ? undefined : this.runAt(newest);
    if (newest !== undefined && newestRun !== undefined && newestRun > now) return { due: this.#newestIn(floor, newest - 1), nextRun: newestRun };
    const next = this.#schedule.next(now);
    return { due: newest, nextRun: next === undefined ? Infinity : this.runAt(next) };
  }

  /** Times between `floor` and `slot` that no Backup was made for, with `slot` itself where `inclusive`. */
  missed(floor: number, slot: number, existing: ReadonlySet<string>, inclusive: boolean): Missed | undefined {
    const newest = inclusive ? slot : this.#newestMissing(floor, slot, existing);
    if (newest === undefined) return undefined;
    let count = inclusive ? 1 : 0;
    for (let at = this.#schedule.next(floor), seen = 0; at !== undefined && at < slot && seen < MOST_COUNTED; at = this.#schedule.next(at), seen++) {
      if (!existing.has(displayTime(at))) count++;
    }
    return { newest, count: Math.min(Math.max(count, 1), MOST_COUNTED) };
  }

  #newestMissing(floor: number, slot: number, existing: ReadonlySet<string>): number | undefined {
    let at = this.#newestIn(floor, slot - 1);
    while (at !== undefined && existing.has(displayTime(at))) at = this.#newestIn(floor, at - 1);
    return at;
  }

  #newestIn(floor: number, until: number): number | undefined {
    for (const stretch of [...STRETCHES_MS, Infinity]) {
      const from = Math.max(floor, until - stretch);
      const newest = this.#lastBetween(from, until);
      if (newest !== undefined || from === floor) return newest;
    }
    return undefined;
  }

  #lastBetween(after: number, until: number): number | undefined {
    let last: number | undefined;
    for (let at = this.#schedule.next(after); at !== undefined && at <= until; at = this.#schedule.next(at)) last = at;
    return last;
  }
}

/** From 0 up to 1: a policy's place in the jitter's window, the same for its whole life. */
function shareOf(uid: string): number {
  return createHash('sha256').update(uid).digest().readUInt32BE(0) / 2 ** 32;
}
