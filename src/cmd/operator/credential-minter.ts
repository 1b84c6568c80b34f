import { durationToMs, MOVER_CONTRACT_VERSION, type BackupLocation, type KmsSettings, type MoverCredentials } from '../../api/index.ts';
import { PortError, type CredentialMinter, type MintedCredentials } from '../../controller/index.ts';
import { kmsOrders, kmsSecrets, PRIMARY_KMS } from '../../decide/index.ts';
import { tenantKmsPolicy } from '../../keys/index.ts';
import { mintSession, StorageError, tenantSessionPolicy, type SessionCredentials } from '../../storage/index.ts';
import type { SecretSource } from './location-access.ts';
import { accessKeyOf, valueOf, type AccessKey } from './secrets.ts';

/** AWS and MinIO take no less than 15 minutes and, for one role, no more than 12 hours. */
const SESSION_SECONDS = { least: 900, most: 43_200 };

/** Movers' credentials: STS sessions for one tenant's prefix and, where the location says so, for its encryption context. */
export class RealCredentialMinter implements CredentialMinter {
  readonly #secrets: SecretSource;

  constructor(secrets: SecretSource) {
    this.#secrets = secrets;
  }

  async mint(location: BackupLocation, tenantId: string, signal: AbortSignal): Promise<MintedCredentials> {
    const [s3, kms] = await Promise.all([this.#s3(location, tenantId, signal), this.#kms(location, tenantId, signal)]);
    const ends = [s3, ...Object.values(kms)].flatMap((entry) => ('expiration' in entry && entry.expiration !== undefined ? [Date.parse(entry.expiration)] : []));
    return {
      credentials: { version: MOVER_CONTRACT_VERSION, s3, kms },
      // All are renewed together, before the first of them ends.
      expiresAt: ends.length === 0 ? undefined : Math.min(...ends),
    };
  }

  async #s3(location: BackupLocation, tenantId: string, signal: AbortSignal): Promise<MoverCredentials['s3']> {
    const { s3 } = location.spec;
    const own = accessKeyOf(this.#secrets.lookup, s3.credentialsSecretRef.name, this.#secrets.namespace);
    if (s3.sts.mode === 'Disabled') return own;
    const endpoint = s3.sts.endpoint ?? s3.endpoint;
    try {
      const session = await mintSession({
        ...(endpoint === undefined ? {} : { endpoint }),
        region: s3.region,
        credentials: own,
        policy: tenantSessionPolicy(s3.bucket, s3.prefix, tenantId),
        sessionName: `tenant-backup-${tenantId}`,
        durationSeconds: secondsOf(s3.sts.sessionDuration),
        ...(s3.sts.roleArn === undefined ? {} : { roleArn: s3.sts.roleArn }),
        ...(s3.caBundle === undefined ? {} : { caBundle: s3.caBundle }),
        signal,
      });
      return asCredentials(session);
    } catch (error) {
      if (!(error instanceof StorageError)) throw error;
      // Only "there is no STS" falls back, and only where the location allows it; a passing fault must not widen what a mover can reach.
      if (error.code === 'Unsupported' && s3.sts.mode === 'Auto') return own;
      throw new PortError(error.code, `no S3 session could be made for this tenant: ${error.message}`, { retryable: error.retryable, cause: error });
    }
  }

  async #kms(location: BackupLocation, tenantId: string, signal: AbortSignal): Promise<MoverCredentials['kms']> {
    const { lookup, namespace } = this.#secrets;
    const entries = kmsOrders(location.spec).map(async ({ name, use }): Promise<[string, MoverCredentials['kms'][string]]> => {
      const { secret, provider } = kmsSecrets(location.spec)[name] ?? { secret: '', provider: 'aws' };
      if (provider === 'local') return [name, { key: valueOf(lookup, secret, 'key', namespace) }];
      const own = accessKeyOf(lookup, secret, namespace);
      const aws = name === PRIMARY_KMS ? location.spec.kms.aws : location.spec.replica?.kms.aws;
      return [name, aws?.sts === undefined ? own : await kmsSession(aws, aws.sts, own, { tenantId, use }, signal)];
    });
    return Object.fromEntries(await Promise.all(entries));
  }
}

type AwsKms = NonNullable<KmsSettings['aws']>;

/** A location that asks for sessions gets no mover without one: what cannot be confined is refused, not widened. */
async function kmsSession(
  aws: AwsKms,
  sts: NonNullable<AwsKms['sts']>,
  credentials: AccessKey,
  { tenantId, use }: { readonly tenantId: string; readonly use: 'wrapAndUnwrap' | 'wrap' },
  signal: AbortSignal,
): Promise<MoverCredentials['s3']> {
  try {
    const session = await mintSession({
      ...(sts.endpoint === undefined ? {} : { endpoint: sts.endpoint }),
      region: aws.region,
      credentials,
      policy: tenantKmsPolicy(aws.keyId, tenantId, use),
      sessionName: `tenant-backup-${tenantId}`,
      durationSeconds: secondsOf(sts.sessionDuration),
      ...(sts.roleArn === undefined ? {} : { roleArn: sts.roleArn }),
      ...(aws.caBundle === undefined ? {} : { caBundle: aws.caBundle }),
      signal,
    });
    return asCredentials(session);
  } catch (error) {
    if (!(error instanceof StorageError)) throw error;
    throw new PortError(error.code, `no KMS session could be made for this tenant: ${error.message}`, { retryable: error.retryable, cause: error });
  }
}

function secondsOf(duration: string): number {
  return Math.min(SESSION_SECONDS.most, Math.max(SESSION_SECONDS.least, Math.round(durationToMs(duration) / 1000)));
}

function asCredentials(session: SessionCredentials): MoverCredentials['s3'] {
  const { accessKeyId, secretAccessKey, sessionToken, expiration } = session;
  return { accessKeyId, secretAccessKey, sessionToken, expiration: expiration.toISOString() };
}
