import * as z from 'zod';
import { withRules } from './kind.ts';

/** A DNS-1123 subdomain, as names of most Kubernetes objects are. */
export const ObjectName = z
  .string()
  .min(1)
  .max(253)
  .regex(/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/);

/** `90s`, `30m`, `36h` or `14d`, or a sum such as `1d12h`. CEL's own duration type knows no days. */
export const Duration = withRules(
  z
    .string()
    .max(32)
    .regex(/^([0-9]{1,6}d)?([0-9]{1,6}h)?([0-9]{1,6}m)?([0-9]{1,6}s)?$/)
    .min(2),
  { rule: "self.matches('[1-9]')", message: 'must be a duration above zero, such as 30m, 36h or 14d' },
);

/** `[prefix/]name`, as keys of labels, annotations and taints are. */
const QUALIFIED_NAME = '^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$';

export const QualifiedName = z.string().max(317).regex(new RegExp(QUALIFIED_NAME));

export const LabelValue = z
  .string()
  .max(63)
  .regex(/^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$/);

function areQualifiedNames<T extends z.ZodType>(map: T): T {
  return withRules(map, { rule: `self.all(key, key.matches('${QUALIFIED_NAME}'))`, message: 'every key must be a name such as `example.com/queue`' });
}

/** Labels: what the API server would refuse on a Job is refused here, where a person sees it. */
export const Labels = areQualifiedNames(
  z.record(z.string(), LabelValue).meta({ maxProperties: 64 }),
);

export const Annotations = areQualifiedNames(z.record(z.string(), z.string().max(4096)).meta({ maxProperties: 64 }));

/** `MON`, `mon` and `Mon` are one to crontab(5). */
function inAnyCase(names: string): string {
  return names.replace(/[A-Z]/g, (letter) => `[${letter}${letter.toLowerCase()}]`);
}

const NAMED_MONTH = inAnyCase('JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC');
const NAMED_DAY = inAnyCase('SUN|MON|TUE|WED|THU|FRI|SAT');

/** A list of values, ranges and steps, as one field of crontab(5) is. */
function cronField(value: string): string {
  const one = `(${value})`;
  const item = `(\\*(/[1-9][0-9]?)?|${one}(-${one}(/[1-9][0-9]?)?)?)`;
  return `${item}(,${item})*`;
}

const CRON_FIELDS = ['[0-5]?[0-9]', '[01]?[0-9]|2[0-3]', '0?[1-9]|[12][0-9]|3[01]', `0?[1-9]|1[0-2]|${NAMED_MONTH}`, `[0-7]|${NAMED_DAY}`];

/**
 * Five fields as in crontab(5), or a word such as `@daily`. What a pattern cannot see (a range that runs backwards, the 30th of
 * February) is a condition of the policy.
 */
export const CronSchedule = z
  .string()
  .min(1)
  .max(128)
  .regex(new RegExp(`^(@(yearly|annually|monthly|weekly|daily|midnight|hourly)|${CRON_FIELDS.map(cronField).join(' ')})$`));

/** A name of the IANA time-zone database. `Local` would be the API server's own, and an offset such as `+02:00` knows no daylight saving. */
export const TimeZone = withRules(
  z
    .string()
    .min(1)
    .max(64)
    .regex(/^[A-Za-z][A-Za-z0-9_+-]*(\/[A-Za-z0-9_+-]+)*$/),
  {
    // An unknown zone is an error of the function, and an error refuses.
    rule: "self != 'Local' && timestamp('2000-01-01T00:00:00Z').getHours(self) >= 0",
    message: 'must be a time zone of the IANA database, such as Europe/Berlin',
  },
);

export const Timestamp = z.string().meta({ format: 'date-time' });

/** As Kubernetes writes storage: a whole number, or one with a suffix. */
export const StorageSize = withRules(z.string().min(1).max(32), {
  rule: "isQuantity(self) && quantity(self).isGreaterThan(quantity('0'))",
  message: 'must be a quantity of storage above zero, such as `20Gi`',
});

/** Names a Secret in the operator's own namespace; nothing in a customer's namespace can name one. */
export const SecretReference = z.object({
  name: ObjectName.meta({ description: "Name of the Secret, in the operator's namespace." }),
});

/** 16 random bytes, lower-case hex. */
export const TenantId = z.string().max(32).regex(/^[0-9a-f]{32}$/);

/** In lower-case hex. */
export const Sha256 = z.string().regex(/^[0-9a-f]{64}$/);

/** restic names a snapshot by the hash of its file. */
export const SnapshotId = Sha256;

const UNIT_MS = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1000 } as const;

/**
 * Milliseconds of a `Duration`.
 * @throws {RangeError} when it is none; admission refuses those, so only a hand-made object gets here.
 */
export function durationToMs(duration: string): number {
  if (!Duration.safeParse(duration).success) throw new RangeError(`"${duration}" is not a duration such as 30m, 36h or 14d`);
  let total = 0;
  for (const [, count, unit] of duration.matchAll(/([0-9]+)([dhms])/g)) {
    total += Number(count) * UNIT_MS[unit as keyof typeof UNIT_MS];
  }
  return total;
}
