export type MoverErrorCode =
  /** The orders are not what this version understands. */
  | 'BadOrders'
  /** The orders or credentials have a version that this program does not know. */
  | 'UnknownVersion'
  | 'BadCredentialsFile'
  /** The session ended and nobody renewed it in time. */
  | 'CredentialsNotRenewed'
  /** A stream's command failed, or its bridge broke. */
  | 'StreamFailed'
  /** A stream's command ended well and wrote nothing. */
  | 'StreamEmpty';

/** A failure of the mover's own, before or beside the engine's, the store's and the keys'. */
export class MoverError extends Error {
  readonly code: MoverErrorCode;
  readonly retryable: boolean;

  constructor(code: MoverErrorCode, message: string, options: { readonly retryable: boolean; readonly cause?: unknown }) {
    super(message, { cause: options.cause });
    this.name = 'MoverError';
    this.code = code;
    this.retryable = options.retryable;
  }
}
