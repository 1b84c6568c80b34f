import { setTimeout as sleep } from 'node:timers/promises';
import type { CallOptions, GetOptions, ListOptions, ObjectBody, ObjectHead, ObjectInfo, ObjectStore, PutOptions } from './object-store.ts';
import { StorageError } from './errors.ts';
import { aborted, bodyParts, bodySize } from './object-body.ts';
import type { ObjectVersions, VersionedObject } from './object-versions.ts';
import { asFolder } from './object-key.ts';
import { PrefixedStore } from './prefixed-store.ts';

export interface RetryOptions {
  /** Tries in all, the first included. */
  readonly attempts?: number;
  /** Upper bound of the first pause; it doubles with each try. Milliseconds. */
  readonly baseDelayMs?: number;
  readonly maxDelayMs?: number;
  /**
   * How long to go on trying, beyond `attempts`, once the store has answered: a service that is started anew may take minutes, and hours of work
   * are not given up for that. A store that never answered is more likely a wrong address. Milliseconds; none where absent.
   */
  readonly patienceMs?: number;
  /**
   * A store that never answered is given up after so long, however few tries that were: where nothing comes back at all, each one takes
   * as long as its timeout. Milliseconds.
   */
  readonly unansweredMs?: number;
  /** Milliseconds, monotonic; for tests. */
  readonly now?: () => number;
  /** In [0, 1); for tests. */
  readonly random?: () => number;
  /** Told of each answer about an object, and of each piece of one; of many objects, the first. */
  readonly onAnswer?: (key: string) => void;
  /** Told before each pause. */
  readonly onRetry?: (retry: { readonly doing: string; readonly attempt: number; readonly delayMs: number; readonly error: StorageError }) => void;
}

/** How often a call was tried, and since when without success. */
interface Tries {
  attempt: number;
  since: number;
}

const DEFAULTS = { attempts: 8, baseDelayMs: 100, maxDelayMs: 10_000, patienceMs: 0, unansweredMs: 45_000 };

/** Where a web page answers and the store itself never did, the address is wrong; the second try is for a proxy that is being started anew. */
const STRANGER_ATTEMPTS = 2;

/** The store with what failed for a passing reason (`retryable`) tried again after a random pause (full jitter). */
export function retrying(store: ObjectStore, options: RetryOptions = {}): ObjectStore {
  return new RetryingStore(store, options);
}

class RetryingStore implements ObjectStore {
  readonly location: string;
  readonly versions: ObjectVersions | undefined;
  readonly #base: ObjectStore;
  #hasAnswered = false;
  readonly #options: Required<Omit<RetryOptions, 'onRetry' | 'onAnswer'>> & Pick<RetryOptions, 'onRetry' | 'onAnswer'>;

  constructor(base: ObjectStore, options: RetryOptions) {
    this.#base = base;
    this.#options = { random: Math.random, now: () => performance.now(), ...DEFAULTS, ...options };
    this.location = base.location;
    this.versions = base.versions === undefined ? undefined : this.#retryingVersions(base.versions);
  }

  put(key: string, body: ObjectBody, options: PutOptions = {}): Promise<void> {
    return this.#retry(`writing ${key}`, key, options.signal, async (attempt) => {
      try {
        await this.#base.put(key, body, options);
      } catch (error) {
        // A first try may have arrived although its answer was lost: then the name is taken by our own bytes.
        const maybeOurs = attempt > 1 && error instanceof StorageError && error.code === 'AlreadyExists';
        if (!(maybeOurs && (await this.#holds(key, body, options)))) throw error;
      }
    });
  }

  get(key: string, options: GetOptions = {}): Promise<Uint8Array> {
    return this.#retry(`reading ${key}`, key, options.signal, () => this.#base.get(key, options));
  }

  /** Goes on after the last byte that came; an object of ours never changes, so the pieces fit. */
  async *getStream(key: string, options: GetOptions = {}): AsyncIterable<Uint8Array> {
    const end = options.range === undefined ? undefined : options.range.offset + options.range.length;
    let offset = options.range?.offset ?? 0;
    const tries = this.#tries();
    for (;;) {
      const before = offset;
      try {
        const rest = offset === (options.range?.offset ?? 0) ? options : await this.#rest(key, offset, end, options);
        if (rest === undefined) return;
        for await (const chunk of this.#base.getStream(key, rest)) {
          offset += chunk.byteLength;
          this.#options.onAnswer?.(key);
          yield chunk;
        }
        return;
      } catch (error) {
        if (offset > before) this.#gotOn(tries);
        await this.#pauseOrThrow(error, `reading ${key}`, tries, options.signal);
      }
    }
  }

  head(key: string, options: CallOptions = {}): Promise<ObjectHead | undefined> {
    return this.#retry(`looking up ${key}`, key, options.signal, () => this.#base.head(key, options));
  }

  list(prefix: string, options: ListOptions = {}): AsyncIterable<ObjectInfo> {
    return this.#listAgain(`listing ${prefix}`, options, (from) => this.#base.list(prefix, from));
  }

  /** Goes on after the last name that came. */
  async *#listAgain<T extends { readonly key: string }>(doing: string, options: ListOptions, list: (from: ListOptions) => AsyncIterable<T>): AsyncIterable<T> {
    let startAfter = options.startAfter;
    const tries = this.#tries();
    for (;;) {
      try {
        const from = startAfter === undefined ? options : { ...options, startAfter };
        for await (const info of list(from)) {
          startAfter = info.key;
          this.#gotOn(tries);
          this.#options.onAnswer?.(info.key);
          yield info;
        }
        return;
      } catch (error) {
        await this.#pauseOrThrow(error, doing, tries, options.signal);
      }
    }
  }

