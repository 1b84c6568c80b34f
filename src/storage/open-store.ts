import type { ObjectStore } from './object-store.ts';
import { FileStore } from './file-store.ts';
import { limiting } from './limiting-store.ts';
import { retrying, type RetryOptions } from './retrying-store.ts';
import type { S3Connection } from './s3/connection.ts';
import { parseStoreUrl } from './store-url.ts';

/** Enough to fill a fast line with packs and ranges, few enough for a small service. */
const MAX_REQUESTS = 32;

export interface OpenStoreOptions {
  /** How to reach S3; what the URL says (endpoint, region, path style) goes first. */
  readonly s3?: S3Connection;
  /** `file://` only: wait for the disk with every object. */
  readonly durable?: boolean;
  /** For `s3://`; a directory is not retried, for its errors do not pass by themselves. */
  readonly retry?: RetryOptions;
}

/**
 * Opens the store that a repository URL names: `file:///dir` or `s3://bucket/prefix?endpoint=…&region=…`. Nothing is
 * read or written yet; the S3 client is loaded only where it is needed, because that takes a quarter of a second.
 * @throws {StorageError} `InvalidUrl`.
 */
export async function openStore(url: string, options: OpenStoreOptions = {}): Promise<ObjectStore> {
  const address = parseStoreUrl(url);
  switch (address.kind) {
    case 'file':
      return new FileStore(address.path, { durable: options.durable ?? false });
    case 's3': {
      const { openS3Store } = await import('./s3/store.ts');
      const limited = limiting(openS3Store(address, options.s3), options.s3?.maxRequests ?? MAX_REQUESTS);
      return retrying(limited, options.retry);
    }
  }
}
