import type { ObjectStore } from './object-store.ts';
import type { S3Connection } from './s3-connection.ts';
import type { S3Address } from './store-url.ts';
import { StorageError } from './errors.ts';
export function openS3Store(address: S3Address, _connection: S3Connection = {}): ObjectStore {
  throw new StorageError('Unavailable', `s3://${address.bucket} cannot be opened yet`, { retryable: false });
}
