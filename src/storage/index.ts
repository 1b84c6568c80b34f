/**
 * Object stores behind one interface: S3, a directory, memory, and decorators that retry, limit and count.
 * Lower layers: none. The engine (`restic/`), `keys/` and `mover/` stand on this; nothing here knows what the bytes mean.
 */
export type { CallOptions, GetOptions, ListOptions, ObjectBody, ObjectHead, ObjectInfo, ObjectStore, PutOptions, Retention } from './object-store.ts';
export { versionsWithin, type CopiedVersion, type CopySource, type ObjectVersion, type ObjectVersions, type VersionedObject } from './object-versions.ts';
export { StorageError, type StorageErrorCode, type StorageErrorOptions } from './errors.ts';
export { assertKey, compareKeys } from './object-key.ts';
export { isErrno } from './file-errors.ts';
export { firstSoundVersion, type SoundVersion } from './first-sound-version.ts';
export { firstKey } from './first-key.ts';
export { PrefixedStore } from './prefixed-store.ts';
export { MemoryStore } from './memory-store.ts';
export { FileStore, type FileStoreOptions } from './file-store.ts';
export { makeFolders } from './make-folders.ts';
export { openStore, type OpenStoreOptions } from './open-store.ts';
export { parseEndpoint, parseStoreUrl, s3Url, type FileAddress, type S3Address, type S3Place, type StoreAddress } from './store-url.ts';
export { retrying, type RetryOptions } from './retrying-store.ts';
export type { S3Connection, S3CredentialProvider, S3Credentials } from './s3/connection.ts';
export { limiting } from './limiting-store.ts';
export { canonicalJson, parseCanonicalJson } from './canonical-json.ts';
export { describeFailure, isSpokenError, networkFailureOf, type NetworkFailure } from './network-failures.ts';
export { RenewingCredentials } from './renewing-credentials.ts';
export type { HttpOptions } from './request-handler.ts';
export { tenantPrefix, tenantSessionPolicy, workerSessionPolicy, type LocationPlace, type PolicyDocument, type PolicyStatement } from './session-policy.ts';
export type { LockProof, LockProofErrorCode, LockProofRequest } from './s3/lock-proof.ts';
export { proveObjectLock } from './prove-object-lock.ts';
export { mintSession, type SessionCredentials, type SessionRequest } from './sts.ts';
