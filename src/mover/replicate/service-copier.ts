import { hash } from 'node:crypto';
import { StorageError, type CopySource, type ObjectVersions, type Retention } from '../../storage/index.ts';
import { promisedHash } from '../content-name.ts';
import { nameInGeneration } from './tenant-keys.ts';

/** What S3 copies in one request. */
const MOST_BYTES = 5 * 2 ** 30;

/**
 * - `sound`: its bytes have the SHA-256 that its name says
 * - `unsound`: they have another; that version stays where it is, locked, and nobody counts it
 * - `refused`: nothing was copied
 */
export type ServiceCopied = { readonly what: 'sound' | 'refused' } | { readonly what: 'unsound'; readonly versionId: string };

export interface ServiceCopyRequest {
  readonly tenant: string;
  /** Below the tenant's prefix. */
  readonly key: string;
  readonly retention: Retention;
  readonly signal: AbortSignal;
}

/**
 * Lets the service that has both buckets copy between them (decision 29). Only what is named by its content, for only of that it can be told whether the copy is
 * what it should be. A service that refuses once is not asked again in this run.
 */
export class ServiceCopier {
  readonly #source: CopySource;
  readonly #onRefused: (message: string) => void;
  #refusal: string | undefined;
  #hasCopied = false;

  /**
   * @param source - `key`: where the tenants lie in the first bucket, `<prefix>/tenants`
   * @param onRefused - told once, why objects go through the worker after all
   */
  constructor(source: CopySource, onRefused: (message: string) => void) {
    this.#source = source;
    this.#onRefused = onRefused;
  }

  /** Why objects go through the worker after all; `undefined` as long as they do not. */
  get refusal(): string | undefined {
    return this.#refusal;
  }

  /** Whether such an object is left to the service. */
  takes({ key, size }: { readonly key: string; readonly size: number }): boolean {
    return this.#refusal === undefined && size <= MOST_BYTES && promisedHash(nameInGeneration(key)) !== undefined;
  }

  /** @param replica - at `<prefix>/tenants/` of the second bucket */
  async copy(replica: ObjectVersions, { tenant, key, retention, signal }: ServiceCopyRequest): Promise<ServiceCopied> {
    if (this.#refusal !== undefined) return { what: 'refused' };
    const { bucket, key: tenants } = this.#source;
    const path = `${tenant}/${key}`;
    try {
      const { versionId, sha256 } = await replica.copyFrom({ bucket, key: `${tenants}/${path}` }, path, retention, { signal });
      this.#hasCopied = true;
      if (sha256 === undefined) this.#refuse('the service does not say which SHA-256 its copies have');
      return (await isSound(replica, { path, key, versionId, sha256 }, signal)) ? { what: 'sound' } : { what: 'unsound', versionId };
    } catch (error) {
      if (!(error instanceof StorageError) || error.retryable || error.code === 'Aborted') throw error;
      // One that is gone since it was listed is no refusal.
      if (error.code !== 'NotFound' || !this.#hasCopied) this.#refuse(error.message);
      return { what: 'refused' };
    }
  }

  #refuse(why: string): void {
    if (this.#refusal !== undefined) return;
    this.#refusal = `Objects go through the worker, for the service does not copy them out of bucket ${this.#source.bucket} by itself: ${why}`;
    this.#onRefused(this.#refusal);
  }
}

export interface StoredVersion {
  /** Below `<prefix>/tenants/`. */
  readonly path: string;
  /** Below the tenant's prefix. */
  readonly key: string;
  readonly versionId: string;
  /** As the service told it already. */
  readonly sha256?: string | undefined;
}

/** Whether a version is what its name says: by the hash that the service computed, or, where it keeps none, by reading it. */
export async function isSound(replica: ObjectVersions, { path, key, versionId, sha256 }: StoredVersion, signal: AbortSignal): Promise<boolean> {
  const promised = promisedHash(nameInGeneration(key));
  if (promised === undefined) return true;
  const told = sha256 ?? (await replica.sha256Of(path, versionId, { signal }));
  return (told ?? hash('sha256', await replica.get(path, versionId, { signal }), 'hex')) === promised;
}
