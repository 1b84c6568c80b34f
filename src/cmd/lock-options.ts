import { hostname } from 'node:os';
import * as z from 'zod';
import type { LockOptions } from '../restic/contract.ts';
import { millisecondsOf } from './stretch-of-time.ts';

/** `--retry-lock`, as restic has it: how long to wait for another program's lock, in milliseconds. */
export const RetryLock = z
  .string()
  .regex(/^[0-9]{1,5}[smh]$/, 'a time such as 30s, 5m or 1h')
  .transform(millisecondsOf)
  .optional();

/** The lock of a command: held by this machine's name, waited for as long as `--retry-lock` says. */
export function lockOptionsOf({ retryLock }: { readonly retryLock?: number | undefined }): LockOptions {
  return { hostname: hostname(), lockWaitMs: retryLock };
}
