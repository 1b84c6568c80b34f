/**
 * Secret keys: their written form, wrapping under a KMS, and the first moment of a generation. Stands beside `restic/` on
 * `storage/`. Plaintext keys live in the caller's buffers only, who wipes them; no error, no object and no log holds one.
 */
export { KeyError, type KeyErrorCode, type KeyErrorOptions } from './errors.ts';
export { generateSecretKey, looksLikeSecretKey, passwordFrom, readSecretKey, SECRET_KEY_BYTES, writeSecretKey } from './secret-key.ts';
export { tenantContext, type TenantContext } from './tenant-context.ts';
export type { KmsProvider, UnwrapOptions, Wrapped } from './kms-provider.ts';
export { openAwsKms, type AwsKmsOptions } from './aws-kms.ts';
export { LOCAL_KMS_WARNING, openLocalKms, parseLocalKey, readLocalKeyFile, type LocalKmsOptions } from './local-kms.ts';
export { decodeFirstWrappings, decodeWrapping, encodeWrapping, FirstWrappings, Wrapping, WRAPPING_VERSION } from './wrapping.ts';
export { readWrappings, wrappingKey, type NamedWrapping } from './wrappings-folder.ts';
export { ensureGenerationKey, type GenerationKey } from './first.ts';
export { rewrapGenerationKey, type Rewrapped } from './rewrap.ts';
export { unwrapGenerationKey, unwrapRepositoryKey, type KeyIdentity } from './unwrap.ts';
export { tenantKmsPolicy } from './session-policy.ts';
export { probeKms, type KmsProbe } from './probe.ts';
