/**
 * Object stores behind one interface: S3, a directory, memory, and decorators that retry, limit and count.
 * Lower layers: none. The engine (`restic/`), `keys/` and `mover/` stand on this; nothing here knows what the bytes mean.
 */
export type { CallOptions, GetOptions, ListOptions, ObjectBody, ObjectInfo, ObjectStore, PutOptions } from './object-store.ts';
export { StorageError, type StorageErrorCode, type StorageErrorOptions } from './errors.ts';
