/** Why a key could not be had. The table in `docs/errors.md` gives the advice for each. */
export type KeyErrorCode =
  /** The written form of a secret key does not read as one. */
  | 'InvalidKey'
  /** The principal may not use the KMS key that way. */
  | 'AccessDenied'
  | 'BadCredentials'
  | 'ExpiredCredentials'
  | 'KeyDisabled'
  | 'KeyPendingDeletion'
  | 'KeyNotFound'
  /** The KMS refuses the ciphertext: another key, another context, or damage. */
  | 'WrongContext'
  /** No wrapped key is there, or none under a KMS key that was given. */
  | 'NoWrapping'
  /** A wrapped key of another tenant or generation. */
  | 'WrongTenant'
  | 'UnknownVersion'
  | 'Damaged'
  | 'Throttled'
  | 'Timeout'
  | 'Unavailable'
  | 'Aborted'
  | 'Unexpected';

export interface KeyErrorOptions {
  readonly retryable?: boolean;
  /** Tenant, generation, KMS key, endpoint. Never a secret. */
  readonly context?: Readonly<Record<string, string | number>>;
  readonly cause?: unknown;
}

/** A key that could not be made, wrapped, unwrapped or read, in words for a person. */
export class KeyError extends Error {
  readonly code: KeyErrorCode;
  readonly retryable: boolean;
  readonly context: Readonly<Record<string, string | number>>;

  constructor(code: KeyErrorCode, message: string, options: KeyErrorOptions = {}) {
    super(message, { cause: options.cause });
    this.name = 'KeyError';
    this.code = code;
    this.retryable = options.retryable ?? false;
    this.context = options.context ?? {};
  }
}
