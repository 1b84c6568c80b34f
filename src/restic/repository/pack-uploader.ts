import { keyOfBytes, scanPackHeader, sealOverhead, headerLengthLength, type Id, type IndexWriter } from '../format/index.ts';
import { keyOf, type ListedFile } from './opened.ts';
import type { TableIndex } from './table-index.ts';
import type { ObjectStore } from '../../storage/index.ts';

/** A killed backup repeats at most what it did in this time, ms … */
const indexInterval = 60_000;
/** … or this many blobs (restic's own limit for an index file). */
const indexBlobs = 50_000;

/** A pack that is complete and only needs to be stored. */
export interface UploadablePack {
  readonly body: Uint8Array;
  readonly length: number;
  readonly sha256: Uint8Array;
  /** The header's plaintext. */
  readonly header: Uint8Array;
}

/** A stored pack that no index names yet: its header says all that an index says, in a tenth of the memory that a list of its blobs takes. */
interface UnlistedPack {
  readonly id: Id;
  readonly header: Uint8Array;
  /** Where the header begins in the pack. */
  readonly end: number;
}

export interface PackUploaderOptions {
  readonly store: ObjectStore;
  readonly index: TableIndex;
  readonly saveIndex: (write: (writer: IndexWriter) => void) => Promise<ListedFile>;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Stores packs, many at once, and then names them in index files: a pack is durable before an index tells of it
 * (design.rst "Read and Write Ordering"). How many are under way is bounded by the buffers that callers have.
 */
export class PackUploader {
  readonly packs: ListedFile[] = [];
  readonly indexes: ListedFile[] = [];
  readonly #options: PackUploaderOptions;
  readonly #underWay = new Set<Promise<void>>();
  #unlisted: UnlistedPack[] = [];
  readonly #key = new Int32Array(8);
  #unlistedBlobs = 0;
  #lastIndexAt = performance.now();
  #failure: { readonly error: unknown } | undefined;

  constructor(options: PackUploaderOptions) {
    this.#options = options;
  }

  get underWay(): number {
    return this.#underWay.size;
  }

  /** Begins to store a pack. `onStored`: its buffer may be used again. Failures come out of `settle` and `throwIfFailed`. */
  upload(pack: UploadablePack, onStored: () => void): void {
    const work = this.#store(pack).then(onStored, (error: unknown) => {
      this.#failure ??= { error };
      onStored();
    });
    const tracked = work.finally(() => this.#underWay.delete(tracked));
    this.#underWay.add(tracked);
  }

  throwIfFailed(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  /** Resolves when no more than `limit` uploads are under way. */
  async settle(limit: number): Promise<void> {
    while (this.#underWay.size > limit) await Promise.race(this.#underWay);
    this.throwIfFailed();
  }

  /** Waits until nothing is under way, whatever came of it. */
  async quiesce(): Promise<void> {
    await Promise.allSettled(this.#underWay);
  }

  /** Waits for all packs and names the last of them in an index. */
  async finish(): Promise<void> {
    await this.settle(0);
    await this.#saveIndex();
  }

  async #store(pack: UploadablePack): Promise<void> {
    const { store, index, signal } = this.#options;
    const id = Buffer.from(pack.sha256).toString('hex');
    const body = pack.body.subarray(0, pack.length);
    const end = pack.length - pack.header.length - sealOverhead - headerLengthLength;
    await store.put(keyOf('data', id), body, { sha256: pack.sha256, signal });
    const number = index.numberOf(id);
    const { header } = pack;
    scanPackHeader(header, end, `pack ${id}`, (type, idAt, offset, length, uncompressedLength) => {
      const key = keyOfBytes(header, this.#key, idAt);
      index.table.place(type, key, { pack: number, offset, length, uncompressedLength });
      this.#unlistedBlobs += 1;
    });
    this.packs.push({ id, size: pack.length });
    this.#unlisted.push({ id, header, end });
    const isDue = performance.now() - this.#lastIndexAt > indexInterval || this.#unlistedBlobs > indexBlobs;
    if (isDue) await this.#saveIndex();
  }

  async #saveIndex(): Promise<void> {
    const packs = this.#unlisted;
    this.#unlisted = [];
    this.#unlistedBlobs = 0;
    this.#lastIndexAt = performance.now();
    if (packs.length === 0) return;
    const { index, saveIndex } = this.#options;
    const saved = await saveIndex((writer) => {
      this.#writeIndex(writer, packs);
    });
    for (const { id } of packs) index.namedBy(index.numberOf(id), saved.id);
    this.indexes.push(saved);
  }

  #writeIndex(writer: IndexWriter, packs: readonly UnlistedPack[]): void {
    for (const { id, header, end } of packs) {
      writer.beginPack(id);
      scanPackHeader(header, end, `pack ${id}`, (type, idAt, offset, length, uncompressedLength) => {
        writer.blob(type, keyOfBytes(header, this.#key, idAt), 0, offset, length, uncompressedLength);
      });
      writer.endPack();
    }
  }
}
