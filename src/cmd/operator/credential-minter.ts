import { durationToMs, MOVER_CONTRACT_VERSION, type BackupLocation, type MoverCredentials } from '../../api/index.ts';
import { PortError, type CredentialMinter, type MintedCredentials } from '../../controller/index.ts';
import { kmsSecrets } from '../../decide/index.ts';
import { mintSession, StorageError, tenantSessionPolicy } from '../../storage/index.ts';
import type { SecretSource } from './location-access.ts';
import { accessKeyOf, valueOf } from './secrets.ts';

/** AWS and MinIO take no less than 15 minutes and, for one role, no more than 12 hours. */
const SESSION_SECONDS = { least: 900, most: 43_200 };

/** Movers' credentials: an STS session for one tenant's prefix, and what the location's Secrets hold for its KMS. */
export class RealCredentialMinter implements CredentialMinter {
  readonly #secrets: SecretSource;

  constructor(secrets: SecretSource) {
    this.#secrets = secrets;
  }

  async mint(location: BackupLocation, tenantId: string, signal: AbortSignal): Promise<MintedCredentials> {
    const s3 = await this.#s3(location, tenantId, signal);
    return {
      credentials: { version: MOVER_CONTRACT_VERSION, s3, kms: this.#kms(location) },
      expiresAt: s3.expiration === undefined ? undefined : Date.parse(s3.expiration),
    };
  }

  async #s3(location: BackupLocation, tenantId: string, signal: AbortSignal): Promise<MoverCredentials['s3']> {
    const { s3 } = location.spec;
    const own = accessKeyOf(this.#secrets.lookup, s3.credentialsSecretRef.name, this.#secrets.namespace);
    if (s3.sts.mode === 'Disabled') return own;
    const endpoint = s3.sts.endpoint ?? s3.endpoint;
    const seconds = Math.round(durationToMs(s3.sts.sessionDuration) / 1000);
    try {
      const session = await mintSession({
        ...(endpoint === undefined ? {} : { endpoint }),
        region: s3.region,
        credentials: own,
        policy: tenantSessionPolicy(s3.bucket, s3.prefix, tenantId),
        sessionName: `tenant-backup-${tenantId}`,
        durationSeconds: Math.min(SESSION_SECONDS.most, Math.max(SESSION_SECONDS.least, seconds)),
        ...(s3.sts.roleArn === undefined ? {} : { roleArn: s3.sts.roleArn }),
        ...(s3.caBundle === undefined ? {} : { caBundle: s3.caBundle }),
        signal,
      });
      return {
        accessKeyId: session.accessKeyId,
        secretAccessKey: session.secretAccessKey,
        sessionToken: session.sessionToken,
        expiration: session.expiration.toISOString(),
      };
    } catch (error) {
      if (!(error instanceof StorageError)) throw error;
      // Only "there is no STS" falls back, and only where the location allows it; a passing fault must not widen what a mover can reach.
      if (error.code === 'Unsupported' && s3.sts.mode === 'Auto') return own;
      throw new PortError(error.code, `no S3 session could be made for this tenant: ${error.message}`, { retryable: error.retryable, cause: error });
    }
  }

  #kms(location: BackupLocation): MoverCredentials['kms'] {
    const { lookup, namespace } = this.#secrets;
    const entries = Object.entries(kmsSecrets(location.spec)).map(([name, { secret, provider }]) => [
      name,
      provider === 'local' ? { key: valueOf(lookup, secret, 'key', namespace) } : accessKeyOf(lookup, secret, namespace),
    ]);
    return Object.fromEntries(entries) as MoverCredentials['kms'];
  }
}
