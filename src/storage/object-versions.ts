import type { CallOptions, GetOptions, ListOptions, Retention } from './object-store.ts';

/** What lies under one name in a versioned bucket. */
export interface VersionedObject {
  readonly key: string;
  /** Oldest first. Empty where nothing but delete markers is left. */
  readonly versions: readonly ObjectVersion[];
  /** Version ids of delete markers. */
  readonly markers: readonly string[];
  /** A delete marker is the newest: whoever reads without versions finds nothing. */
  readonly isHidden: boolean;
}

export interface ObjectVersion {
  readonly versionId: string;
  /** bytes */
  readonly size: number;
  /** When it was stored, by the store's own clock. */
  readonly modifiedAt?: Date | undefined;
}

/** An object of another bucket of the same service. */
export interface CopySource {
  readonly bucket: string;
  /** The whole key there. */
  readonly key: string;
}

/** A version that the service made by itself. */
export interface CopiedVersion {
  readonly versionId: string;
  /** Of its bytes, as the service computed it while it copied, in hex; `undefined` where it does not say. */
  readonly sha256: string | undefined;
}

/** The versions of a bucket that keeps them, and their locks. What was put first under a name stays readable, whatever is put or deleted on top. */
export interface ObjectVersions {
  /** Every name below `prefix` that has versions or delete markers, in byte order, each once. */
  list(prefix: string, options?: ListOptions): AsyncIterable<VersionedObject>;

  /** @throws {StorageError} `NotFound`, `Truncated` */
  get(key: string, versionId: string, options?: GetOptions): Promise<Uint8Array>;

  /**
   * Moves the end of a version's lock to a later time, or locks it.
   * @param versionId the newest where absent
   * @throws {StorageError} `Locked` where it would be earlier; `NotFound`
   */
  extend(key: string, versionId: string | undefined, retention: Retention, options?: CallOptions): Promise<void>;

  /** `undefined` where the version has no lock. */
  retentionOf(key: string, versionId: string | undefined, options?: CallOptions): Promise<Retention | undefined>;

  /**
   * Removes a version or a delete marker for good; one that is not there is no error.
   * @throws {StorageError} `Locked` or `AccessDenied` while it is locked.
   */
  remove(key: string, versionId: string, options?: CallOptions): Promise<void>;

  /**
   * Lets the service make a version by itself, of an object of another of its buckets that this store's principal may read, under a lock. What is there stays
   * beneath it: no service here refuses a name that is taken.
   * @throws {StorageError} `NotFound`, `AccessDenied`, `BucketMissing`; `Unsupported`
   */
  copyFrom(source: CopySource, key: string, retention: Retention, options?: CallOptions): Promise<CopiedVersion>;

  /** The SHA-256 that the service computed of a version when that was stored, in hex; `undefined` where it kept none. */
  sha256Of(key: string, versionId: string, options?: CallOptions): Promise<string | undefined>;

  /** What the clock of the service shows by which locks end, milliseconds since the epoch; `undefined` before it has answered anything, or where it does not tell. */
  serviceTime?(): number | undefined;
}

/** The versions below `prefix` (with its trailing slash). */
export function versionsWithin(base: ObjectVersions, prefix: string): ObjectVersions {
  return {
    async *list(below, options) {
      const from = options?.startAfter === undefined ? options : { ...options, startAfter: prefix + options.startAfter };
      for await (const object of base.list(prefix + below, from)) yield { ...object, key: object.key.slice(prefix.length) };
    },
    get: (key, versionId, options) => base.get(prefix + key, versionId, options),
    extend: (key, versionId, retention, options) => base.extend(prefix + key, versionId, retention, options),
    retentionOf: (key, versionId, options) => base.retentionOf(prefix + key, versionId, options),
    remove: (key, versionId, options) => base.remove(prefix + key, versionId, options),
    copyFrom: (source, key, retention, options) => base.copyFrom(source, prefix + key, retention, options),
    sha256Of: (key, versionId, options) => base.sha256Of(prefix + key, versionId, options),
    serviceTime: () => base.serviceTime?.(),
  };
}
