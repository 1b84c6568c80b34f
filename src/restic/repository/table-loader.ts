import type { BlobType } from '../format/blob.ts';
import { errnoCodeOf } from '../fs/index.ts';
import type { Place } from './blob-slots.ts';
import type { BlobTable } from './blob-table.ts';
import { SpilledPlaces } from './spilled-places.ts';
import type { TableSpace } from './table-space.ts';

/**
 * Fills a table from index files, while no other thread has it. Ids come in no order, and a table that is paged from a disk would fetch a page for nearly
 * each of them: so once it would not fit into memory, they are sorted into parts first, and the table is filled part by part.
 */
export class TableLoader {
  readonly #table: BlobTable;
  readonly #space: TableSpace;
  #spilled: SpilledPlaces | undefined;

  constructor(table: BlobTable, space: TableSpace) {
    this.#table = table;
    this.#space = space;
  }

  /** Places that were loaded, some of them more than once. */
  get size(): number {
    return this.#table.size + (this.#spilled?.size ?? 0);
  }

  /** So many blobs will come, the ones that are there included, more or less. */
  expect(blobs: number): void {
    if (!this.#table.fitsIntoMemory(blobs)) this.#spill();
    if (this.#spilled === undefined) this.#table.reserve(blobs);
  }

  place(type: BlobType, key: Int32Array, place: Place): void {
    if (this.#spilled === undefined && !this.#table.canGrowInMemory) this.#spill();
    if (this.#spilled === undefined) return this.#table.place(type, key, place);
    try {
      this.#spilled.add(type, key, place);
    } catch (error) {
      this.#space.useMemoryOnly(errnoCodeOf(error) ?? String(error));
      this.finish();
      this.#table.place(type, key, place);
    }
  }

  /** All that was loaded is in the table now. */
  finish(): void {
    const spilled = this.#spilled;
    if (spilled === undefined) return;
    this.#spilled = undefined;
    this.#table.reserve(spilled.size);
    spilled.drain((type, key, place) => {
      this.#table.place(type, key, place);
    });
  }

  #spill(): void {
    const spilled = this.#space.tryDirectories((directory) => new SpilledPlaces(directory));
    if (spilled === undefined) return;
    try {
      this.#table.forEach((type, key, place) => {
        spilled.add(type, key, place);
      });
    } catch (error) {
      spilled.close();
      this.#space.useMemoryOnly(errnoCodeOf(error) ?? String(error));
      return;
    }
    this.#table.clear();
    this.#spilled = spilled;
  }
}
