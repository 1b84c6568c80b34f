import { describe, expect, it } from '@jest/globals';
import { CronSchedule } from '../../src/api/index.ts';
import { parseSchedule, rememberingParser } from '../../src/decide/cron.ts';

function runs(expression: string, timeZone: string, after: string, count: number): string[] {
  const parsed = parseSchedule(expression, timeZone);
  if (!parsed.ok) throw new Error(parsed.message);
  const found: string[] = [];
  for (let at = parsed.schedule.next(Date.parse(after)); at !== undefined && found.length < count; at = parsed.schedule.next(at)) {
    found.push(new Date(at).toISOString().slice(0, 16));
  }
  return found;
}

const BERLIN = 'Europe/Berlin';

describe('a schedule in a time zone', () => {
  it.each<[string, string, string, string, string[]]>([
    ['every night at two, in winter', '0 2 * * *', BERLIN, '2026-01-10T12:00Z', ['2026-01-11T01:00', '2026-01-12T01:00']],
    ['strictly after the given instant', '0 2 * * *', 'UTC', '2026-01-10T02:00Z', ['2026-01-11T02:00']],
    ['a time that is skipped in March runs once, right after the gap', '30 2 * * *', BERLIN, '2026-03-28T12:00Z', ['2026-03-29T01:00', '2026-03-30T00:30']],
    ['two times in the same gap are one run', '10,30 2 * * *', BERLIN, '2026-03-28T12:00Z', ['2026-03-29T01:00', '2026-03-30T00:10', '2026-03-30T00:30']],
    ['a skipped time and the one right after the gap are one run', '0 2,3 * * *', BERLIN, '2026-03-28T12:00Z', ['2026-03-29T01:00', '2026-03-30T00:00', '2026-03-30T01:00']],
    ['a time that comes twice in October runs the first time', '30 2 * * *', BERLIN, '2026-10-24T12:00Z', ['2026-10-25T00:30', '2026-10-26T01:30']],
    ['asked between the two, it does not run again', '30 2 * * *', BERLIN, '2026-10-25T00:45Z', ['2026-10-26T01:30']],
    ['asked in the second pass before the time, it does not run again', '30 2 * * *', BERLIN, '2026-10-25T01:10Z', ['2026-10-26T01:30']],
    ['every half hour goes on through the doubled hour', '*/30 * * * *', BERLIN, '2026-10-25T00:10Z', ['2026-10-25T00:30', '2026-10-25T01:00', '2026-10-25T01:30', '2026-10-25T02:00']],
    ['every half hour makes nothing up in the gap', '*/30 * * * *', BERLIN, '2026-03-29T00:10Z', ['2026-03-29T00:30', '2026-03-29T01:00', '2026-03-29T01:30']],
    ['a gap of half an hour', '15 2 * * *', 'Australia/Lord_Howe', '2026-10-03T00:00Z', ['2026-10-03T15:30', '2026-10-04T15:15']],
    ['a gap at midnight', '0 0 * * *', 'America/Santiago', '2026-09-05T05:00Z', ['2026-09-06T04:00', '2026-09-07T03:00']],
    ['a day that a zone left out', '0 12 * * *', 'Pacific/Apia', '2011-12-29T23:00Z', ['2011-12-30T10:00', '2011-12-30T22:00']],
    ['the leap day', '0 2 29 2 *', 'UTC', '2026-01-01T00:00Z', ['2028-02-29T02:00', '2032-02-29T02:00']],
    ['no leap day in 2100', '0 2 29 2 *', 'UTC', '2097-01-01T00:00Z', ['2104-02-29T02:00']],
    ['the end of the month', '0 2 31 * *', 'UTC', '2026-01-31T03:00Z', ['2026-03-31T02:00', '2026-05-31T02:00']],
    ['names, however they are written', '0 2 * feb Mon', 'UTC', '2026-01-01T00:00Z', ['2026-02-02T02:00', '2026-02-09T02:00']],
    ['Sundays, by either number', '0 2 * * 7', 'UTC', '2026-11-24T00:00Z', ['2026-11-29T02:00']],
    ['day of month or day of week, as crontab(5) has it', '0 0 13 * FRI', 'UTC', '2026-03-01T00:00Z', ['2026-03-06T00:00', '2026-03-13T00:00']],
    ['a word', '@daily', BERLIN, '2026-07-01T12:00Z', ['2026-07-01T22:00']],
  ])('%s', (_, expression, timeZone, after, expected) => {
    expect(runs(expression, timeZone, after, expected.length)).toEqual(expected);
  });

  it('never comes on a day that does not exist', () => {
    expect(runs('0 2 30 2 *', 'UTC', '2026-01-01T00:00Z', 1)).toEqual([]);
  });

  it.each([
    ['5-3 * * * *', 'UTC', 'ScheduleInvalid'],
    ['61 * * * *', 'UTC', 'ScheduleInvalid'],
    ['0 0 2 * * *', 'UTC', 'ScheduleInvalid'],
    ['0 2 * * *', 'Europe/Nowhere', 'TimeZoneUnknown'],
  ])('refuses %s in %s', (expression, timeZone, reason) => {
    expect(parseSchedule(expression, timeZone)).toMatchObject({ ok: false, reason });
  });
});

describe('the pattern at admission', () => {
  it.each(['0 2 * * *', '*/2 * * * *', '0,30 1-5/2 1,15 JAN-MAR MON-FRI', '@daily', '59 23 31 12 7', '05 02 01 01 0', '0 2 * jan-Mar mon-fri'])('takes %s', (schedule) => {
    expect(CronSchedule.safeParse(schedule).success).toBe(true);
    expect(parseSchedule(schedule, 'UTC')).toMatchObject({ ok: true });
  });

  it.each(['', '60 * * * *', '* 24 * * *', '* * 0 * *', '* * * 13 *', '* * * * 8', '* * * *', '* * * * * *', '*/0 * * * *', '0 2 * * * ', 'every night', '@reboot', '0 2 * * *\n', '0 2 L * *', '0 2 * * ?'])(
    'refuses %j',
    (schedule) => {
      expect(CronSchedule.safeParse(schedule).success).toBe(false);
    },
  );
});

describe('a parser that remembers', () => {
  it('answers the same as one that does not, for the right and the wrong, and reads each once', () => {
    const parse = rememberingParser();
    const asked = [['0 2 * * *', 'Europe/Berlin'], ['0 2 * * *', 'UTC'], ['60 2 * * *', 'UTC'], ['0 2 * * *', 'Nowhere/At_All']] as const;
    for (const [expression, timeZone] of asked) {
      const [first, plain] = [parse(expression, timeZone), parseSchedule(expression, timeZone)];
      expect(parse(expression, timeZone)).toBe(first);
      expect(first.ok ? first.schedule.next(0) : first).toEqual(plain.ok ? plain.schedule.next(0) : plain);
    }
  });
});
