import { StorageError } from './errors.ts';
import { describeFailure } from './network-failures.ts';
import type { HttpOptions } from './request-handler.ts';
import type { S3Credentials } from './s3/connection.ts';
import type { PolicyDocument } from './session-policy.ts';

/** S3 services have an STS at their own endpoint and take any role; AWS wants a real one. */
const ANY_ROLE = 'arn:aws:iam::000000000000:role/tenant-backup';
/** AWS packs a session policy into at most 2,048 characters. */
const MAX_POLICY_CHARACTERS = 2048;
const ATTEMPTS = 3;

export interface SessionRequest extends HttpOptions {
  /** The S3 service's own; AWS's STS of the region where absent. */
  readonly endpoint?: string;
  readonly region: string;
  /** Of who mints; where absent, the AWS SDK's chain. */
  readonly credentials?: S3Credentials | (() => Promise<S3Credentials>);
  readonly policy: PolicyDocument;
  /** At least 900; services cut it to their own maximum. */
  readonly durationSeconds: number;
  /** AWS wants it; other services have no roles. */
  readonly roleArn?: string;
  /** Shown in the service's access log; letters, digits and `=,.@-`. */
  readonly sessionName: string;
  readonly signal?: AbortSignal;
}

export interface SessionCredentials extends S3Credentials {
  readonly sessionToken: string;
  readonly expiration: Date;
}

/**
 * Mints a session that is confined by a policy. The SDK is loaded with the first call.
 * @throws {StorageError} `BadCredentials`, `AccessDenied`, `Unsupported` where the endpoint has no STS at all, `Unavailable`, …
 */
export async function mintSession(request: SessionRequest): Promise<SessionCredentials> {
  const policy = JSON.stringify(request.policy);
  if (policy.length > MAX_POLICY_CHARACTERS) throw new TypeError(`a session policy has ${policy.length} characters, at most ${MAX_POLICY_CHARACTERS} fit`);
  const { AssumeRoleCommand, STSClient } = await import('@aws-sdk/client-sts');
  const { requestHandler } = await import('./request-handler.ts');
  const client = new STSClient({
    region: request.region,
    ...(request.endpoint === undefined ? {} : { endpoint: request.endpoint }),
    ...(request.credentials === undefined ? {} : { credentials: request.credentials }),
    requestHandler: requestHandler(request),
    maxAttempts: ATTEMPTS,
  });
  try {
    const command = new AssumeRoleCommand({
      RoleArn: request.roleArn ?? ANY_ROLE,
      RoleSessionName: request.sessionName.replace(/[^\w+=,.@-]/g, '-').slice(0, 64),
      Policy: policy,
      DurationSeconds: request.durationSeconds,
    });
    const { Credentials } = await client.send(command, request.signal === undefined ? {} : { abortSignal: request.signal });
    const { AccessKeyId, SecretAccessKey, SessionToken, Expiration } = Credentials ?? {};
    if (AccessKeyId === undefined || SecretAccessKey === undefined || SessionToken === undefined || Expiration === undefined) {
      throw new StorageError('Unexpected', `the STS at ${request.endpoint ?? 'AWS'} answered without a session; is it an STS?`, { retryable: false });
    }
    return { accessKeyId: AccessKeyId, secretAccessKey: SecretAccessKey, sessionToken: SessionToken, expiration: Expiration };
  } catch (error) {
    throw await inWords(error, request.endpoint ?? 'AWS');
  } finally {
    client.destroy();
  }
}

async function inWords(error: unknown, endpoint: string): Promise<StorageError> {
  const { s3Error } = await import('./s3/errors.ts');
  const { status } = describeFailure(error);
  if (status === 404 || status === 405 || status === 501) {
    return new StorageError('Unsupported', `the endpoint ${endpoint} has no STS (HTTP ${status}), so credentials cannot be confined to a tenant there`, {
      retryable: false,
      context: { endpoint, status },
      cause: error,
    });
  }
  return s3Error(error, { doing: 'minting a session', endpoint });
}
