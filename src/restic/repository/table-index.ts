import { IndexScanner, IndexWriter, hexOfKey, keyOfHex, entryLengthOf, headerLengthLength, sealOverhead, type BlobLocation, type BlobType, type Id, type PackContents, type PackedBlob } from '../format/index.ts';
import { BlobTable, type Place } from './blob-table.ts';
import type { BlobIndex } from './opened.ts';
import { TableLoader } from './table-loader.ts';
import { TableSpace } from './table-space.ts';

/** Blobs whose lists are held at a time, at least, some 250 bytes each. */
const leastGroup = 64 * 1024;
/** A larger table is gone through this many times to list all of it. */
const mostGroups = 64;

/** The index of a repository: the shared table of blobs, and the names of the packs that its numbers stand for. */
export class TableIndex implements BlobIndex {
  readonly table: BlobTable;
  readonly #space: TableSpace;
  #loader: TableLoader | undefined;
  readonly #packIds: Id[] = [];
  readonly #packNumbers = new Map<Id, number>();
  /** By pack number: the index files that name it, mostly one. */
  readonly #indexFilesOf: Id[][] = [];
  readonly #key = new Int32Array(8);

  constructor(space = TableSpace.ofProcess()) {
    this.#space = space;
    this.table = new BlobTable([], space);
  }

  /** Index files are about to be read: until `endLoading`, nothing is looked up. */
  beginLoading(): void {
    this.#loader = new TableLoader(this.table, this.#space);
  }

  /** How many blobs all of them have, about. */
  expect(blobs: number): void {
    this.#loader?.expect(blobs);
  }

  endLoading(): void {
    this.#loader?.finish();
    this.#loader = undefined;
    this.table.consolidate();
  }

  get size(): number {
    return this.#loader?.size ?? this.table.size;
  }

  get packCount(): number {
    return this.#packIds.length;
  }

