import { setTimeout as delay } from 'node:timers/promises';
import { FileStore, type CallOptions, type ObjectBody, type PutOptions } from '../../src/storage/index.ts';

/** A directory whose every change takes a moment, as over a network, so that a kill falls between any two of them as likely as within one. */
export class PacedStore extends FileStore {
  readonly #paceMs: number;

  constructor(root: string, paceMs: number) {
    super(root);
    this.#paceMs = paceMs;
  }

  override async put(key: string, body: ObjectBody, options?: PutOptions): Promise<void> {
    await delay(this.#paceMs);
    await super.put(key, body, options);
  }

  override async delete(key: string, options?: CallOptions): Promise<void> {
    await delay(this.#paceMs);
    await super.delete(key, options);
  }

  /** One after the other. */
  override async deleteMany(keys: readonly string[], options?: CallOptions): Promise<void> {
    for (const key of keys) await this.delete(key, options);
  }
}
