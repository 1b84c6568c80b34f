import type { CallOptions, GetOptions, ListOptions, ObjectBody, ObjectHead, ObjectInfo, ObjectStore, PutOptions } from './object-store.ts';
import { aborted, throwIfAborted } from './object-body.ts';
import type { ObjectVersions } from './object-versions.ts';
import { asFolder } from './object-key.ts';
import { PrefixedStore } from './prefixed-store.ts';

/**
 * The store with at most `maxRequests` calls at a time; more wait in line. Streams and listings are not counted: who holds
 * one open while it makes another call would otherwise wait for itself.
 */
export function limiting(store: ObjectStore, maxRequests: number): ObjectStore {
  return new LimitingStore(store, maxRequests);
}

class LimitingStore implements ObjectStore {
  readonly location: string;
  readonly versions: ObjectVersions | undefined;
  readonly #base: ObjectStore;
  readonly #waiting: (() => void)[] = [];
  #free: number;

  constructor(base: ObjectStore, maxRequests: number) {
    if (!Number.isInteger(maxRequests) || maxRequests < 1) throw new RangeError(`a limit of ${maxRequests} requests lets nothing through`);
    this.#base = base;
    this.#free = maxRequests;
    this.location = base.location;
    this.versions = base.versions === undefined ? undefined : this.#limited(base.versions);
  }

  put(key: string, body: ObjectBody, options: PutOptions = {}): Promise<void> {
    return this.#inTurn(`writing ${key}`, options.signal, () => this.#base.put(key, body, options));
  }

  get(key: string, options: GetOptions = {}): Promise<Uint8Array> {
    return this.#inTurn(`reading ${key}`, options.signal, () => this.#base.get(key, options));
  }

  getStream(key: string, options?: GetOptions): AsyncIterable<Uint8Array> {
    return this.#base.getStream(key, options);
  }

  head(key: string, options: CallOptions = {}): Promise<ObjectHead | undefined> {
    return this.#inTurn(`looking up ${key}`, options.signal, () => this.#base.head(key, options));
  }

  list(prefix: string, options?: ListOptions): AsyncIterable<ObjectInfo> {
    return this.#base.list(prefix, options);
  }

  delete(key: string, options: CallOptions = {}): Promise<void> {
    return this.#inTurn(`deleting ${key}`, options.signal, () => this.#base.delete(key, options));
  }

  deleteMany(keys: readonly string[], options: CallOptions = {}): Promise<void> {
    return this.#inTurn(`deleting ${keys.length} objects`, options.signal, () => this.#base.deleteMany(keys, options));
  }

  within(prefix: string): ObjectStore {
    return asFolder(prefix) === '' ? this : new PrefixedStore(this, prefix);
  }

  close(): Promise<void> {
    return this.#base.close();
  }

  #limited(base: ObjectVersions): ObjectVersions {
    return {
      list: (prefix, options) => base.list(prefix, options),
      get: (key, versionId, options) => this.#inTurn(`reading ${key}`, options?.signal, () => base.get(key, versionId, options)),
      extend: (key, versionId, retention, options) => this.#inTurn(`locking ${key}`, options?.signal, () => base.extend(key, versionId, retention, options)),
      retentionOf: (key, versionId, options) => this.#inTurn(`looking up ${key}`, options?.signal, () => base.retentionOf(key, versionId, options)),
      remove: (key, versionId, options) => this.#inTurn(`removing ${key}`, options?.signal, () => base.remove(key, versionId, options)),
      copyFrom: (source, key, retention, options) => this.#inTurn(`copying ${key}`, options?.signal, () => base.copyFrom(source, key, retention, options)),
      sha256Of: (key, versionId, options) => this.#inTurn(`looking up ${key}`, options?.signal, () => base.sha256Of(key, versionId, options)),
      serviceTime: () => base.serviceTime?.(),
    };
  }

  async #inTurn<T>(doing: string, signal: AbortSignal | undefined, call: () => Promise<T>): Promise<T> {
    throwIfAborted(signal, doing);
    if (this.#free > 0) this.#free -= 1;
    else await this.#wait(doing, signal);
    try {
      return await call();
    } finally {
      // A turn passes straight to who waits longest, so that nobody who comes later slips in between.
      const next = this.#waiting.shift();
      if (next === undefined) this.#free += 1;
      else next();
    }
  }

  #wait(doing: string, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const turn = (): void => {
        signal?.removeEventListener('abort', stop);
        resolve();
      };
      const stop = (): void => {
        const place = this.#waiting.indexOf(turn);
        if (place >= 0) this.#waiting.splice(place, 1);
        reject(aborted(doing, signal?.reason));
      };
      this.#waiting.push(turn);
      signal?.addEventListener('abort', stop, { once: true });
    });
  }
}
