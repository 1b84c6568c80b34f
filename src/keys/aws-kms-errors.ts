import { describeFailure, isSpokenError, networkFailureOf } from '../storage/index.ts';
import { KeyError, type KeyErrorCode } from './errors.ts';

export interface KmsSubject {
  readonly doing: string;
  readonly keyId: string;
  /** `AWS` where no endpoint is set. */
  readonly endpoint: string;
}

interface Row {
  readonly code: KeyErrorCode;
  readonly advice: string;
  readonly retryable?: boolean;
}

const BAD: Row = { code: 'BadCredentials', advice: 'the access key or the secret key is wrong; correct the credentials' };
const EXPIRED: Row = { code: 'ExpiredCredentials', advice: 'the session has expired; new credentials are needed', retryable: true };
const THROTTLED: Row = { code: 'Throttled', advice: 'the KMS asks to slow down; try again later, or raise its request quota', retryable: true };
const BUSY: Row = { code: 'Unavailable', advice: 'the KMS has a failure of its own; try again, and look at its health if it stays', retryable: true };
const WRONG: Row = { code: 'WrongContext', advice: 'the wrapped key belongs to another KMS key, tenant or generation, or is damaged' };

const BY_NAME: Readonly<Record<string, Row>> = {
  AccessDeniedException: { code: 'AccessDenied', advice: 'this principal may not use the key that way; extend the key policy for its encryption context (docs/errors.md)' },
  DisabledException: { code: 'KeyDisabled', advice: 'the key is disabled; enable it in the KMS' },
  NotFoundException: { code: 'KeyNotFound', advice: 'there is no such key; correct its id, region or endpoint' },
  InvalidArnException: { code: 'KeyNotFound', advice: 'the id of the key is malformed; correct it' },
  InvalidKeyUsageException: { code: 'KeyNotFound', advice: 'the key is not one for encrypting; name a symmetric ENCRYPT_DECRYPT key' },
  InvalidCiphertextException: WRONG,
  IncorrectKeyException: WRONG,
  KeyUnavailableException: BUSY,
  DependencyTimeoutException: BUSY,
  KMSInternalException: BUSY,
  InternalFailure: BUSY,
  ServiceUnavailable: BUSY,
  ThrottlingException: THROTTLED,
  Throttling: THROTTLED,
  LimitExceededException: THROTTLED,
  TooManyRequestsException: THROTTLED,
  RequestLimitExceeded: THROTTLED,
  UnrecognizedClientException: BAD,
  InvalidClientTokenId: BAD,
  InvalidSignatureException: BAD,
  SignatureDoesNotMatch: BAD,
  IncompleteSignature: BAD,
  MissingAuthenticationTokenException: BAD,
  CredentialsProviderError: { code: 'BadCredentials', advice: 'no credentials were found; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE' },
  ExpiredTokenException: EXPIRED,
  ExpiredToken: EXPIRED,
  TimeoutError: { code: 'Timeout', advice: 'no answer came in time; check the network and the KMS', retryable: true },
};

/** Turns whatever a call to a KMS ended with into a KeyError in words. */
export function awsKmsError(error: unknown, subject: KmsSubject): KeyError {
  if (error instanceof KeyError) return error;
  // What gives the credentials has errors of its own, with better words than ours.
  if (isSpokenError(error)) throw error;
  const { name, code, message, status } = describeFailure(error);
  if (name === 'AbortError' || code === 'ABORT_ERR') return new KeyError('Aborted', `${subject.doing} was cancelled`, { cause: error });
  const row = rowOf(name, code, message, status);
  const said = [name === 'Error' ? code : name, status].filter((part) => part !== undefined).join(', ');
  return new KeyError(row.code, `${subject.doing} with the KMS key ${subject.keyId} at ${subject.endpoint} failed${said === '' ? '' : ` (${said})`}: ${row.advice}`, {
    retryable: row.retryable ?? false,
    context: { keyId: subject.keyId, endpoint: subject.endpoint },
    cause: error,
  });
}

function rowOf(name: string | undefined, code: string | undefined, message: string, status: number | undefined): Row {
  if (name === 'KMSInvalidStateException') {
    return /pending deletion|PendingDeletion/i.test(message)
      ? { code: 'KeyPendingDeletion', advice: 'the key is scheduled for deletion; cancel that at once (cancel-key-deletion), or every backup under it is lost' }
      : { code: 'KeyDisabled', advice: 'the key is in a state that forbids its use; look at it in the KMS' };
  }
  const known =
    (name === undefined ? undefined : BY_NAME[name]) ?? (code === undefined ? undefined : BY_NAME[code]) ?? networkFailureOf(code, message);
  if (known !== undefined) return known;
  if (/region is missing/i.test(message)) return { code: 'KeyNotFound', advice: 'no region is set; give region=…, or set AWS_REGION' };
  if (status === 403) return { code: 'AccessDenied', advice: 'the KMS refuses this principal' };
  if (status === 429) return THROTTLED;
  if (status !== undefined && status >= 500) return BUSY;
  if (/Deserialization error/.test(message)) return { code: 'Unavailable', advice: 'what answers there does not speak as a KMS does; give the address of the KMS API' };
  return { code: 'Unexpected', advice: message.slice(0, 300) };
}
