import type { CallOptions, GetOptions, ListOptions, ObjectBody, ObjectHead, ObjectInfo, ObjectStore, PutOptions } from './object-store.ts';
import { alreadyExists, bodyParts, notFound, refuseRetention, resolveRange, throwIfAborted } from './object-body.ts';
import { assertKey, compareKeys } from './object-key.ts';
import { PrefixedStore } from './prefixed-store.ts';

/** A store in this process's memory, for tests and dry runs. Keeps copies, so callers may reuse their buffers. */
export class MemoryStore implements ObjectStore {
  readonly location: string;
  readonly #objects = new Map<string, { readonly bytes: Buffer; readonly modifiedAt: Date }>();

  constructor(name = 'store') {
    this.location = `memory://${name}`;
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- errors must be rejections, as in every store
  async put(key: string, body: ObjectBody, options: PutOptions = {}): Promise<void> {
    assertKey(key);
    throwIfAborted(options.signal, `writing ${key}`);
    refuseRetention(key, this.location, options);
    if (options.ifAbsent === true && this.#objects.has(key)) throw alreadyExists(key, this.location);
    this.#objects.set(key, { bytes: Buffer.concat(bodyParts(body)), modifiedAt: new Date() });
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- errors must be rejections, as in every store
  async get(key: string, options: GetOptions = {}): Promise<Uint8Array> {
    assertKey(key);
    throwIfAborted(options.signal, `reading ${key}`);
    const object = this.#objects.get(key);
    if (object === undefined) throw notFound(key, this.location);
    const { offset, length } = resolveRange(key, object.bytes.byteLength, options.range);
    return new Uint8Array(object.bytes.subarray(offset, offset + length));
  }

  async *getStream(key: string, options: GetOptions = {}): AsyncIterable<Uint8Array> {
    const bytes = await this.get(key, options);
    for (let offset = 0; offset < bytes.byteLength; offset += STREAM_CHUNK) {
      throwIfAborted(options.signal, `reading ${key}`);
      yield bytes.subarray(offset, offset + STREAM_CHUNK);
    }
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- errors must be rejections, as in every store
  async head(key: string, options: CallOptions = {}): Promise<ObjectHead | undefined> {
    assertKey(key);
    throwIfAborted(options.signal, `looking up ${key}`);
    const object = this.#objects.get(key);
    return object === undefined ? undefined : { key, size: object.bytes.byteLength, modifiedAt: object.modifiedAt };
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- the interface is asynchronous
  async *list(prefix: string, options: ListOptions = {}): AsyncIterable<ObjectInfo> {
    const after = options.startAfter;
    const keys = [...this.#objects.keys()]
      .filter((key) => key.startsWith(prefix) && (after === undefined || compareKeys(key, after) > 0))
      .sort(compareKeys);
    for (const key of keys) {
      throwIfAborted(options.signal, `listing ${prefix}`);
      const object = this.#objects.get(key);
      if (object !== undefined) yield { key, size: object.bytes.byteLength, modifiedAt: object.modifiedAt };
    }
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- errors must be rejections, as in every store
  async delete(key: string, options: CallOptions = {}): Promise<void> {
    assertKey(key);
    throwIfAborted(options.signal, `deleting ${key}`);
    this.#objects.delete(key);
  }

  async deleteMany(keys: readonly string[], options: CallOptions = {}): Promise<void> {
    for (const key of keys) await this.delete(key, options);
  }

  within(prefix: string): ObjectStore {
    return prefix.replace(/\/+$/, '') === '' ? this : new PrefixedStore(this, prefix);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** Small, so that consumers of streams meet more than one chunk in tests. */
const STREAM_CHUNK = 256 * 1024;
