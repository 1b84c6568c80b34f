/** Why a store said no. The table in `docs/errors.md` gives the advice for each. */
export type StorageErrorCode =
  | 'NotFound'
  | 'AlreadyExists'
  | 'AccessDenied'
  | 'BadCredentials'
  | 'ExpiredCredentials'
  | 'BucketMissing'
  | 'NoSpace'
  | 'Truncated'
  | 'Throttled'
  | 'Timeout'
  | 'Unavailable'
  | 'Locked'
  | 'Aborted'
  | 'InvalidUrl'
  /** The store or service cannot do what is asked: Object Lock, STS. */
  | 'Unsupported'
  | 'InvalidKey'
  /** The clocks of this machine and the service are so far apart that locks would end at another time than meant. */
  | 'ClockSkewed'
  | 'Unexpected';

export interface StorageErrorOptions {
  readonly retryable: boolean;
  /** What answered is no such service: a proxy's page, mostly. */
  readonly isStranger?: boolean;
  /** What was touched: key, bucket, endpoint. Never a credential. */
  readonly context?: Readonly<Record<string, string | number>>;
  readonly cause?: unknown;
}

/** A failure of an object store, in words for a person: what happened, to what, and what to do next. */
export class StorageError extends Error {
  readonly code: StorageErrorCode;
  readonly retryable: boolean;
  readonly isStranger: boolean;
  readonly context: Readonly<Record<string, string | number>>;

  constructor(code: StorageErrorCode, message: string, options: StorageErrorOptions) {
    super(message, { cause: options.cause });
    this.name = 'StorageError';
    this.code = code;
    this.retryable = options.retryable;
    this.isStranger = options.isStranger ?? false;
    this.context = options.context ?? {};
  }
}
