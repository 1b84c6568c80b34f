import type { MoverFailure } from '../api/index.ts';
import type { KeyErrorCode } from '../keys/index.ts';
import type { EngineErrorCode } from '../restic/contract.ts';
import type { StorageErrorCode } from '../storage/index.ts';
import type { MoverErrorCode } from './errors.ts';
import { printable } from './printable.ts';

/** Whether another attempt may end better; `asItSays` leaves that to the error, which knows more. */
type Again = 'yes' | 'no' | 'asItSays';

const ENGINE = {
  NoRepository: 'no',
  AlreadyInitialized: 'no',
  WrongKey: 'no',
  UnknownVersion: 'no',
  Damaged: 'no',
  Locked: 'yes',
  NoSuchSnapshot: 'no',
  AmbiguousSnapshot: 'no',
  SourceMissing: 'no',
  SourceLost: 'yes',
  NoSpace: 'no',
  TargetUnwritable: 'no',
  Aborted: 'yes',
  Unexpected: 'asItSays',
} as const satisfies Record<EngineErrorCode, Again>;

const STORAGE = {
  NotFound: 'asItSays',
  AlreadyExists: 'asItSays',
  AccessDenied: 'no',
  BadCredentials: 'no',
  ExpiredCredentials: 'yes',
  BucketMissing: 'no',
  NoSpace: 'asItSays',
  Truncated: 'asItSays',
  Throttled: 'yes',
  Timeout: 'yes',
  Unavailable: 'yes',
  Locked: 'no',
  Aborted: 'yes',
  InvalidUrl: 'no',
  Unsupported: 'no',
  InvalidKey: 'no',
  ClockSkewed: 'yes',
  Unexpected: 'asItSays',
} as const satisfies Record<StorageErrorCode, Again>;

const KEYS = {
  InvalidKey: 'no',
  AccessDenied: 'no',
  BadCredentials: 'no',
  ExpiredCredentials: 'yes',
  KeyDisabled: 'no',
  KeyPendingDeletion: 'no',
  KeyNotFound: 'no',
  WrongContext: 'no',
  NoWrapping: 'no',
  WrongTenant: 'no',
  UnknownVersion: 'no',
  Damaged: 'no',
  Throttled: 'yes',
  Timeout: 'yes',
  Unavailable: 'yes',
  Aborted: 'yes',
  Unexpected: 'asItSays',
} as const satisfies Record<KeyErrorCode, Again>;

const MOVER = {
  BadOrders: 'no',
  UnknownVersion: 'no',
  BadCredentialsFile: 'no',
  CredentialsNotRenewed: 'yes',
  StreamFailed: 'yes',
  StreamEmpty: 'no',
} as const satisfies Record<MoverErrorCode, Again>;

const TABLES: Readonly<Record<string, Readonly<Record<string, Again>> | undefined>> = {
  EngineError: ENGINE,
  StorageError: STORAGE,
  KeyError: KEYS,
  MoverError: MOVER,
};

/** The one table from errors to what the operator is told. A stranger among them is a bug: said so, and not tried again. */
export function failureOf(error: unknown, signal?: AbortSignal): MoverFailure {
  if (signal?.aborted === true) {
    return { code: 'Aborted', message: `the mover was told to stop (${String(signal.reason)}) before it was done; the next attempt goes on from what is stored`, retryable: true };
  }
  if (!(error instanceof Error)) return { code: 'Unexpected', message: printable(String(error)), retryable: false };
  const message = printable(error.message);
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined;
  const again = code === undefined ? undefined : TABLES[error.name]?.[code];
  if (code === undefined || again === undefined) {
    return { code: 'Unexpected', message: `${error.name}: ${message}; this is a bug in the mover, please report it with the pod's log`, retryable: false };
  }
  return { code, message, retryable: again === 'asItSays' ? saysRetryable(error) : again === 'yes' };
}

function saysRetryable(error: Error): boolean {
  return 'retryable' in error && error.retryable === true;
}
