import { durationToMs, MOVER_CONTRACT_VERSION, type MoverCredentials, type S3WithSessions } from '../../api/index.ts';
import { PortError } from '../../controller/index.ts';
import { mintSession, StorageError, type PolicyDocument } from '../../storage/index.ts';
import type { AccessKey } from './secrets.ts';

export interface WorkerSession {
  readonly credentials: MoverCredentials;
  /** Why these are the bucket's own credentials and no session, in words. */
  readonly shared: string | undefined;
}

/**
 * A session for workers that keep the second data center, or the credentials that would make it where there is none to be had and the settings allow that.
 * A fault that may pass never widens what a worker holds.
 * @throws {PortError}
 */
export async function workerSession(s3: S3WithSessions, own: AccessKey, policy: PolicyDocument, signal: AbortSignal): Promise<WorkerSession> {
  const { sts, bucket } = s3;
  const endpoint = sts.endpoint ?? s3.endpoint;
  if (sts.mode === 'Disabled') return shared(own, `sessions are disabled for bucket ${bucket} (sts.mode)`);
  // AWS wants a real role; who names none asks for no session.
  if (sts.mode === 'Auto' && endpoint === undefined && sts.roleArn === undefined) return shared(own, `no role is named for bucket ${bucket} (sts.roleArn)`);
  try {
    const { accessKeyId, secretAccessKey, sessionToken, expiration } = await mintSession({
      ...(endpoint === undefined ? {} : { endpoint }),
      region: s3.region,
      credentials: own,
      policy,
      sessionName: 'tenant-backup-replication',
      durationSeconds: Math.round(durationToMs(sts.sessionDuration) / 1000),
      ...(sts.roleArn === undefined ? {} : { roleArn: sts.roleArn }),
      ...(s3.caBundle === undefined ? {} : { caBundle: s3.caBundle }),
      signal,
    });
    return { credentials: of({ accessKeyId, secretAccessKey, sessionToken, expiration: expiration.toISOString() }), shared: undefined };
  } catch (error) {
    if (!(error instanceof StorageError)) throw error;
    if (sts.mode === 'Auto' && !error.retryable) return shared(own, `no session could be made for bucket ${bucket}: ${error.message}`);
    throw new PortError(error.code, `no S3 session could be made for the workers in bucket ${bucket}: ${error.message}`, { retryable: error.retryable, cause: error });
  }
}

function shared(own: AccessKey, why: string): WorkerSession {
  return { credentials: of(own), shared: why };
}

function of(s3: MoverCredentials['s3']): MoverCredentials {
  return { version: MOVER_CONTRACT_VERSION, s3, kms: {} };
}