  has(type: BlobType, id: Id): boolean {
    return this.table.has(type, keyOfHex(id, this.#key));
  }

  lookup(type: BlobType, id: Id): BlobLocation | undefined {
    const place = this.table.find(type, keyOfHex(id, this.#key));
    return place === undefined ? undefined : this.#locate(place);
  }

  lookupAll(type: BlobType, id: Id): BlobLocation[] {
    return Array.from(this.table.findAll(type, keyOfHex(id, this.#key)), (place) => this.#locate(place));
  }

  /** The pack's number, given to it now if it is new. */
  numberOf(packId: Id): number {
    const known = this.#packNumbers.get(packId);
    if (known !== undefined) return known;
    const number = this.#packIds.push(packId) - 1;
    this.#packNumbers.set(packId, number);
    return number;
  }

  packIdOf(number: number): Id {
    const id = this.#packIds[number];
    if (id === undefined) throw new RangeError(`no pack has the number ${number}`);
    return id;
  }

  /** The index files that name a pack, as far as they are known. */
  indexFilesOf(packNumber: number): readonly Id[] {
    return this.#indexFilesOf[packNumber] ?? [];
  }

  namedBy(packNumber: number, indexFile: Id): void {
    const files = (this.#indexFilesOf[packNumber] ??= []);
    if (!files.includes(indexFile)) files.push(indexFile);
  }

  /** The packs that these index files name. */
  packsIn(indexFiles: ReadonlySet<Id>): Id[] {
    return this.#packIds.filter((_, number) => this.#indexFilesOf[number]?.some((file) => indexFiles.has(file)) === true);
  }

  /** The index files that name one of these packs. */
  indexFilesNaming(packs: ReadonlySet<Id>): Set<Id> {
    return new Set(this.#packIds.flatMap((id, number) => (packs.has(id) ? (this.#indexFilesOf[number] ?? []) : [])));
  }

  /** What all blobs take in their packs, bytes. */
  storedBytes(): number {
    let sum = 0;
    this.table.forEachSlot((_type, _words, _at, _slot, { length }) => {
      sum += length;
    });
    return sum;
  }

  /** Sizes of packs by number, bytes: for an index names every blob of a pack, and the header's length follows from them. */
  sizesOf(isWanted: (packNumber: number) => boolean): Map<number, number> {
    const sizes = new Map<number, number>();
    this.table.forEach((_type, _key, { pack, length, uncompressedLength }) => {
      if (isWanted(pack)) sizes.set(pack, (sizes.get(pack) ?? sealOverhead + headerLengthLength) + length + entryLengthOf(uncompressedLength));
    });
    return sizes;
  }

  /** Takes in an index file's text as it comes. */
  scanner(file: Id): IndexScanner {
    return new IndexScanner({
      pack: (packId) => this.#namedPack(packId, file),
      blob: (packNumber, type, key, offset, length, uncompressedLength) => {
        this.#place(type, key, { pack: packNumber, offset, length, uncompressedLength });
      },
    });
  }

  /** Takes in one blob of an index file. */
  addOf(file: Id, packId: Id, blob: PackedBlob): void {
    this.add(this.#namedPack(packId, file), blob);
  }

  #namedPack(packId: Id, file: Id): number {
    const number = this.numberOf(packId);
    this.namedBy(number, file);
    return number;
  }

  add(packNumber: number, blob: PackedBlob): void {
    const { offset, length, uncompressedLength } = blob;
    this.#place(blob.type, keyOfHex(blob.id, this.#key), { pack: packNumber, offset, length, uncompressedLength });
  }

  #place(type: BlobType, key: Int32Array, place: Place): void {
    (this.#loader ?? this.table).place(type, key, place);
  }

  hasPack(packId: Id): boolean {
    return this.#packNumbers.has(packId);
  }

  packIds(): Iterable<Id> {
    return this.#packIds;
  }

  /** Some packs after the others, with all their blobs. A pack is in memory until the next group of them is built. */
  *contentsInGroups(wanted: Iterable<Id>): Iterable<PackContents> {
    for (const group of this.groups(wanted)) yield* this.contentsOf(new Set(group));
  }

  /** How many blobs each pack has, by its number. */
  blobCounts(): Uint32Array {
    const counts = new Uint32Array(this.#packIds.length);
    this.table.forEachSlot((_type, _words, _at, _slot, { pack }) => {
      counts[pack] = (counts[pack] ?? 0) + 1;
    });
    return counts;
  }

  /**
   * Splits packs, in their order, so that the blobs of each group are few.
   * @param most - a group of more has one pack
   */
  *groups(packs: Iterable<Id>, most = Math.max(leastGroup, this.size / mostGroups)): Iterable<Id[]> {
    const counts = this.blobCounts();
    let group: Id[] = [];
    let blobs = 0;
    for (const id of packs) {
      const count = counts[this.#packNumbers.get(id) ?? -1] ?? 0;
      if (group.length > 0 && blobs + count > most) {
        yield group;
        group = [];
        blobs = 0;
      }
      group.push(id);
      blobs += count;
    }
    if (group.length > 0) yield group;
  }

  /** The given packs with all their blobs; those that no index names come without any. */
  contentsOf(wanted: ReadonlySet<Id>): PackContents[] {
    const blobsOf = new Map<number, PackedBlob[]>();
    for (const id of wanted) {
      const number = this.#packNumbers.get(id);
      if (number !== undefined) blobsOf.set(number, []);
    }
    this.table.forEach((type, key, { pack, offset, length, uncompressedLength }) => {
      blobsOf.get(pack)?.push({ type, id: hexOfKey(key), offset, length, uncompressedLength });
    });
    return Array.from(wanted, (id) => {
      const blobs = blobsOf.get(this.#packNumbers.get(id) ?? -1) ?? [];
      return { id, blobs: blobs.sort((one, other) => one.offset - other.offset) };
    });
  }

  /**
   * Writes the given packs with all their blobs, in the order in which they are given. What it holds meanwhile is for one group of packs.
   * @param missing - told of a pack that no index names, or names without blobs
   */
  write(writer: IndexWriter, packs: Iterable<Id>, missing: (packId: Id) => never): void {
    for (const group of this.groups(packs)) this.#writeGroup(writer, group, missing);
  }

  #writeGroup(writer: IndexWriter, packs: readonly Id[], missing: (packId: Id) => never): void {
    const numbers = packs.map((id) => this.#packNumbers.get(id) ?? missing(id));
    let open: { readonly id: Id; blobs: number } | undefined;
    const end = (): void => {
      if (open?.blobs === 0) missing(open.id);
      if (open !== undefined) writer.endPack();
    };
    this.table.forEachOf(
      numbers,
      (pack) => {
        end();
        open = { id: this.packIdOf(pack), blobs: 0 };
        writer.beginPack(open.id);
      },
      (type, words, at, offset, length, uncompressedLength) => {
        if (open !== undefined) open.blobs += 1;
        writer.blob(type, words, at, offset, length, uncompressedLength);
      },
    );
    end();
  }

  #locate(place: Place): BlobLocation {
    return { packId: this.packIdOf(place.pack), offset: place.offset, length: place.length, uncompressedLength: place.uncompressedLength };
  }
}
