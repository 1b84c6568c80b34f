import type { NeededIndex, SnapshotReach } from '../contract.ts';
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
    for (const [number, size] of this.#index.sizesOf((pack) => this.#isMarked(pack))) {
      const id = this.#index.packIdOf(number);
      if (!packs.has(id)) packs.set(id, { id, size });
    }
    return { packs: [...packs.values()], indexes: this.#neededOf(indexFiles, packs), snapshot };
  }

  #neededOf(indexFiles: readonly ListedFile[], packs: ReadonlyMap<string, unknown>): NeededIndex[] {
    const parts = new Map(indexFiles.map(({ id, size }) => [id, { id, size, needed: [] as string[], others: [] as string[] }]));
    for (const [number, pack] of [...this.#index.packIds()].entries()) {
      const wanted = packs.has(pack);
      const files = this.#index.indexFilesOf(number);
      if (wanted) parts.get(files.at(-1) ?? '')?.needed.push(pack);
      else for (const file of files) parts.get(file)?.others.push(pack);
    }
    return [...parts.values()].filter(({ needed }) => needed.length > 0);
  }

  #isMarked(pack: number): boolean {
    return (((this.#words[pack >>> 5] ?? 0) >>> (pack & 31)) & 1) === 1;
  }
}
