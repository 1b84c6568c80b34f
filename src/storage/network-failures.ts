/** What a failed connection means for a person, whichever service it was to. */
export interface NetworkFailure {
  readonly code: 'Unavailable' | 'Timeout';
  readonly advice: string;
  readonly retryable?: boolean;
}

const UNTRUSTED: NetworkFailure = { code: 'Unavailable', advice: 'its TLS certificate is not trusted; give the CA that signed it (caBundle of the location, --ca-file on the command line), or correct the name in the endpoint' };
const TIMEOUT: NetworkFailure = { code: 'Timeout', advice: 'no answer came in time; check the network and the service', retryable: true };
const UNREACHABLE: NetworkFailure = { code: 'Unavailable', advice: 'the endpoint cannot be reached; check its address and port, and that the service runs', retryable: true };
const CUT: NetworkFailure = { code: 'Unavailable', advice: 'the connection broke off; look at the service and what lies in between, and where it never held, whether the endpoint is https:// rather than http://', retryable: true };

/** By the name of a failed system call or TLS check. */
const NETWORK_FAILURES: Readonly<Record<string, NetworkFailure>> = {
  ECONNREFUSED: UNREACHABLE,
  EHOSTUNREACH: UNREACHABLE,
  ENETUNREACH: UNREACHABLE,
  ENOTFOUND: { ...UNREACHABLE, advice: 'the name of the endpoint does not resolve; check its spelling and DNS' },
  EAI_AGAIN: { ...UNREACHABLE, advice: 'the name of the endpoint does not resolve at the moment' },
  ECONNRESET: CUT,
  ECONNABORTED: CUT,
  EPIPE: CUT,
  ERR_STREAM_PREMATURE_CLOSE: CUT,
  ETIMEDOUT: TIMEOUT,
  ESOCKETTIMEDOUT: TIMEOUT,
  EMFILE: { code: 'Unavailable', advice: 'too many files are open; raise the limit (ulimit -n)', retryable: true },
  SELF_SIGNED_CERT_IN_CHAIN: UNTRUSTED,
  DEPTH_ZERO_SELF_SIGNED_CERT: UNTRUSTED,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: UNTRUSTED,
  UNABLE_TO_GET_ISSUER_CERT: UNTRUSTED,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: UNTRUSTED,
  CERT_HAS_EXPIRED: { ...UNTRUSTED, advice: 'its TLS certificate has expired; renew it' },
  ERR_TLS_CERT_ALTNAME_INVALID: UNTRUSTED,
  ERR_SSL_WRONG_VERSION_NUMBER: { ...UNTRUSTED, advice: 'it does not speak TLS there; is the endpoint http:// rather than https://?' },
  EPROTO: { ...UNTRUSTED, advice: 'it does not speak TLS there; is the endpoint http:// rather than https://?' },
};

/** What a failed system call or TLS check means; `undefined` for anything else. TLS has more reasons than are listed here. */
export function networkFailureOf(code: string | undefined, message: string): NetworkFailure | undefined {
  const known = code === undefined ? undefined : NETWORK_FAILURES[code];
  if (known !== undefined) return known;
  if (/\bcertificate\b/i.test(message)) return UNTRUSTED;
  // The SDK wraps what broke off while it read an answer, and keeps no more of it than its words.
  return /: aborted\b|socket hang up|premature close/i.test(message) ? CUT : undefined;
}

/** The parts of an SDK or system error that tell what happened. */
export function describeFailure(error: unknown): { name: string | undefined; code: string | undefined; message: string; status: number | undefined } {
  const parts: { name?: unknown; code?: unknown; message?: unknown; $metadata?: { httpStatusCode?: unknown }; errors?: readonly unknown[] } =
    typeof error === 'object' && error !== null ? error : {};
  // A name that resolves to several addresses fails with one error for each.
  const first = Array.isArray(parts.errors) && parts.code === undefined ? describeFailure(parts.errors[0]) : undefined;
  const status = parts.$metadata?.httpStatusCode;
  const message = typeof parts.message === 'string' ? parts.message : String(error);
  return {
    name: typeof parts.name === 'string' ? parts.name : undefined,
    code: typeof parts.code === 'string' ? parts.code : (first?.code ?? errnoIn(message)),
    message,
    status: typeof status === 'number' ? status : undefined,
  };
}

/** A wrapper around a system error may keep no more of it than its words. */
function errnoIn(message: string): string | undefined {
  return /\bE[A-Z_]{3,}\b/.exec(message)?.[0];
}

/**
 * True for errors that have our own words already (`code`, `retryable`), such as those of a function that gives credentials:
 * they pass through a client as they are.
 */
export function isSpokenError(error: unknown): error is Error {
  return error instanceof Error && 'code' in error && 'retryable' in error && typeof error.retryable === 'boolean';
}
