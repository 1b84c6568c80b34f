import type { SnapshotReach } from '../contract.ts';
import { keyOfHex } from '../format/index.ts';
import type { ListedFile, TableIndex } from '../repository/index.ts';

/** The packs that one snapshot needs: a bit for each pack that was there before, and all that its backup wrote. */
export class Reach {
  readonly bits: SharedArrayBuffer;
  readonly #words: Int32Array;
  readonly #index: TableIndex;
  readonly #key = new Int32Array(8);

  constructor(index: TableIndex) {
    this.#index = index;
    this.bits = new SharedArrayBuffer(4 * (Math.ceil(index.packCount / 32) + 1));
    this.#words = new Int32Array(this.bits);
  }

  mark(pack: number): void {
    const word = pack >>> 5;
    if (pack >= 0 && word < this.#words.length) Atomics.or(this.#words, word, 1 << (pack & 31));
  }

  /** Marks the pack of a blob whose id stands in a text; false when no index names the blob. */
  markBlob(type: 'data' | 'tree', text: string, at = 0): boolean {
    const pack = this.#index.table.packOf(type, keyOfHex(text, this.#key, at));
    this.mark(pack);
    return pack >= 0;
  }

  /**
   * @param written - the packs of this backup
   * @param indexFiles - every index file that there is
   */
  describe(written: readonly ListedFile[], indexFiles: readonly ListedFile[], snapshot: ListedFile): SnapshotReach {
    const packs = new Map(written.map((pack) => [pack.id, pack]));
    const needed = new Set<string | undefined>(written.map(({ id }) => this.#index.indexFileOf(this.#index.numberOf(id))));
    for (const [number, size] of this.#index.sizesOf((pack) => this.#isMarked(pack))) {
      const id = this.#index.packIdOf(number);
      if (!packs.has(id)) packs.set(id, { id, size });
      needed.add(this.#index.indexFileOf(number));
    }
    return { packs: [...packs.values()], indexes: indexFiles.filter(({ id }) => needed.has(id)), snapshot };
  }

  #isMarked(pack: number): boolean {
    return (((this.#words[pack >>> 5] ?? 0) >>> (pack & 31)) & 1) === 1;
  }
}
