import * as z from 'zod';
import { millisecondsOf } from './stretch-of-time.ts';

/** Longer locks cannot be taken back by anybody; the longest that is taken without a second thought. */
const MAX_RETENTION_DAYS = 365;

/** A stretch of time such as `30d`, `12h`, `90s`, in milliseconds. */
export const RetainFor = z
  .string()
  .regex(/^[1-9][0-9]{0,6}[smhd]$/, 'a time such as 30d, 12h or 90s')
  .transform(millisecondsOf)
  .refine((ms) => ms <= millisecondsOf(`${MAX_RETENTION_DAYS}d`), `at most ${MAX_RETENTION_DAYS}d: nobody can undo a compliance lock before it ends`);
