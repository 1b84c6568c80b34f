/** Why an event could not be recorded or read. The table in `docs/errors.md` gives the advice for each. */
export type AuditErrorCode =
  /** An event or a head is not what its writer wrote, or not in its place. */
  | 'AuditTampered'
  | 'UnknownVersion'
  /** A signing key does not read as one. */
  | 'InvalidKey'
  /** Other writers were faster too many times in a row. */
  | 'AuditBusy';

export interface AuditErrorOptions {
  readonly retryable?: boolean;
  /** Tenant, sequence number, file. */
  readonly context?: Readonly<Record<string, string | number>>;
  readonly cause?: unknown;
}

/** A failure of the audit trail, in words for a person. What the store says stays a StorageError. */
export class AuditError extends Error {
  readonly code: AuditErrorCode;
  readonly retryable: boolean;
  readonly context: Readonly<Record<string, string | number>>;

  constructor(code: AuditErrorCode, message: string, options: AuditErrorOptions = {}) {
    super(message, { cause: options.cause });
    this.name = 'AuditError';
    this.code = code;
    this.retryable = options.retryable ?? false;
    this.context = options.context ?? {};
  }
}
