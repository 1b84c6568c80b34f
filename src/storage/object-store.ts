import type { ObjectVersions } from './object-versions.ts';

/**
 * What the engine needs of an object store, whichever it is: S3, a directory, memory. Keys are `/`-separated, relative to
 * the store's root, and never start with a slash. Nothing of ours is ever put twice under one name.
 */
export interface ObjectStore {
  /** For people: `s3://bucket/prefix` or `file:///dir`. Never holds a credential. */
  readonly location: string;

  /**
   * Stores one object, whole or not at all.
   * @throws {StorageError} `AlreadyExists` when `ifAbsent` is set and the key is taken.
   */
  put(key: string, body: ObjectBody, options?: PutOptions): Promise<void>;

  /**
   * Reads an object or `range` of it. Resolves to exactly the bytes asked for.
   * @throws {StorageError} `NotFound`; `Truncated` when fewer bytes come than the range or the object's size promise.
   */
  get(key: string, options?: GetOptions): Promise<Uint8Array>;

  /** Streams an object or a range of it, for what is too large to hold. */
  getStream(key: string, options?: GetOptions): AsyncIterable<Uint8Array>;

  /** `undefined` when there is none. */
  head(key: string, options?: CallOptions): Promise<ObjectHead | undefined>;

  /** Every object whose key starts with `prefix`, in byte order of keys, however many pages that takes. */
  list(prefix: string, options?: ListOptions): AsyncIterable<ObjectInfo>;

  /** Deletes; an absent key is no error. */
  delete(key: string, options?: CallOptions): Promise<void>;

  /** Deletes many in as few calls as the store allows; absent keys are no error. */
  deleteMany(keys: readonly string[], options?: CallOptions): Promise<void>;

  /**
   * Removes what writers that died left unfinished below `prefix` and last touched before that time, where a store has such a thing. It is
   * never listed and nobody's object; whoever still writes touches it.
   */
  removeUnfinished?(prefix: string, before: Date, options?: CallOptions): Promise<void>;

  /** Removes the folders that this very store made for objects and that are empty again, where a store has such a thing: for whoever took back what it put. */
  removeMadeFolders?(): Promise<void>;

  /** Where the store is a bucket that may keep versions. */
  readonly versions?: ObjectVersions | undefined;

  /** A view of this store below `prefix` (which gets a trailing slash where it lacks one). */
  within(prefix: string): ObjectStore;

  /** Releases sockets. */
  close(): Promise<void>;
}

/** One buffer, or several that are written one after the other without being joined. */
export type ObjectBody = Uint8Array | readonly Uint8Array[];

export interface ObjectInfo {
  readonly key: string;
  /** bytes */
  readonly size: number;
  /** When it was stored, by the store's own clock; not every store's listing says it. */
  readonly modifiedAt?: Date | undefined;
  /** In listings of S3: changes with the content, though not with it alone. */
  readonly etag?: string | undefined;
}

export type ObjectHead = ObjectInfo;

export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
}

export interface PutOptions extends CallOptions {
  /** Refuse to write over an existing object (`If-None-Match: *`). */
  readonly ifAbsent?: boolean;
  /** SHA-256 of the body where the caller knows it already, so that it is not computed again. */
  readonly sha256?: Uint8Array;
  /** Object Lock: this version cannot be deleted earlier. Stores that cannot lock refuse it, for a lock that is not there misleads. */
  readonly retention?: Retention;
}

export interface Retention {
  readonly mode: 'COMPLIANCE' | 'GOVERNANCE';
  readonly until: Date;
}

export interface GetOptions extends CallOptions {
  readonly range?: { readonly offset: number; readonly length: number };
}

export interface ListOptions extends CallOptions {
  /** Only keys after this one, in byte order. */
  readonly startAfter?: string;
}
