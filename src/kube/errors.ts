/** Why the API server said no, in one word that code can switch on. */
export type KubeErrorCode =
  | 'NotFound'
  | 'AlreadyExists'
  | 'Conflict'
  | 'Forbidden'
  | 'Unauthorized'
  | 'Invalid'
  | 'BadRequest'
  | 'Expired'
  | 'TooManyRequests'
  | 'Unavailable'
  | 'Aborted'
  | 'Unexpected';

/** An answer of the API server that is no success, or the lack of one. `status` is the HTTP status, 0 where none came. */
export class KubeError extends Error {
  readonly code: KubeErrorCode;
  readonly retryable: boolean;
  readonly status: number;

  constructor(code: KubeErrorCode, message: string, options: { status?: number; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.name = 'KubeError';
    this.code = code;
    this.status = options.status ?? 0;
    this.retryable = code === 'Conflict' || code === 'TooManyRequests' || code === 'Unavailable' || code === 'Expired';
  }
}

/** True for a `KubeError` of one of these codes. */
export function isKubeError(error: unknown, ...codes: readonly KubeErrorCode[]): error is KubeError {
  return error instanceof KubeError && codes.includes(error.code);
}

/** The one table from an HTTP status and the reason of a `metav1.Status` to a code. */
export function codeOf(status: number, reason: string | undefined): KubeErrorCode {
  if (reason === 'AlreadyExists') return 'AlreadyExists';
  if (reason === 'Expired') return 'Expired';
  switch (status) {
    case 400:
      return 'BadRequest';
    case 401:
      return 'Unauthorized';
    case 403:
      return 'Forbidden';
    case 404:
      return 'NotFound';
    case 409:
      return 'Conflict';
    case 410:
      return 'Expired';
    case 422:
      return 'Invalid';
    case 429:
      return 'TooManyRequests';
    default:
      return status >= 500 ? 'Unavailable' : 'Unexpected';
  }
}
