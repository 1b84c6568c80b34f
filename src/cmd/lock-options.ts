import { hostname } from 'node:os';
import * as z from 'zod';
import type { LockOptions } from '../restic/contract.ts';

/** `--retry-lock`, as restic has it: how long to wait for another program's lock, in milliseconds. */
export const RetryLock = z
  .string()
  .regex(/^[0-9]{1,5}[smh]$/, 'a time such as 30s, 5m or 1h')
  .transform((text) => Number.parseInt(text, 10) * (text.endsWith('s') ? 1000 : text.endsWith('m') ? 60_000 : 3_600_000))
  .optional();

/** The lock of a command: held by this machine's name, waited for as long as `--retry-lock` says. */
export function lockOptionsOf({ retryLock }: { readonly retryLock?: number | undefined }): LockOptions {
  return { hostname: hostname(), lockWaitMs: retryLock };
}
