import { Cron } from 'croner';

/**
 * A schedule in a time zone. Wall-clock times come from croner, which is asked in UTC, where no hour is missing or doubled; what
 * daylight saving does to them is decided here, as cron(8) does it:
 * - with fixed hours every wall-clock time runs once: one that is skipped at the instant after the gap, one that comes twice the first time;
 * - with `*` for the hour it is an interval, and real time counts: nothing is made up for, and the doubled hour runs twice.
 */
export interface Schedule {
  /** The first scheduled instant after `after`, both milliseconds since the epoch; `undefined` where none ever comes. */
  next(after: number): number | undefined;
}

export type ScheduleParsed =
  | { readonly ok: true; readonly schedule: Schedule }
  | { readonly ok: false; readonly reason: 'ScheduleInvalid' | 'TimeZoneUnknown'; readonly message: string };

/** Admission refuses most of what is wrong; what it cannot see is told here. */
export function parseSchedule(expression: string, timeZone: string): ScheduleParsed {
  if (!isTimeZone(timeZone)) {
    const message = `spec.automatic.timeZone: "${timeZone}" is not in the time-zone data of the operator. Use a name such as Europe/Berlin.`;
    return { ok: false, reason: 'TimeZoneUnknown', message };
  }
  try {
    const cron = new Cron(expression, { paused: true, timezone: 'UTC', mode: expression.startsWith('@') ? 'auto' : '5-part' });
    const walls = (after: number) => cron.nextRun(new Date(after))?.getTime();
    const next = isInterval(expression) ? inRealTime(walls, timeZone) : onTheWall(walls, timeZone);
    return { ok: true, schedule: { next } };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return { ok: false, reason: 'ScheduleInvalid', message: `spec.automatic.schedule: "${expression}" is no schedule: ${why}. "0 2 * * *" is every night at two.` };
  }
}

export type ScheduleParser = typeof parseSchedule;

/** Thousands of policies share a handful of schedules. */
const MOST_REMEMBERED = 1000;

/** `parseSchedule` that remembers its answers. */
export function rememberingParser(): ScheduleParser {
  const answers = new Map<string, ScheduleParsed>();
  return (expression, timeZone) => {
    const key = JSON.stringify([expression, timeZone]);
    const known = answers.get(key);
    if (known !== undefined) return known;
    const parsed = parseSchedule(expression, timeZone);
    if (answers.size >= MOST_REMEMBERED) answers.clear();
    answers.set(key, parsed);
    return parsed;
  };
}

function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name });
    return true;
  } catch {
    return false;
  }
}

function isInterval(expression: string): boolean {
  return expression === '@hourly' || expression.split(' ')[1]?.startsWith('*') === true;
}

type Next = Schedule['next'];

/** A wall-clock time is handled as the milliseconds that it would be in UTC. */
function onTheWall(walls: Next, timeZone: string): Next {
  return (after) => {
    for (let wall = walls(wallAt(after, timeZone)); wall !== undefined; wall = walls(wall)) {
      const instant = firstInstantOf(wall, timeZone);
      // In the second pass of a doubled hour the times of the first are over.
      if (instant > after) return instant;
    }
    return undefined;
  };
}

function inRealTime(walls: Next, timeZone: string): Next {
  return (after) => {
    let from = after;
    for (;;) {
      const zoned = zonedAt(from, timeZone);
      const offset = zoned.offsetNanoseconds / 1e6;
      const wall = walls(from + offset);
      if (wall === undefined) return undefined;
      const change = zoned.getTimeZoneTransition('next')?.epochMilliseconds ?? Infinity;
      if (wall - offset < change) return wall - offset;
      const later = zonedAt(change, timeZone).offsetNanoseconds / 1e6;
      // croner looks at whole seconds, so the time of the change itself is found from the second before.
      const first = walls(change + later - 1000);
      if (first === change + later) return change;
      from = change;
    }
  };
}

function zonedAt(instant: number, timeZone: string): Temporal.ZonedDateTime {
  return Temporal.Instant.fromEpochMilliseconds(instant).toZonedDateTimeISO(timeZone);
}

function wallAt(instant: number, timeZone: string): number {
  return instant + zonedAt(instant, timeZone).offsetNanoseconds / 1e6;
}

function firstInstantOf(wall: number, timeZone: string): number {
  const plain = Temporal.Instant.fromEpochMilliseconds(wall).toZonedDateTimeISO('UTC').toPlainDateTime();
  const zoned = plain.toZonedDateTime(timeZone, { disambiguation: 'earlier' });
  if (zoned.toPlainDateTime().equals(plain)) return zoned.epochMilliseconds;
  return zoned.getTimeZoneTransition('next')?.epochMilliseconds ?? zoned.epochMilliseconds;
}
