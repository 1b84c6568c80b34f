import { MemoryStore, StorageError, type CallOptions, type GetOptions, type ListOptions, type ObjectBody, type ObjectInfo, type ObjectStore, type PutOptions } from '../../src/storage/index.ts';
import { PrefixedStore } from '../../src/storage/prefixed-store.ts';

/** Lets so many changes through and fails every later one, as if the process had been killed there. Reading goes on. */
export class KilledStore implements ObjectStore {
  readonly location: string;
  changes = 0;
  readonly #store: ObjectStore;
  readonly #allowed: number;

  constructor(store: ObjectStore, allowed: number) {
    this.#store = store;
    this.#allowed = allowed;
    this.location = store.location;
  }

  get hasFailed(): boolean {
    return this.changes > this.#allowed;
  }

  put(key: string, body: ObjectBody, options?: PutOptions): Promise<void> {
    return this.#change(key, () => this.#store.put(key, body, options));
  }

  delete(key: string, options?: CallOptions): Promise<void> {
    return this.#change(key, () => this.#store.delete(key, options));
  }

  /** One change for each object: a kill may come between any two. */
  async deleteMany(keys: readonly string[], options?: CallOptions): Promise<void> {
    for (const key of keys) await this.delete(key, options);
  }

  get(key: string, options?: GetOptions): Promise<Uint8Array> {
    return this.#store.get(key, options);
  }

  getStream(key: string, options?: GetOptions): AsyncIterable<Uint8Array> {
    return this.#store.getStream(key, options);
  }

  head(key: string, options?: CallOptions): Promise<ObjectInfo | undefined> {
    return this.#store.head(key, options);
  }

  list(prefix: string, options?: ListOptions): AsyncIterable<ObjectInfo> {
    return this.#store.list(prefix, options);
  }

  within(prefix: string): ObjectStore {
    return new PrefixedStore(this, prefix);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  async #change(key: string, change: () => Promise<void>): Promise<void> {
    this.changes++;
    if (this.hasFailed) throw new StorageError('Unavailable', `killed before ${key} was changed`, { retryable: false });
    await change();
  }
}

export async function copyOf(store: ObjectStore): Promise<MemoryStore> {
  const copy = new MemoryStore();
  for await (const { key } of store.list('')) await copy.put(key, await store.get(key));
  return copy;
}
