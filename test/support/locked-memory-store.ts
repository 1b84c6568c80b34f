// A bucket with versions and Object Lock in memory, with a clock of the test's own: what retention of thirty days does is seen at once.
import { hash } from 'node:crypto';
import { StorageError, assertKey, compareKeys, type CopiedVersion, type CopySource, type GetOptions, type ListOptions, type ObjectBody, type ObjectHead, type ObjectInfo, type ObjectStore, type ObjectVersions, type PutOptions, type Retention, type VersionedObject } from '../../src/storage/index.ts';
import { PrefixedStore } from '../../src/storage/prefixed-store.ts';

interface Version {
  readonly versionId: string;
  /** Absent: a delete marker. */
  readonly bytes: Buffer | undefined;
  readonly modifiedAt: Date;
  retention: Retention | undefined;
}

function sha256(bytes: Buffer | undefined): string | undefined {
  return bytes === undefined ? undefined : hash('sha256', bytes, 'hex');
}

/** One request as S3 would count it: a listing is one for each page of a thousand. */
export interface Request {
  readonly operation: 'put' | 'get' | 'head' | 'list' | 'listVersions' | 'delete' | 'extend' | 'retentionOf' | 'remove' | 'copy' | 'sha256Of';
  readonly key: string;
}


export class LockedMemoryStore implements ObjectStore {
  readonly location: string;
  readonly requests: Request[] = [];
  /** Told of each request before it is done; what it throws, the request ends with. */
  onRequest: (request: Request) => void | Promise<void> = () => undefined;
  readonly versions: ObjectVersions;
  /** Other buckets of the same service, by name. */
  readonly neighbours = new Map<string, LockedMemoryStore>();
  /** What the service makes of bytes that it copies by itself. */
  whileCopying: (bytes: Buffer) => Buffer = (bytes) => bytes;
  /** Objects of a page of a listing. */
  pageSize = 1000;
  readonly #objects = new Map<string, Version[]>();
  readonly #now: () => Date;
  #serial = 0;

