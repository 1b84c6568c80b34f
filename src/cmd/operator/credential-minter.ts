import { MOVER_CONTRACT_VERSION, type BackupLocation, type KmsSettings, type MoverCredentials } from '../../api/index.ts';
import { PortError, type CredentialMinter, type MintedCredentials } from '../../controller/index.ts';
import { kmsOrders, kmsSecrets, PRIMARY_KMS } from '../../decide/index.ts';
import { tenantKmsPolicy } from '../../keys/index.ts';
import { mintSession, StorageError, tenantSessionPolicy } from '../../storage/index.ts';
import type { SecretSource } from './location-access.ts';
import { s3Session, sessionOf, sessionSeconds } from './s3-session.ts';
import { accessKeyOf, valueOf, type AccessKey } from './secrets.ts';

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

  async #s3({ spec: { s3 } }: BackupLocation, tenantId: string, signal: AbortSignal): Promise<MoverCredentials['s3']> {
    const own = accessKeyOf(this.#secrets.lookup, s3.credentialsSecretRef.name, this.#secrets.namespace);
    const wanted = { policy: tenantSessionPolicy(s3.bucket, s3.prefix, tenantId), sessionName: `tenant-backup-${tenantId}`, whose: 'this tenant' };
    return (await s3Session(s3, own, wanted, signal)).credentials;
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
      durationSeconds: sessionSeconds(sts.sessionDuration),
      ...(sts.roleArn === undefined ? {} : { roleArn: sts.roleArn }),
      ...(aws.caBundle === undefined ? {} : { caBundle: aws.caBundle }),
      signal,
    });
    return sessionOf(session);
  } catch (error) {
    if (!(error instanceof StorageError)) throw error;
    throw new PortError(error.code, `no KMS session could be made for this tenant: ${error.message}`, { retryable: error.retryable, cause: error });
  }
}
