import { EngineError } from '../restic/errors.ts';
import { firstSoundVersion, PrefixedStore, StorageError, type CallOptions, type GetOptions, type ListOptions, type ObjectBody, type ObjectHead, type ObjectInfo, type ObjectStore, type ObjectVersion, type ObjectVersions, type PutOptions, type VersionedObject } from '../storage/index.ts';
import { hasPromisedContent } from './content-name.ts';
import { decodeManifest } from './manifest.ts';

/** What is written and deleted in a replica as well, and never locked: whoever reads it wants the newest. */
const PASSING = /(?:^|\/)(?:locks|results|prune|imports|ledger)\//;
const GENERATION = /^(?:.*\/)?g[1-9][0-9]*\//;

/**
 * Reads a bucket with Object Lock as it was written: delete markers are not seen, and of several versions under one name the oldest counts whose content is
 * what the name says (`docs/layout.md`, "Reading a locked bucket"). Nothing but locks and results is written.
 * @throws {StorageError} `Unsupported` where the store keeps no versions
 */
export function readingFirstVersions(store: ObjectStore): ObjectStore {
  const { versions } = store;
  if (versions === undefined) throw new StorageError('Unsupported', `${store.location} keeps no versions, so it is no replica; read it without --from-replica`, { retryable: false });
  return new FirstVersions(store, versions);
}

class FirstVersions implements ObjectStore {
  readonly location: string;
  readonly #base: ObjectStore;
  readonly #versions: ObjectVersions;
  /** Names that somebody wrote over or deleted; few, or none. Listed once, when the first object is read. */
  #touched: Promise<ReadonlyMap<string, VersionedObject>> | undefined;
  readonly #chosen = new Map<string, Promise<ObjectVersion | undefined>>();

  constructor(base: ObjectStore, versions: ObjectVersions) {
    this.#base = base;
    this.#versions = versions;
    this.location = base.location;
  }

  async put(key: string, body: ObjectBody, options?: PutOptions): Promise<void> {
    this.#refuseUnlessPassing(key);
    await this.#base.put(key, body, options);
  }

  async get(key: string, options: GetOptions = {}): Promise<Uint8Array> {
    const touched = await this.#touchedObject(key, options);
    if (touched === undefined) return this.#base.get(key, options);
    const version = await this.#firstSound(touched, options);
    if (version === undefined) return this.#base.get(key, options);
    return this.#versions.get(key, version.versionId, options);
  }

  async *getStream(key: string, options: GetOptions = {}): AsyncIterable<Uint8Array> {
    if ((await this.#touchedObject(key, options)) === undefined) yield* this.#base.getStream(key, options);
    else yield await this.get(key, options);
  }

  async head(key: string, options: CallOptions = {}): Promise<ObjectHead | undefined> {
    const touched = await this.#touchedObject(key, options);
    if (touched === undefined) return this.#base.head(key, options);
    const version = await this.#firstSound(touched, options);
    return version === undefined ? undefined : { key, size: version.size, modifiedAt: version.modifiedAt };
  }

  async *list(prefix: string, options: ListOptions = {}): AsyncIterable<ObjectInfo> {
    if (PASSING.test(prefix)) {
      yield* this.#base.list(prefix, options);
      return;
    }
    for await (const object of this.#versions.list(prefix, options)) {
      if (PASSING.test(object.key)) {
        const newest = object.versions.at(-1);
        if (newest !== undefined && !object.isHidden) yield { key: object.key, size: newest.size, modifiedAt: newest.modifiedAt };
        continue;
      }
      const version = isTouched(object) ? await this.#firstSound(object, options) : object.versions[0];
      if (version !== undefined) yield { key: object.key, size: version.size, modifiedAt: version.modifiedAt };
    }
  }

  async delete(key: string, options?: CallOptions): Promise<void> {
    this.#refuseUnlessPassing(key);
    await this.#base.delete(key, options);
  }

  async deleteMany(keys: readonly string[], options?: CallOptions): Promise<void> {
    for (const key of keys) this.#refuseUnlessPassing(key);
    await this.#base.deleteMany(keys, options);
  }

  within(prefix: string): ObjectStore {
    return prefix.replace(/\/+$/, '') === '' ? this : new PrefixedStore(this, prefix);
  }

  close(): Promise<void> {
    return this.#base.close();
  }

  async #touchedObject(key: string, { signal }: CallOptions): Promise<VersionedObject | undefined> {
    if (PASSING.test(key)) return undefined;
    this.#touched ??= this.#findTouched(signal);
    return (await this.#touched).get(key);
  }

  async #findTouched(signal: AbortSignal | undefined): Promise<ReadonlyMap<string, VersionedObject>> {
    const touched = new Map<string, VersionedObject>();
    for await (const object of this.#versions.list('', { signal })) if (!PASSING.test(object.key) && isTouched(object)) touched.set(object.key, object);
    return touched;
  }

  #firstSound(object: VersionedObject, options: CallOptions): Promise<ObjectVersion | undefined> {
    const chosen = this.#chosen.get(object.key) ?? this.#choose(object, options);
    this.#chosen.set(object.key, chosen);
    return chosen;
  }

  /** The oldest where none is sound: whoever reads it finds the damage, and says so. */
  async #choose({ key, versions }: VersionedObject, { signal }: CallOptions): Promise<ObjectVersion | undefined> {
    if (versions.length < 2) return versions[0];
    const sound = await firstSoundVersion(versions, ({ versionId }) => this.#versions.get(key, versionId, { signal }), (bytes) => (isSound(key, bytes) ? true : undefined));
    return sound?.version ?? versions[0];
  }

  #refuseUnlessPassing(key: string): void {
    if (PASSING.test(key)) return;
    throw new StorageError('Unsupported', `${key} is not written in ${this.location}: a replica is only read; restore from it, and back up to the first data center`, { retryable: false });
  }
}

function isTouched({ versions, markers }: VersionedObject): boolean {
  return markers.length > 0 || versions.length !== 1;
}

/** What is not named by its content is sound as it was put first, unless it cannot even be read as what it is. */
function isSound(key: string, bytes: Uint8Array): boolean {
  const name = key.replace(GENERATION, '');
  if (!name.startsWith('manifests/')) return hasPromisedContent(name, bytes);
  try {
    decodeManifest(bytes, key);
    return true;
  } catch (error) {
    if (error instanceof EngineError) return false;
    throw error;
  }
}
