const two = (value: number): string => String(value).padStart(2, '0');

/**
 * A time for people: `2030-01-31 13:00:00`, by the clock on their wall (`TZ`), whatever zone it was written in; restic writes that of its machine.
 * @param time RFC 3339. One that no clock can show stays as it is written, without its zone.
 */
export function wallTime(time: string): string {
  const at = new Date(time);
  const year = at.getFullYear();
  if (!(year >= 0 && year <= 9999)) return time.slice(0, 19).replace('T', ' ');
  return `${String(year).padStart(4, '0')}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}
