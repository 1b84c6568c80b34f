import { damaged, letGo, type BlobLocation, type Id } from '../format/index.ts';
import { memoryPlan } from '../memory-plan.ts';
import { BlobOpener } from '../pipeline/blob-opener.ts';
import { keyOf, type OpenRepository, type TableIndex } from '../repository/index.ts';

/** A tree that claims to be larger is an attack on our memory; a million entries stay below. */
const maxTreeLength = 1024 * 1024 * 1024;

/** Loads the parent's trees a pack at a time: one request a directory would be slow from far away. */
export class TreeReader {
  readonly #repository: OpenRepository;
  readonly #index: TableIndex;
  readonly #signal: AbortSignal | undefined;
  readonly #packs = new Map<Id, Uint8Array>();
  readonly #opener: BlobOpener;
  /** Packs of trees that are kept, bytes: a walk comes back to the same few. */
  readonly #keptBytes = memoryPlan().keptTrees;
  #kept = 0;

  constructor(repository: OpenRepository, index: TableIndex, signal: AbortSignal | undefined) {
    this.#repository = repository;
    this.#opener = new BlobOpener(repository.key.material);
    this.#index = index;
    this.#signal = signal;
  }

  /** The tree's JSON, verified; valid until the next call. Synchronous where its pack is at hand. */
  load(id: Id): Uint8Array | Promise<Uint8Array> {
    const place = this.#index.lookup('tree', id);
    if (place === undefined) throw damaged(`tree ${id}`, 'no index file names it');
    const pack = this.#packs.get(place.packId);
    return pack === undefined ? this.#fetch(id, place) : this.#open(id, place, pack);
  }

  async #fetch(id: Id, place: BlobLocation): Promise<Uint8Array> {
    const pack = await this.#repository.store.get(keyOf('data', place.packId), { signal: this.#signal });
    this.#packs.set(place.packId, pack);
    this.#kept += pack.length;
    for (const [oldest, bytes] of this.#packs) {
      if (this.#kept <= this.#keptBytes || oldest === place.packId) break;
      this.#packs.delete(oldest);
      this.#kept -= bytes.length;
      letGo(bytes);
    }
    return this.#open(id, place, pack);
  }

  #open(id: Id, { offset, length, uncompressedLength }: BlobLocation, pack: Uint8Array): Uint8Array {
    if (uncompressedLength > maxTreeLength) throw damaged(`tree ${id}`, 'it claims an impossible length');
    const tree = this.#opener.open(pack.subarray(offset, offset + length), uncompressedLength, id);
    if (tree === undefined) throw damaged(`tree ${id}`, 'its bytes are not what was written, or not what its id says');
    return tree;
  }

  free(): void {
    this.#opener.free();
  }
}
