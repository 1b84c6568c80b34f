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

/** `[prefix/]name`, as keys of labels and annotations are. */
const QUALIFIED_NAME = '^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$';

function areQualifiedNames<T extends z.ZodType>(map: T): T {
  return withRules(map, { rule: `self.all(key, key.matches('${QUALIFIED_NAME}'))`, message: 'every key must be a name such as `example.com/queue`' });
}

/** Labels: what the API server would refuse on a Job is refused here, where a person sees it. */
export const Labels = areQualifiedNames(
  z.record(
    z.string(),
    z
      .string()
      .max(63)
      .regex(/^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$/),
  ).meta({ maxProperties: 64 }),
);

export const Annotations = areQualifiedNames(z.record(z.string(), z.string().max(4096)).meta({ maxProperties: 64 }));

export const Timestamp = z.string().meta({ format: 'date-time' });

/** Names a Secret in the operator's own namespace; nothing in a customer's namespace can name one. */
export const SecretReference = z.object({
  name: ObjectName.meta({ description: "Name of the Secret, in the operator's namespace." }),
});

/** 16 random bytes, lower-case hex. */
export const TenantId = z.string().regex(/^[0-9a-f]{32}$/);

export const SnapshotId = z.string().regex(/^[0-9a-f]{64}$/);

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
