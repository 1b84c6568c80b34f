import { StorageError, type StorageErrorCode } from '../errors.ts';
import { describeFailure, isSpokenError, networkFailureOf } from '../network-failures.ts';

/** What a request was about; goes into words and context. */
export interface S3Subject {
  readonly doing: string;
  readonly key?: string;
  /** Absent for an STS. */
  readonly bucket?: string;
  /** An object was asked for, so that a 404 is about it. */
  readonly reads?: boolean;
  /** `AWS` where no endpoint is set. */
  readonly endpoint: string;
  /** A function gives the credentials: expired ones are worth another try, for it is asked anew. */
  readonly credentialsRenew?: boolean;
}

interface Row {
  readonly code: StorageErrorCode;
  readonly advice: string;
  readonly retryable?: boolean;
}

const THROTTLED: Row = { code: 'Throttled', advice: 'the service asks to slow down; it is tried again more slowly', retryable: true };
const BUSY: Row = { code: 'Unavailable', advice: 'the service has a failure of its own; try again, and look at its health if it stays', retryable: true };
const FULL: Row = { code: 'NoSpace', advice: 'the storage behind the service is full, or its quota is used up; enlarge it or delete backups' };
const TIMEOUT: Row = { code: 'Timeout', advice: 'no answer came in time; check the network and the service', retryable: true };
const NO_SUCH: Row = { code: 'NotFound', advice: 'it does not exist' };
const NO_S3: Row = { code: 'Unavailable', advice: 'what answers there does not speak S3 as it should; give the S3 API\'s address and port, not that of a console or web page, and check path-style' };
const BAD_KEY: Row = { code: 'BadCredentials', advice: 'the access key or the secret key is wrong; correct the credentials' };
const EXPIRED: Row = { code: 'ExpiredCredentials', advice: 'the session has expired; new credentials are needed' };
const DENIED: Row = { code: 'AccessDenied', advice: 'these credentials may not do that; extend the policy of the principal (docs/errors.md)' };
const OTHER_REGION: Row = { code: 'InvalidUrl', advice: 'the bucket lies in another region; correct region and endpoint' };
const CHANGED: Row = { code: 'Unexpected', advice: 'the bytes that arrived are not those that were sent; it is tried again', retryable: true };
const NO_SUCH_CALL: Row = { code: 'Unsupported', advice: 'the service does not know this request; use one that does' };
const LOCKED: Row = { code: 'Locked', advice: 'the object is under retention or a legal hold and cannot be changed before that ends' };

const NOT_S3: Row = { ...NO_S3, retryable: true };

/** By S3's error code. The class of refusal decides, whichever words a service has for it. */
const BY_NAME: Readonly<Record<string, Row>> = {
  NoSuchKey: NO_SUCH,
  NotS3: NOT_S3,
  NoSuchUpload: { code: 'Unavailable', advice: 'the multipart upload has gone; it is started anew', retryable: true },
  NoSuchBucket: { code: 'BucketMissing', advice: 'the bucket does not exist; create it, or correct its name, region or endpoint' },
  PreconditionFailed: { code: 'AlreadyExists', advice: 'the name is taken already' },
  ConditionalRequestConflict: { code: 'Unavailable', advice: 'somebody else writes the same name at this moment; it is tried again', retryable: true },
  OperationAborted: { code: 'Unavailable', advice: 'somebody else changes the same thing at this moment; it is tried again', retryable: true },
  AccessDenied: DENIED,
  AllAccessDisabled: DENIED,
  AccountProblem: DENIED,
  SignatureDoesNotMatch: BAD_KEY,
  InvalidAccessKeyId: BAD_KEY,
  InvalidClientTokenId: BAD_KEY,
  XAdminUserNotFound: BAD_KEY,
  UnrecognizedClientException: BAD_KEY,
  AuthorizationHeaderMalformed: { code: 'BadCredentials', advice: 'the request was signed for another region or with a malformed key; set the region of the bucket' },
  RequestTimeTooSkewed: { code: 'BadCredentials', advice: 'the clocks of this machine and the service differ by more than 15 minutes; set the clock', retryable: true },
  CredentialsProviderError: { code: 'BadCredentials', advice: 'no credentials were found; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE' },
  ExpiredToken: EXPIRED,
  ExpiredTokenException: EXPIRED,
  TokenRefreshRequired: EXPIRED,
  InvalidToken: EXPIRED,
  SlowDown: THROTTLED,
  SlowDownRead: THROTTLED,
  SlowDownWrite: THROTTLED,
  Throttling: THROTTLED,
  ThrottlingException: THROTTLED,
  TooManyRequests: THROTTLED,
  RequestLimitExceeded: THROTTLED,
  ServiceUnavailable: THROTTLED,
  InternalError: BUSY,
  XMinioServerNotInitialized: BUSY,
  RequestTimeout: TIMEOUT,
  TimeoutError: TIMEOUT,
  XMinioStorageFull: FULL,
  InsufficientCapacity: FULL,
  XMinioAdminBucketQuotaExceeded: FULL,
  QuotaExceeded: FULL,
  ObjectLocked: LOCKED,
  InvalidObjectState: { code: 'Unavailable', advice: 'the object lies in an archive (Glacier); bring it back from there first, and let no lifecycle rule move backups' },
  InvalidRange: { code: 'Truncated', advice: 'it is shorter than the range that was asked for; the object is damaged' },
  XAmzContentSHA256Mismatch: CHANGED,
  XAmzContentChecksumMismatch: CHANGED,
  BadDigest: CHANGED,
  IncompleteBody: CHANGED,
  InvalidBucketName: { code: 'InvalidUrl', advice: 'the service does not accept this bucket name' },
  PermanentRedirect: OTHER_REGION,
  TemporaryRedirect: OTHER_REGION,
  IllegalLocationConstraintException: OTHER_REGION,
  NotImplemented: NO_SUCH_CALL,
  MethodNotAllowed: NO_SUCH_CALL,
};

