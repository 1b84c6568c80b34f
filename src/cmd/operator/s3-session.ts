import { durationToMs, type MoverCredentials, type S3WithSessions } from '../../api/index.ts';
import { PortError } from '../../controller/index.ts';
import { mintSession, StorageError, type PolicyDocument, type SessionCredentials } from '../../storage/index.ts';
import type { AccessKey } from './secrets.ts';

/** AWS and MinIO take no less than 15 minutes and, for one role, no more than 12 hours. */
const SESSION_SECONDS = { least: 900, most: 43_200 };

export interface S3Session {
  readonly credentials: MoverCredentials['s3'];
  /** Why these are the bucket's own credentials and no session, in words. */
  readonly shared: string | undefined;
}

export interface WantedSession {
  readonly policy: PolicyDocument;
  /** Shown in the service's access log. */
  readonly sessionName: string;
  /** For whom, in words. */
  readonly whose: string;
}

/**
 * A session for a mover or a worker, or the credentials that would make it where there is none to be had and the settings allow that: `sts.mode: Auto`, and the endpoint
 * has no STS at all, or it is AWS and no role is named. An STS that is there and refuses, or does not answer, never widens what somebody holds.
 * @throws {PortError}
 */
export async function s3Session(s3: S3WithSessions, own: AccessKey, { policy, sessionName, whose }: WantedSession, signal: AbortSignal): Promise<S3Session> {
  const { sts, bucket } = s3;
  const endpoint = sts.endpoint ?? s3.endpoint;
  if (sts.mode === 'Disabled') return { credentials: own, shared: `sessions are disabled for bucket ${bucket} (sts.mode)` };
  if (sts.mode === 'Auto' && endpoint === undefined && sts.roleArn === undefined) return { credentials: own, shared: `no role is named for bucket ${bucket} (sts.roleArn), and AWS wants one` };
  try {
    const session = await mintSession({
      ...(endpoint === undefined ? {} : { endpoint }),
      region: s3.region,
      credentials: own,
      policy,
      sessionName,
      durationSeconds: sessionSeconds(sts.sessionDuration),
      ...(sts.roleArn === undefined ? {} : { roleArn: sts.roleArn }),
      ...(s3.caBundle === undefined ? {} : { caBundle: s3.caBundle }),
      signal,
    });
    return { credentials: sessionOf(session), shared: undefined };
  } catch (error) {
    if (!(error instanceof StorageError)) throw error;
    if (error.code === 'Unsupported' && sts.mode === 'Auto') return { credentials: own, shared: `no session could be made for bucket ${bucket}: ${error.message}` };
    const advice = error.retryable ? '' : ' Name a role that it may assume in sts.roleArn, or set sts.mode: Disabled where this service gives that principal no sessions.';
    throw new PortError(error.code, `no S3 session could be made for ${whose} in bucket ${bucket}: ${error.message}${advice}`, { retryable: error.retryable, cause: error });
  }
}

export function sessionSeconds(duration: string): number {
  return Math.min(SESSION_SECONDS.most, Math.max(SESSION_SECONDS.least, Math.round(durationToMs(duration) / 1000)));
}

export function sessionOf({ accessKeyId, secretAccessKey, sessionToken, expiration }: SessionCredentials): MoverCredentials['s3'] {
  return { accessKeyId, secretAccessKey, sessionToken, expiration: expiration.toISOString() };
}
