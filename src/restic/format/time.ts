/** A point in time as the kernel has it. `nanoseconds` is 0 to 999,999,999, also before 1970. */
export interface Timespec {
  readonly seconds: number;
  readonly nanoseconds: number;
}

const pattern = /^(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:[Zz]|([+-])(\d\d):(\d\d))$/;
const secondsADay = 86_400;

/** Days since 1970-01-01 of a date in the proleptic Gregorian calendar (the era arithmetic of C++'s `days_from_civil`). */
function daysFromCivil(year: number, month: number, day: number): number {
  const y = month <= 2 ? year - 1 : year;
  const era = Math.floor(y / 400);
  const yearOfEra = y - era * 400;
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1;
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear;
  return era * 146_097 + dayOfEra - 719_468;
}

function civilFromDays(days: number): { year: number; month: number; day: number } {
  const z = days + 719_468;
  const era = Math.floor(z / 146_097);
  const dayOfEra = z - era * 146_097;
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365,
  );
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const shifted = Math.floor((5 * dayOfYear + 2) / 153);
  const month = shifted < 10 ? shifted + 3 : shifted - 9;
  return {
    year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0),
    month,
    day: dayOfYear - Math.floor((153 * shifted + 2) / 5) + 1,
  };
}

function pad(value: number, width: number): string {
  return String(value).padStart(width, '0');
}

/**
 * RFC 3339 in UTC as Go writes it: no trailing zeros in the fraction. Years outside 0–9999 are moved into that range with
 * the rest kept, as restic does, for JSON times cannot hold them.
 */
export function formatTime(time: Timespec): string {
  const days = Math.floor(time.seconds / secondsADay);
  return `${formatDate(days)}T${formatClock(time.seconds - days * secondsADay)}${formatFraction(time.nanoseconds)}Z`;
}

function formatDate(days: number): string {
  const { year, month, day } = civilFromDays(days);
  const clamped = Math.min(Math.max(year, 0), 9999);
  // Go's AddDate carries a 29 February that the new year lacks over to 1 March.
  const overflows = clamped !== year && month === 2 && day === 29 && !isLeap(clamped);
  return overflows ? `${pad(clamped, 4)}-03-01` : `${pad(clamped, 4)}-${pad(month, 2)}-${pad(day, 2)}`;
}

function formatClock(second: number): string {
  return `${pad(Math.floor(second / 3600), 2)}:${pad(Math.floor(second / 60) % 60, 2)}:${pad(second % 60, 2)}`;
}

function formatFraction(nanoseconds: number): string {
  if (nanoseconds === 0) return '';
  let digits = nanoseconds;
  let width = 9;
  while (digits % 10 === 0) {
    digits /= 10;
    width -= 1;
  }
  return `.${pad(digits, width)}`;
}

/** Formats many times that lie close together, as those of a directory's files do: date and clock are made once a second. */
export class TimeFormatter {
  #seconds = Number.NaN;
  #text = '';

  format(time: Timespec): string {
    if (time.seconds !== this.#seconds) {
      this.#seconds = time.seconds;
      this.#text = formatTime({ seconds: time.seconds, nanoseconds: 0 }).slice(0, -1);
    }
    return `${this.#text}${formatFraction(time.nanoseconds)}Z`;
  }
}

function isLeap(year: number): boolean {
  return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
}

/** Reads RFC 3339 with any offset and any number of digits (beyond nine are cut); `undefined` when it is none. */
export function parseTime(text: string): Timespec | undefined {
  const match = pattern.exec(text);
  if (match === null) return undefined;
  const [, year, month, day, hour, minute, second, fraction, sign, offsetHour, offsetMinute] = match;
  const [m, d, h, min, s] = [Number(month), Number(day), Number(hour), Number(minute), Number(second)];
  if (m < 1 || m > 12 || d < 1 || d > 31 || h > 23 || min > 59 || s > 59) return undefined;
  const offset = (Number(offsetHour ?? 0) * 60 + Number(offsetMinute ?? 0)) * (sign === '-' ? -60 : 60);
  return {
    seconds: daysFromCivil(Number(year), m, d) * secondsADay + h * 3600 + min * 60 + s - offset,
    nanoseconds: fraction === undefined ? 0 : Number(fraction.slice(0, 9).padEnd(9, '0')),
  };
}

/** Whether two RFC 3339 texts name the same instant, whatever their offsets. */
export function isSameTime(one: string, other: string): boolean {
  if (one === other) return true;
  const a = parseTime(one);
  const b = parseTime(other);
  return a !== undefined && b !== undefined && a.seconds === b.seconds && a.nanoseconds === b.nanoseconds;
}