  constructor(name: string, now: () => Date) {
    this.location = `memory://${name}`;
    this.#now = now;
    this.versions = {
      list: (prefix, options) => this.#listVersions(prefix, options),
      get: (key, versionId, options) => this.#read('get', key, this.#version(key, versionId), options),
      extend: (key, versionId, retention) => this.#extend(key, versionId, retention),
      retentionOf: async (key, versionId) => {
        await this.#ask('retentionOf', key);
        return this.#version(key, versionId)?.retention;
      },
      remove: (key, versionId) => this.#remove(key, versionId),
      copyFrom: (from, key, retention) => this.#copyFrom(from, key, retention),
      sha256Of: async (key, versionId) => {
        await this.#ask('sha256Of', key);
        return sha256(this.#version(key, versionId)?.bytes);
      },
      serviceTime: () => this.#now().getTime(),
    };
  }

  async put(key: string, body: ObjectBody, options: PutOptions = {}): Promise<void> {
    assertKey(key);
    await this.#ask('put', key);
    if (options.ifAbsent === true && this.#newest(key)?.bytes !== undefined) throw new StorageError('AlreadyExists', `${key} is taken`, { retryable: false });
    const bytes = Buffer.concat(body instanceof Uint8Array ? [body] : body);
    this.#add(key, bytes, options.retention);
  }

  get(key: string, options?: GetOptions): Promise<Uint8Array> {
    return this.#read('get', key, this.#newest(key), options);
  }

  async *getStream(key: string, options?: GetOptions): AsyncIterable<Uint8Array> {
    yield await this.get(key, options);
  }

  async head(key: string): Promise<ObjectHead | undefined> {
    await this.#ask('head', key);
    const newest = this.#newest(key);
    return newest?.bytes === undefined ? undefined : { key, size: newest.bytes.length, modifiedAt: newest.modifiedAt };
  }

  async *list(prefix: string, options: ListOptions = {}): AsyncIterable<ObjectInfo> {
    for await (const [key, versions] of this.#keys('list', prefix, options)) {
      const newest = versions.at(-1);
      if (newest?.bytes !== undefined) yield { key, size: newest.bytes.length, modifiedAt: newest.modifiedAt, etag: `"${hash('md5', newest.bytes, 'hex')}"` };
    }
  }

  async delete(key: string): Promise<void> {
    await this.#ask('delete', key);
    if (this.#objects.has(key)) this.#add(key, undefined, undefined);
  }

  async deleteMany(keys: readonly string[]): Promise<void> {
    for (const key of keys) await this.delete(key);
  }

  within(prefix: string): ObjectStore {
    return prefix.replace(/\/+$/, '') === '' ? this : new PrefixedStore(this, prefix);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  async *#listVersions(prefix: string, options: ListOptions = {}): AsyncIterable<VersionedObject> {
    for await (const [key, all] of this.#keys('listVersions', prefix, options)) {
      yield {
        key,
        versions: all.flatMap(({ versionId, bytes, modifiedAt }) => (bytes === undefined ? [] : [{ versionId, size: bytes.length, modifiedAt }])),
        markers: all.flatMap(({ versionId, bytes }) => (bytes === undefined ? [versionId] : [])),
        isHidden: all.at(-1)?.bytes === undefined,
      };
    }
  }

  /** Page by page of the bucket as it is when the page is asked for. */
  async *#keys(operation: 'list' | 'listVersions', prefix: string, { startAfter }: ListOptions): AsyncIterable<[string, readonly Version[]]> {
    let after = startAfter;
    for (;;) {
      await this.#ask(operation, prefix);
      const found = [...this.#objects.keys()].filter((key) => key.startsWith(prefix) && (after === undefined || compareKeys(key, after) > 0)).sort(compareKeys);
      const page = found.slice(0, this.pageSize).map((key): [string, readonly Version[]] => [key, [...(this.#objects.get(key) ?? [])]]);
      yield* page;
      if (found.length <= this.pageSize) return;
      after = page.at(-1)?.[0];
    }
  }

  async #read(operation: 'get', key: string, version: Version | undefined, options: GetOptions = {}): Promise<Uint8Array> {
    await this.#ask(operation, key);
    if (version?.bytes === undefined) throw new StorageError('NotFound', `${key} does not exist in ${this.location}`, { retryable: false });
    const { offset, length } = options.range ?? { offset: 0, length: version.bytes.length };
    if (offset + length > version.bytes.length) throw new StorageError('Truncated', `${key} is cut short`, { retryable: false });
    return new Uint8Array(version.bytes.subarray(offset, offset + length));
  }

  async #extend(key: string, versionId: string | undefined, retention: Retention): Promise<void> {
    await this.#ask('extend', key);
    const version = this.#version(key, versionId);
    if (version === undefined) throw new StorageError('NotFound', `${key} has no version ${versionId ?? ''}`, { retryable: false });
    if (version.retention !== undefined && retention.until < version.retention.until) throw new StorageError('Locked', `${key}: a lock is never shortened`, { retryable: false });
    version.retention = retention;
  }

  async #remove(key: string, versionId: string): Promise<void> {
    await this.#ask('remove', key);
    const version = this.#version(key, versionId);
    if (version === undefined) return;
    if (version.retention !== undefined && version.retention.until > this.#now()) throw new StorageError('Locked', `${key} is locked`, { retryable: false });
    const left = (this.#objects.get(key) ?? []).filter((other) => other !== version);
    if (left.length === 0) this.#objects.delete(key);
    else this.#objects.set(key, left);
  }

  async #copyFrom({ bucket, key: path }: CopySource, key: string, retention: Retention): Promise<CopiedVersion> {
    await this.#ask('copy', key);
    const from = this.neighbours.get(bucket);
    if (from === undefined) throw new StorageError('BucketMissing', `there is no bucket ${bucket}`, { retryable: false });
    const bytes = this.whileCopying(Buffer.from(await from.get(path)));
    this.#add(key, bytes, retention);
    return { versionId: this.#newest(key)?.versionId ?? '', sha256: sha256(bytes) };
  }

  #add(key: string, bytes: Buffer | undefined, retention: Retention | undefined): void {
    this.#serial += 1;
    const versions = this.#objects.get(key) ?? [];
    versions.push({ versionId: `v${this.#serial}`, bytes, modifiedAt: this.#now(), retention });
    this.#objects.set(key, versions);
  }

  #newest(key: string): Version | undefined {
    return this.#objects.get(key)?.at(-1);
  }

  #version(key: string, versionId: string | undefined): Version | undefined {
    return versionId === undefined ? this.#newest(key) : this.#objects.get(key)?.find((version) => version.versionId === versionId);
  }

  async #ask(operation: Request['operation'], key: string): Promise<void> {
    this.requests.push({ operation, key });
    // As over a network: others go on meanwhile.
    await Promise.resolve();
    await this.onRequest({ operation, key });
  }
}
