import type { CallOptions, GetOptions, ListOptions, ObjectBody, ObjectHead, ObjectInfo, ObjectStore, PutOptions } from './object-store.ts';
import { versionsWithin, type ObjectVersions } from './object-versions.ts';
import { asFolder } from './object-key.ts';

/** A view of a store below a prefix. Closing the view leaves the store open, for other views may still read. */
export class PrefixedStore implements ObjectStore {
  readonly location: string;
  readonly versions: ObjectVersions | undefined;
  readonly #base: ObjectStore;
  readonly #prefix: string;

  constructor(base: ObjectStore, prefix: string) {
    this.#base = base;
    this.#prefix = asFolder(prefix);
    this.versions = base.versions === undefined ? undefined : versionsWithin(base.versions, this.#prefix);
    this.location = `${base.location.replace(/\/$/, '')}/${this.#prefix.slice(0, -1)}`;
  }

  put(key: string, body: ObjectBody, options?: PutOptions): Promise<void> {
    return this.#base.put(this.#prefix + key, body, options);
  }

  get(key: string, options?: GetOptions): Promise<Uint8Array> {
    return this.#base.get(this.#prefix + key, options);
  }

  getStream(key: string, options?: GetOptions): AsyncIterable<Uint8Array> {
    return this.#base.getStream(this.#prefix + key, options);
  }

  async head(key: string, options?: CallOptions): Promise<ObjectHead | undefined> {
    const info = await this.#base.head(this.#prefix + key, options);
    return info === undefined ? undefined : { ...info, key };
  }

  async *list(prefix: string, options?: ListOptions): AsyncIterable<ObjectInfo> {
    const below =
      options?.startAfter === undefined ? options : { ...options, startAfter: this.#prefix + options.startAfter };
    for await (const info of this.#base.list(this.#prefix + prefix, below)) {
      yield { ...info, key: info.key.slice(this.#prefix.length) };
    }
  }

  async removeUnfinished(prefix: string, before: Date, options?: CallOptions): Promise<void> {
    await this.#base.removeUnfinished?.(this.#prefix + prefix, before, options);
  }

  async removeMadeFolders(): Promise<void> {
    await this.#base.removeMadeFolders?.();
  }

  delete(key: string, options?: CallOptions): Promise<void> {
    return this.#base.delete(this.#prefix + key, options);
  }

  deleteMany(keys: readonly string[], options?: CallOptions): Promise<void> {
    return this.#base.deleteMany(
      keys.map((key) => this.#prefix + key),
      options,
    );
  }

  within(prefix: string): ObjectStore {
    const folder = asFolder(prefix);
    return folder === '' ? this : new PrefixedStore(this.#base, this.#prefix + folder);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
