import type { EngineErrorCode } from '../restic/contract.ts';
import type { StorageErrorCode } from '../storage/index.ts';
import type { KeyErrorCode } from '../keys/index.ts';
import type { AuditErrorCode } from '../audit/index.ts';
import { UsageError } from './usage-error.ts';

/** The program's exit statuses (`docs/cli.md`). 130 and 143 are what a shell expects after SIGINT and SIGTERM. */
export const EXIT = {
  done: 0,
  failed: 1,
  usage: 2,
  /** Done, but content is missing; owners or modes that could not be set are warnings alone. */
  incomplete: 3,
  locked: 4,
  wrongKey: 5,
  damaged: 6,
  interrupted: 130,
  terminated: 143,
} as const;
export type ExitStatus = (typeof EXIT)[keyof typeof EXIT];

const BY_ENGINE_CODE = {
  NoRepository: EXIT.failed,
  AlreadyInitialized: EXIT.failed,
  WrongKey: EXIT.wrongKey,
  UnknownVersion: EXIT.failed,
  Damaged: EXIT.damaged,
  Locked: EXIT.locked,
  NoSuchSnapshot: EXIT.failed,
  AmbiguousSnapshot: EXIT.failed,
  SourceMissing: EXIT.failed,
  SourceLost: EXIT.failed,
  NoSpace: EXIT.failed,
  TargetUnwritable: EXIT.failed,
  Aborted: EXIT.interrupted,
  Unexpected: EXIT.failed,
} as const satisfies Record<EngineErrorCode, ExitStatus>;

const BY_STORAGE_CODE = {
  NotFound: EXIT.failed,
  AlreadyExists: EXIT.failed,
  AccessDenied: EXIT.failed,
  BadCredentials: EXIT.failed,
  ExpiredCredentials: EXIT.failed,
  BucketMissing: EXIT.failed,
  NoSpace: EXIT.failed,
  Truncated: EXIT.damaged,
  Throttled: EXIT.failed,
  Timeout: EXIT.failed,
  Unavailable: EXIT.failed,
  /** An object under retention, which is no lock of a repository. */
  Locked: EXIT.failed,
  Aborted: EXIT.interrupted,
  InvalidUrl: EXIT.usage,
  Unsupported: EXIT.usage,
  InvalidKey: EXIT.failed,
  ClockSkewed: EXIT.failed,
  Unexpected: EXIT.failed,
} as const satisfies Record<StorageErrorCode, ExitStatus>;

const BY_KEY_CODE = {
  InvalidKey: EXIT.usage,
  AccessDenied: EXIT.failed,
  BadCredentials: EXIT.failed,
  ExpiredCredentials: EXIT.failed,
  KeyDisabled: EXIT.failed,
  KeyPendingDeletion: EXIT.failed,
  KeyNotFound: EXIT.failed,
  WrongContext: EXIT.wrongKey,
  NoWrapping: EXIT.wrongKey,
  WrongTenant: EXIT.wrongKey,
  UnknownVersion: EXIT.failed,
  Damaged: EXIT.damaged,
  Throttled: EXIT.failed,
  Timeout: EXIT.failed,
  Unavailable: EXIT.failed,
  Aborted: EXIT.interrupted,
  Unexpected: EXIT.failed,
} as const satisfies Record<KeyErrorCode, ExitStatus>;

const BY_AUDIT_CODE = {
  AuditTampered: EXIT.damaged,
  UnknownVersion: EXIT.failed,
  InvalidKey: EXIT.usage,
  AuditBusy: EXIT.failed,
} as const satisfies Record<AuditErrorCode, ExitStatus>;

/**
 * The one table from failures to exit statuses. Errors are told apart by name and code, not by class: a command that
 * failed before the engine was loaded must not load it for that.
 */
export function exitStatusOf(error: unknown): ExitStatus {
  if (error instanceof UsageError) return EXIT.usage;
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return EXIT.failed;
  return statusIn(TABLES[error.name], error.code) ?? EXIT.failed;
}

const TABLES: Readonly<Record<string, Readonly<Record<string, ExitStatus>> | undefined>> = {
  EngineError: BY_ENGINE_CODE,
  StorageError: BY_STORAGE_CODE,
  KeyError: BY_KEY_CODE,
  AuditError: BY_AUDIT_CODE,
};

function statusIn(table: Readonly<Record<string, ExitStatus>> | undefined, code: string): ExitStatus | undefined {
  return table?.[code];
}
