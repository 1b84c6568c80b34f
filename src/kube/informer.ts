import { setTimeout as sleep } from 'node:timers/promises';
import type { Query } from './connection.ts';
import { isKubeError, KubeError } from './errors.ts';
import type { ResourceClient, Selector } from './resource-client.ts';
import { collectionPath, type KubeObject } from './resource-type.ts';
import { SharedStrings } from './shared-strings.ts';

/** How long until an optional kind that the cluster lacks is looked for again. */
const ABSENT_LOOK_MS = 15_000;
/** The server ends a watch after this long, jittered, so that a half-open connection cannot fool us for ever. */
const WATCH_SECONDS = { least: 240, spread: 120 };
/** For all of a kind in one answer. */
const STREAM_SECONDS = 1200;
const BACKOFF_MS = { first: 200, most: 15_000 };

export interface InformerEvent<T> {
  readonly type: 'added' | 'modified' | 'deleted';
  readonly object: T;
}

export interface InformerOptions<T> extends Selector {
  /** What is kept of each object; `metadata.managedFields` is dropped before. */
  readonly project?: (object: T) => T;
  /** Named keys to look objects up by. */
  readonly indexes?: Readonly<Record<string, (object: T) => readonly string[]>>;
  readonly onError?: (error: unknown) => void;
  /** The cluster may lack the kind: until its CRD appears the cache is empty, which is no error. */
  readonly optional?: boolean;
}

/** `namespace/name`, or `name` in no namespace. */
export function keyOf(object: KubeObject): string {
  const { namespace, name } = object.metadata;
  return namespace === undefined ? name : `${namespace}/${name}`;
}

/**
 * A cache of one kind that survives: it lists, watches from there, and begins again after an expired version, a broken
 * connection or a server that is away. Listeners hear what changed, also what changed while it was blind.
 */
export class Informer<T extends KubeObject> {
  readonly #client: ResourceClient<T>;
  readonly #options: InformerOptions<T>;
  readonly #objects = new Map<string, T>();
  readonly #indexes = new Map<string, Map<string, Set<string>>>();
  readonly #listeners: ((event: InformerEvent<T>) => void)[] = [];
  readonly #strings = new SharedStrings();
  /** UIDs of what was forgotten and the watch has not told the end of yet. */
  readonly #forgotten = new Set<string>();
  #absent = false;
  /** How far the watch has told; undefined while a listing is under way. */
  #version: string | undefined;
  readonly #synced = Promise.withResolvers<undefined>();

  constructor(client: ResourceClient<T>, options: InformerOptions<T> = {}) {
    this.#client = client;
    this.#options = options;
    for (const name of Object.keys(options.indexes ?? {})) this.#indexes.set(name, new Map());
  }

  /** Resolves once the first listing is in. */
  get synced(): Promise<undefined> {
    return this.#synced.promise;
  }

  /** Whether the cluster lacks the kind. */
  get absent(): boolean {
    return this.#absent;
  }

  get size(): number {
    return this.#objects.size;
  }

  listen(listener: (event: InformerEvent<T>) => void): void {
    this.#listeners.push(listener);
  }

  get(name: string, namespace?: string): T | undefined {
    return this.#objects.get(namespace === undefined ? name : `${namespace}/${name}`);
  }