/** True where a service says that an object is not there; any other 404 (no bucket, no user, no S3 at all) says something else. */
export function isNoSuchKey(error: unknown): boolean {
  const { name } = describeFailure(error);
  // The SDK's name for a 404 without words, which is all that some services have for it.
  return name === 'NoSuchKey' || name === 'NotFound';
}

const BY_STATUS: Readonly<Record<number, Row>> = {
  301: OTHER_REGION,
  307: OTHER_REGION,
  401: BAD_KEY,
  403: DENIED,
  404: NO_S3,
  405: NO_SUCH_CALL,
  408: TIMEOUT,
  409: { code: 'Unavailable', advice: 'somebody else changes the same thing at this moment; it is tried again', retryable: true },
  412: { code: 'AlreadyExists', advice: 'the name is taken already' },
  416: { code: 'Truncated', advice: 'it is shorter than the range that was asked for; the object is damaged' },
  429: THROTTLED,
  500: BUSY,
  501: NO_SUCH_CALL,
  502: BUSY,
  503: THROTTLED,
  504: BUSY,
  507: FULL,
};

/** Turns whatever a request ended with into a StorageError in words. Neither a body nor a credential gets into it. */
export function s3Error(error: unknown, subject: S3Subject): StorageError {
  if (error instanceof StorageError) return error;
  // What gives the credentials has errors of its own, with better words than ours.
  if (isSpokenError(error)) throw error;
  const { name, code, message, status } = describeFailure(error);
  if (name === 'AbortError' || code === 'ABORT_ERR') {
    return new StorageError('Aborted', `${subject.doing} was cancelled`, { retryable: false, cause: error });
  }
  const row = subject.reads === true && isNoSuchKey(error) ? NO_SUCH : rowOf(name, code, message, status);
  const retryable = row.code === 'ExpiredCredentials' ? subject.credentialsRenew === true : (row.retryable ?? false);
  const said = [name === 'Error' ? undefined : name, code === name ? undefined : code, status].filter((part) => part !== undefined);
  return new StorageError(row.code, `${subject.doing}${subject.bucket === undefined ? '' : ` in bucket ${subject.bucket}`} at ${subject.endpoint} failed${said.length === 0 ? '' : ` (${said.join(', ')})`}: ${row.advice}`, {
    retryable,
    isStranger: row === NOT_S3,
    context: {
      endpoint: subject.endpoint,
      ...(subject.bucket === undefined ? {} : { bucket: subject.bucket }),
      ...(subject.key === undefined ? {} : { key: subject.key }),
    },
    cause: error,
  });
}

function rowOf(name: string | undefined, code: string | undefined, message: string, status: number | undefined): Row {
  // MinIO and others answer AccessDenied to a locked version and tell so only in words.
  if ((name === 'AccessDenied' || name === 'InvalidRequest') && /WORM|object is locked|object lock/i.test(message)) return LOCKED;
  if (/ObjectLockConfiguration/.test(message)) return { code: 'Unsupported', advice: 'the bucket was created without Object Lock; create one with it' };
  const region = /expecting '([a-z0-9-]{1,64})'/.exec(message)?.[1];
  if (region !== undefined) return { code: 'BadCredentials', advice: `the bucket lies in the region ${region}; set that (region=${region} in the URL)` };
  // Its STS has no code of its own for a wrong key either.
  if (name === 'AccessDenied' && /signature we calculated|access key id you provided does not exist/i.test(message)) return BAD_KEY;
  // The SDK calls a connection that broke off a time-out, too.
  const broken = name === 'TimeoutError' && code !== undefined ? networkFailureOf(code, '') : undefined;
  const known =
    broken ??
    (name === undefined ? undefined : BY_NAME[name]) ??
    (code === undefined ? undefined : BY_NAME[code]) ??
    networkFailureOf(code, message) ??
    (status === undefined ? undefined : BY_STATUS[status]);
  if (known !== undefined) return known;
  if (/region is missing/i.test(message)) return { code: 'InvalidUrl', advice: 'no region is set; add region=… to the URL, or set AWS_REGION' };
  if (status !== undefined && status >= 500) return BUSY;
  // No status, or a good one, and words that are no XML: a proxy's page, or an answer that was cut where nothing tells.
  if (/Deserialization error/.test(message)) return NOT_S3;
  return { code: 'Unexpected', advice: message.slice(0, 300) };
}
