// Any schedule in any zone, around any change of its clocks, against a walk along the minutes.
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { parseSchedule } from '../../src/decide/cron.ts';

const MINUTE = 60_000;
const DAY = 86_400_000;

const ZONES = [
  'UTC', 'Europe/Berlin', 'Europe/Dublin', 'Australia/Lord_Howe', 'Asia/Kathmandu', 'Asia/Pyongyang', 'Asia/Gaza', 'Africa/Casablanca', 'Africa/Cairo', 'America/Santiago', 'America/Nuuk',
  'America/St_Johns', 'America/Caracas', 'America/Sao_Paulo', 'Antarctica/Troll', 'Antarctica/Casey', 'Pacific/Apia', 'Pacific/Chatham', 'Pacific/Kiritimati',
];

type Values = { readonly text: string; readonly values: ReadonlySet<number> };

function between(low: number, high: number, step = 1): ReadonlySet<number> {
  return new Set(Array.from({ length: Math.floor((high - low) / step) + 1 }, (_, index) => low + index * step));
}

/** One field of crontab(5), with what it means. */
function field(low: number, high: number): fc.Arbitrary<Values> {
  const number = fc.integer({ min: low, max: high });
  const every = fc.constant<Values>({ text: '*', values: between(low, high) });
  const step = fc.integer({ min: 1, max: high }).map((by): Values => ({ text: `*/${by}`, values: between(low, high, by) }));
  const list = fc.array(number, { minLength: 1, maxLength: 3 }).map((all): Values => ({ text: all.join(','), values: new Set(all) }));
  const range = fc.tuple(number, number, fc.integer({ min: 1, max: Math.min(high, 9) })).map(([a, b, by]): Values => {
    const [from, to] = [Math.min(a, b), Math.max(a, b)];
    return by === 1 ? { text: `${from}-${to}`, values: between(from, to) } : { text: `${from}-${to}/${by}`, values: between(from, to, by) };
  });
  return fc.oneof({ arbitrary: every, weight: 2 }, { arbitrary: step, weight: 1 }, { arbitrary: list, weight: 2 }, { arbitrary: range, weight: 1 });
}

const anyDay = fc.constant<Values>({ text: '*', values: new Set() });
const schedules = fc.record({
  minutes: field(0, 59),
  hours: field(0, 23),
  days: fc.oneof(anyDay, field(1, 31)),
  months: fc.oneof({ arbitrary: fc.constant<Values>({ text: '*', values: between(1, 12) }), weight: 3 }, { arbitrary: field(1, 12), weight: 1 }),
  // Sunday is 0 and 7.
  weekdays: fc.oneof(anyDay, field(0, 6), fc.constant<Values>({ text: '5-7', values: new Set([5, 6, 0]) })),
});
type Parts = typeof schedules extends fc.Arbitrary<infer T> ? T : never;

function means({ minutes, hours, days, months, weekdays }: Parts): (wall: number) => boolean {
  return (wall) => {
    const at = new Date(wall);
    if (!minutes.values.has(at.getUTCMinutes()) || !hours.values.has(at.getUTCHours()) || !months.values.has(at.getUTCMonth() + 1)) return false;
    const [isDay, isWeekday] = [days.values.has(at.getUTCDate()), weekdays.values.has(at.getUTCDay())];
    if (days.text === '*') return weekdays.text === '*' || isWeekday;
    return weekdays.text === '*' ? isDay : isDay || isWeekday;
  };
}

function offset(instant: number, zone: string): number {
  return Temporal.Instant.fromEpochMilliseconds(instant).toZonedDateTimeISO(zone).offsetNanoseconds / 1e6;
}

/** Every minute is looked at: with `*` for the hour as the clock shows it, else all that the clock passed since it last showed so late a time. */
function walked(matches: (wall: number) => boolean, isInterval: boolean, zone: string, after: number, until: number): number[] {
  const runs: number[] = [];
  const from = Math.ceil((after - 3 * DAY) / MINUTE) * MINUTE;
  let latest = from + offset(from, zone);
  for (let at = from + MINUTE; at <= until; at += MINUTE) {
    const wall = at + offset(at, zone);
    let runsNow = isInterval && matches(wall);
    for (; !isInterval && latest < wall; latest += MINUTE) runsNow ||= matches(latest + MINUTE);
    if (runsNow && at > after) runs.push(at);
  }
  return runs;
}

describe('any schedule', () => {
  it('runs when a walk along the minutes says so, whatever its zone does to its clocks', () => {
    fc.assert(
      fc.property(schedules, fc.constantFrom(...ZONES), fc.integer({ min: 2010, max: 2030 }), fc.integer({ min: 0, max: 2 * DAY }), (parts, zone, year, before) => {
        const expression = [parts.minutes, parts.hours, parts.days, parts.months, parts.weekdays].map(({ text }) => text).join(' ');
        const parsed = parseSchedule(expression, zone);
        if (!parsed.ok) throw new Error(parsed.message);
        const newYear = Temporal.Instant.fromEpochMilliseconds(Date.UTC(year, 0)).toZonedDateTimeISO(zone);
        const change = newYear.getTimeZoneTransition('next') ?? newYear;
        const after = change.epochMilliseconds - before;
        const until = after + 3 * DAY;
        const runs: number[] = [];
        for (let at = parsed.schedule.next(after); at !== undefined && at <= until; at = parsed.schedule.next(at)) runs.push(at);
        const isInterval = parts.hours.text.startsWith('*');
        expect({ expression, zone, runs }).toEqual({ expression, zone, runs: walked(means(parts), isInterval, zone, after, until) });
      }),
      { numRuns: 30 },
    );
  });
});