  delete(key: string, options: CallOptions = {}): Promise<void> {
    return this.#retry(`deleting ${key}`, key, options.signal, () => this.#base.delete(key, options));
  }

  deleteMany(keys: readonly string[], options: CallOptions = {}): Promise<void> {
    return this.#retry(`deleting ${keys.length} objects`, keys[0] ?? '', options.signal, () => this.#base.deleteMany(keys, options));
  }

  within(prefix: string): ObjectStore {
    return asFolder(prefix) === '' ? this : new PrefixedStore(this, prefix);
  }

  close(): Promise<void> {
    return this.#base.close();
  }

  #retryingVersions(base: ObjectVersions): ObjectVersions {
    return {
      list: (prefix, options = {}): AsyncIterable<VersionedObject> => this.#listAgain(`listing versions of ${prefix}`, options, (from) => base.list(prefix, from)),
      get: (key, versionId, options) => this.#retry(`reading ${key}`, key, options?.signal, () => base.get(key, versionId, options)),
      extend: (key, versionId, retention, options) => this.#retry(`extending the lock of ${key}`, key, options?.signal, () => base.extend(key, versionId, retention, options)),
      retentionOf: (key, versionId, options) => this.#retry(`looking up the lock of ${key}`, key, options?.signal, () => base.retentionOf(key, versionId, options)),
      remove: (key, versionId, options) => this.#retry(`removing a version of ${key}`, key, options?.signal, () => base.remove(key, versionId, options)),
      copyFrom: (source, key, retention, options) => this.#retry(`copying ${key}`, key, options?.signal, () => base.copyFrom(source, key, retention, options)),
      sha256Of: (key, versionId, options) => this.#retry(`looking up the hash of ${key}`, key, options?.signal, () => base.sha256Of(key, versionId, options)),
      serviceTime: () => base.serviceTime?.(),
    };
  }

  async #retry<T>(doing: string, key: string, signal: AbortSignal | undefined, call: (attempt: number) => Promise<T>): Promise<T> {
    const tries = this.#tries();
    for (;;) {
      try {
        const result = await call(tries.attempt);
        this.#hasAnswered = true;
        this.#options.onAnswer?.(key);
        return result;
      } catch (error) {
        await this.#pauseOrThrow(error, doing, tries, signal);
      }
    }
  }

  async #pauseOrThrow(error: unknown, doing: string, tries: Tries, signal: AbortSignal | undefined): Promise<void> {
    const { attempts, baseDelayMs, maxDelayMs, random, onRetry } = this.#options;
    const { attempt } = tries;
    if (!(error instanceof StorageError) || !error.retryable) throw error;
    if (attempt >= attempts && !this.#hasPatience(tries)) throw error;
    if (!this.#hasAnswered && error.isStranger && attempt >= STRANGER_ATTEMPTS) throw error;
    if (!this.#hasAnswered && this.#options.now() - tries.since >= this.#options.unansweredMs) throw error;
    const delayMs = Math.ceil(random() * Math.min(maxDelayMs, baseDelayMs * 2 ** (attempt - 1)));
    onRetry?.({ doing, attempt, delayMs, error });
    try {
      await sleep(delayMs, undefined, signal === undefined ? {} : { signal });
    } catch (reason) {
      throw aborted(doing, reason);
    }
    tries.attempt += 1;
  }

  #tries(): Tries {
    return { attempt: 1, since: this.#options.now() };
  }

  /** Something came: what fails now is counted anew. */
  #gotOn(tries: Tries): void {
    this.#hasAnswered = true;
    tries.attempt = 1;
    tries.since = this.#options.now();
  }

  #hasPatience({ since }: Tries): boolean {
    return this.#hasAnswered && this.#options.now() - since < this.#options.patienceMs;
  }

  /** The options for what is still to come from `offset` on; `undefined` when nothing is. */
  async #rest(key: string, offset: number, end: number | undefined, options: GetOptions): Promise<GetOptions | undefined> {
    const stop = end ?? (await this.#base.head(key, options))?.size ?? offset;
    return stop > offset ? { ...options, range: { offset, length: stop - offset } } : undefined;
  }

  async #holds(key: string, body: ObjectBody, options: CallOptions): Promise<boolean> {
    const info = await this.#base.head(key, options);
    if (info?.size !== bodySize(body)) return false;
    return Buffer.concat(bodyParts(body)).equals(await this.#base.get(key, options));
  }
}
