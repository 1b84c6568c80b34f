import type { BackupLocationSpec, KmsSettings, S3Settings } from '../../api/index.ts';
import type { SecretLookup } from '../../controller/index.ts';
import { openAwsKms, openLocalKms, parseLocalKey, type KmsProvider } from '../../keys/index.ts';
import { openStore, s3Url, type ObjectStore, type S3Connection, type S3Credentials } from '../../storage/index.ts';
import { accessKeyOf, valueOf } from './secrets.ts';

/** Reads Secrets of the operator's namespace. */
export interface SecretSource {
  readonly lookup: SecretLookup;
  readonly namespace: string;
}

/** A probe must end while somebody looks; a mover has more patience. */
const PROBE_TIMEOUT_MS = 5000;

/** The repository URL of a bucket, below its prefix. Holds no credential. */
export function bucketUrl(s3: S3Settings): string {
  return s3Url(s3, s3.prefix);
}

/** How the operator reaches a bucket, with the given credentials or its own. @throws {PortError} */
export function bucketConnection(s3: S3Settings, secrets: SecretSource, credentials?: S3Credentials): S3Connection {
  return {
    credentials: credentials ?? accessKeyOf(secrets.lookup, s3.credentialsSecretRef.name, secrets.namespace),
    connectTimeoutMs: PROBE_TIMEOUT_MS,
    idleTimeoutMs: PROBE_TIMEOUT_MS,
    ...(s3.caBundle === undefined ? {} : { caBundle: s3.caBundle }),
  };
}

/** A bucket of a location below its prefix, with the given credentials or its own. @throws {PortError} */
export function openBucket(s3: S3Settings, secrets: SecretSource, credentials?: S3Credentials): Promise<ObjectStore> {
  return openStore(bucketUrl(s3), { s3: bucketConnection(s3, secrets, credentials), retry: { attempts: 1 } });
}

/** The location's own. @throws {PortError} */
export function openLocationStore(spec: BackupLocationSpec, secrets: SecretSource, credentials?: S3Credentials): Promise<ObjectStore> {
  return openBucket(spec.s3, secrets, credentials);
}

/** The KMS of a location as the operator or a mover (`moverCredentialsSecretRef`) reaches it. @throws {PortError} */
export async function openKms(kms: KmsSettings, secrets: SecretSource, warn: (message: string) => void): Promise<KmsProvider> {
  if (kms.provider === 'local') {
    const key = valueOf(secrets.lookup, kms.local?.secretRef.name ?? '', 'key', secrets.namespace);
    return openLocalKms({ readKey: () => Promise.resolve(parseLocalKey(Buffer.from(key))), keyId: kms.local?.secretRef.name ?? '', warn });
  }
  const { aws } = kms;
  return openAwsKms({
    keyId: aws?.keyId ?? '',
    region: aws?.region ?? 'us-east-1',
    ...(aws?.endpoint === undefined ? {} : { endpoint: aws.endpoint }),
    ...(aws?.caBundle === undefined ? {} : { caBundle: aws.caBundle }),
    credentials: accessKeyOf(secrets.lookup, aws?.credentialsSecretRef.name ?? '', secrets.namespace),
    connectTimeoutMs: PROBE_TIMEOUT_MS,
    idleTimeoutMs: PROBE_TIMEOUT_MS,
  });
}