  list(): T[] {
    return [...this.#objects.values()];
  }

  /** Objects that the index `name` has under `value`. */
  byIndex(name: string, value: string): T[] {
    const keys = this.#indexes.get(name)?.get(value) ?? [];
    return [...keys].flatMap((key) => this.#objects.get(key) ?? []);
  }

  /** How many those are. */
  countOf(name: string, value: string): number {
    return this.#indexes.get(name)?.get(value)?.size ?? 0;
  }

  /**
   * Takes in what the server answered to a write of our own, so that the next decision does not see the state before it. What is
   * older than the cache is ignored. An object that is not known may have been made and deleted since: one that is newer than
   * what the watch has told is told of by it yet, its deletion too.
   */
  remember(object: T): void {
    const known = this.#objects.get(keyOf(object));
    const seen = known === undefined ? this.#version : known.metadata.resourceVersion;
    if (seen !== undefined && compareVersions(object.metadata.resourceVersion, seen) > 0) this.#put(object);
  }

  /** Drops what the server said that a deletion of our own removed at once. What the watch still tells of it is of before; a UID does not come again. */
  forget({ metadata }: T): void {
    const key = keyOf({ metadata });
    if (this.#objects.get(key)?.metadata.uid !== metadata.uid) return;
    this.#forgotten.add(metadata.uid);
    this.#drop(key);
  }

  /** Runs until the signal fires. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    let failures = 0;
    let streams = false;
    for (;;) {
      let listing = true;
      try {
        this.#version = undefined;
        // What is gone already is not in a listing that begins now.
        this.#forgotten.clear();
        let version = await (streams ? this.#stream(signal) : this.#relist(signal));
        this.#version = version;
        listing = false;
        this.#absent = false;
        this.#synced.resolve(undefined);
        failures = 0;
        for (;;) {
          const startedAt = performance.now();
          version = await this.#watch(version, signal);
          // A server or proxy that ends each watch at once must not be asked in a tight loop.
          if (performance.now() - startedAt < 1000) await sleep(BACKOFF_MS.first, undefined, { signal });
        }
      } catch (error) {
        if (signal.aborted) return;
        if (this.#options.optional === true && isKubeError(error, 'NotFound')) {
          this.#becomeAbsent();
          await sleep(ABSENT_LOOK_MS, undefined, { signal }).catch(() => undefined);
        } else if (listing && !streams && isKubeError(error, 'Expired')) {
          // A slow server forgot the version of the listing before its last page, and would again: from page to page it never ends.
          streams = true;
        } else if (!isKubeError(error, 'Expired')) {
          streams = false;
          this.#options.onError?.(error);
          const pause = Math.min(BACKOFF_MS.most, BACKOFF_MS.first * 2 ** failures) * (0.5 + Math.random() / 2);
          failures += 1;
          await sleep(pause, undefined, { signal }).catch(() => undefined);
        }
      }
    }
  }

  #becomeAbsent(): void {
    this.#absent = true;
    this.#version = undefined;
    for (const key of [...this.#objects.keys()]) this.#drop(key);
    this.#synced.resolve(undefined);
  }

  async #relist(signal: AbortSignal): Promise<string> {
    const gone = new Set(this.#objects.keys());
    let resourceVersion = '';
    // Page by page: all of them at once, as the server tells them, are twice as much as what is kept.
    for await (const page of this.#client.pages(this.#options, signal)) {
      for (const item of page.items) {
        gone.delete(keyOf(item));
        this.#put(item);
      }
      ({ resourceVersion } = page);
    }
    for (const key of gone) this.#drop(key);
    return resourceVersion;
  }

  /** The same as `#relist`, in one request whose answer has no pages (Kubernetes KEP-3157). */
  async #stream(signal: AbortSignal): Promise<string> {
    const gone = new Set(this.#objects.keys());
    const limit = AbortSignal.any([signal, AbortSignal.timeout(STREAM_SECONDS * 1000)]);
    const query = { sendInitialEvents: 'true', resourceVersionMatch: 'NotOlderThan', timeoutSeconds: String(STREAM_SECONDS) };
    for await (const { type, object } of this.#events(query, signal, limit)) {
      if (type === 'BOOKMARK') {
        if (object.metadata.annotations?.['k8s.io/initial-events-end'] !== 'true') continue;
        for (const key of gone) this.#drop(key);
        return object.metadata.resourceVersion;
      }
      gone.delete(keyOf(object));
      if (type === 'DELETED') this.#drop(keyOf(object), object);
      else this.#put(object);
    }
    throw new KubeError('Unavailable', `the listing of ${this.#client.type.plural} ended before its end`);
  }

  /** @returns the version to go on from when the server ended the watch in good order */
  async #watch(from: string, signal: AbortSignal): Promise<string> {
    let version = from;
    const seconds = WATCH_SECONDS.least + Math.floor(Math.random() * WATCH_SECONDS.spread);
    // Half a minute of grace for the server's own end; past it the connection is dead.
    const limit = AbortSignal.any([signal, AbortSignal.timeout((seconds + 30) * 1000)]);
    for await (const { type, object } of this.#events({ resourceVersion: version, timeoutSeconds: String(seconds) }, signal, limit)) {
      version = object.metadata.resourceVersion;
      if (type === 'DELETED') this.#drop(keyOf(object), object);
      else if (type !== 'BOOKMARK') this.#put(object);
      this.#version = version;
    }
    return version;
  }

  async *#events(query: Query, signal: AbortSignal, limit: AbortSignal): AsyncGenerator<{ readonly type: string; readonly object: T }> {
    const { labelSelector, fieldSelector, namespace } = this.#options;
    const lines = this.#client.connection.lines(collectionPath(await this.#client.servedType(signal), namespace), {
      query: { watch: 'true', allowWatchBookmarks: 'true', ...query, labelSelector, fieldSelector },
      signal: limit,
    });
    for await (const line of lines) {
      const { type, object } = JSON.parse(line) as { type: string; object: T & { code?: number; message?: string } };
      if (type === 'ERROR') {
        throw new KubeError(object.code === 410 ? 'Expired' : 'Unavailable', `the watch of ${this.#client.type.plural} ended: ${object.message ?? 'no reason given'}`);
      }
      yield { type, object };
    }
  }

  #put(raw: T): void {
    if (this.#forgotten.has(raw.metadata.uid)) return;
    const object = this.#slim(raw);
    const key = keyOf(object);
    const known = this.#objects.get(key);
    if (known?.metadata.uid === object.metadata.uid && compareVersions(object.metadata.resourceVersion, known.metadata.resourceVersion) <= 0) return;
    // Deleted and made again while we were blind: two events, or finalizing work of the first is missed.
    if (known && known.metadata.uid !== object.metadata.uid) this.#drop(key);
    const before = this.#objects.get(key);
    if (before) this.#unindex(key, before);
    this.#objects.set(key, object);
    this.#index(key, object);
    this.#tell({ type: before ? 'modified' : 'added', object });
  }

  #drop(key: string, last?: T): void {
    if (last !== undefined) this.#forgotten.delete(last.metadata.uid);
    const known = this.#objects.get(key);
    // The watch may tell of the end of one that another of its name has followed since.
    if (known === undefined || (last !== undefined && last.metadata.uid !== known.metadata.uid)) return;
    this.#unindex(key, known);
    this.#objects.delete(key);
    this.#tell({ type: 'deleted', object: last ? this.#slim(last) : known });
  }

  #slim(object: T): T {
    const metadata: T['metadata'] & { managedFields?: unknown } = { ...object.metadata };
    delete metadata.managedFields;
    const slim = { ...object, metadata };
    return this.#strings.share(this.#options.project ? this.#options.project(slim) : slim);
  }

  #index(key: string, object: T): void {
    for (const [name, valuesOf] of Object.entries(this.#options.indexes ?? {})) {
      const index = this.#indexes.get(name);
      for (const value of valuesOf(object)) {
        const keys = index?.get(value);
        if (keys) keys.add(key);
        else index?.set(value, new Set([key]));
      }
    }
  }

  #unindex(key: string, object: T): void {
    for (const [name, valuesOf] of Object.entries(this.#options.indexes ?? {})) {
      const index = this.#indexes.get(name);
      for (const value of valuesOf(object)) {
        const keys = index?.get(value);
        keys?.delete(key);
        if (keys?.size === 0) index?.delete(value);
      }
    }
  }

  #tell(event: InformerEvent<T>): void {
    for (const listener of this.#listeners) listener(event);
  }
}

/** Versions of one kind are decimal numbers that grow (Kubernetes KEP-5504). */
export function compareVersions(a: string, b: string): number {
  return a.length === b.length ? (a < b ? -1 : a > b ? 1 : 0) : a.length - b.length;
}
