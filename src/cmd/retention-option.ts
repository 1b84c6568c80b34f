import * as z from 'zod';

const MS = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
/** Longer locks cannot be taken back by anybody; the longest that is taken without a second thought. */
const MAX_RETENTION_DAYS = 365;

/** A stretch of time such as `30d`, `12h`, `90s`, in milliseconds. */
export const RetainFor = z
  .string()
  .regex(/^[1-9][0-9]{0,6}[smhd]$/, 'a time such as 30d, 12h or 90s')
  .transform((text) => Number(text.slice(0, -1)) * MS[z.enum(['s', 'm', 'h', 'd']).parse(text.slice(-1))])
  .refine((ms) => ms <= MAX_RETENTION_DAYS * MS.d, `at most ${MAX_RETENTION_DAYS}d: nobody can undo a compliance lock before it ends`);
