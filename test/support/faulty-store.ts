import { StorageError, type CallOptions, type GetOptions, type ListOptions, type ObjectBody, type ObjectInfo, type ObjectStore, type PutOptions } from '../../src/storage/index.ts';

export type Operation = 'put' | 'get' | 'getStream' | 'head' | 'list' | 'delete' | 'deleteMany';

/** Decides before each call: nothing, or the error that it ends with. `after`: the work is done first, and its answer lost. */
export type Fault = (call: { readonly operation: Operation; readonly key: string; readonly count: number }) => { readonly error: Error; readonly after?: boolean } | undefined;

/** A store that fails as the test says, and counts what is asked of it. */
export class FaultyStore implements ObjectStore {
  readonly location: string;
  readonly calls: { readonly operation: Operation; readonly key: string }[] = [];
  readonly #base: ObjectStore;
  readonly #fault: Fault;

  constructor(base: ObjectStore, fault: Fault = () => undefined) {
    this.#base = base;
    this.#fault = fault;
    this.location = base.location;
  }

  put(key: string, body: ObjectBody, options?: PutOptions): Promise<void> {
    return this.#call('put', key, () => this.#base.put(key, body, options));
  }

  get(key: string, options?: GetOptions): Promise<Uint8Array> {
    return this.#call('get', key, () => this.#base.get(key, options));
  }

  /** Fails after the first chunk where the fault says `after`. */
  async *getStream(key: string, options?: GetOptions): AsyncIterable<Uint8Array> {
    const fault = this.#record('getStream', key);
    if (fault !== undefined && fault.after !== true) throw fault.error;
    for await (const chunk of this.#base.getStream(key, options)) {
      yield chunk;
      if (fault !== undefined) throw fault.error;
    }
  }

  head(key: string, options?: CallOptions): Promise<ObjectInfo | undefined> {
    return this.#call('head', key, () => this.#base.head(key, options));
  }

  async *list(prefix: string, options?: ListOptions): AsyncIterable<ObjectInfo> {
    const fault = this.#record('list', prefix);
    if (fault !== undefined && fault.after !== true) throw fault.error;
    for await (const info of this.#base.list(prefix, options)) {
      yield info;
      if (fault !== undefined) throw fault.error;
    }
  }

  delete(key: string, options?: CallOptions): Promise<void> {
    return this.#call('delete', key, () => this.#base.delete(key, options));
  }

  deleteMany(keys: readonly string[], options?: CallOptions): Promise<void> {
    return this.#call('deleteMany', keys.join(), () => this.#base.deleteMany(keys, options));
  }

  within(): ObjectStore {
    throw new Error('wrap the view instead');
  }

  close(): Promise<void> {
    return this.#base.close();
  }

  async #call<T>(operation: Operation, key: string, work: () => Promise<T>): Promise<T> {
    const fault = this.#record(operation, key);
    if (fault === undefined) return work();
    if (fault.after === true) await work();
    throw fault.error;
  }

  #record(operation: Operation, key: string): ReturnType<Fault> {
    this.calls.push({ operation, key });
    return this.#fault({ operation, key, count: this.calls.length });
  }
}

/** What a store throws when trying again may help. */
export function passing(): StorageError {
  return new StorageError('Unavailable', 'the line broke', { retryable: true });
}
