import { IndexWriter, hexOfKey, keyOfHex, entryLengthOf, headerLengthLength, parseIndex, scanIndex, sealOverhead, type BlobLocation, type BlobType, type Id, type PackContents, type PackedBlob } from '../format/index.ts';
import { BlobTable, type Place } from './blob-table.ts';
import type { BlobIndex } from './opened.ts';

/** The index of a repository: the shared table of blobs, and the names of the packs that its numbers stand for. */
export class TableIndex implements BlobIndex {
  readonly table = new BlobTable();
  readonly #packIds: Id[] = [];
  readonly #packNumbers = new Map<Id, number>();
  /** By pack number: the index file that names it. */
  readonly #indexFileOf: Id[] = [];
  readonly #key = new Int32Array(8);

  get size(): number {
    return this.table.size;
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

  /** The index file that names a pack, as far as it is known. */
  indexFileOf(packNumber: number): Id | undefined {
    return this.#indexFileOf[packNumber];
  }

  namedBy(packNumber: number, indexFile: Id): void {
    this.#indexFileOf[packNumber] = indexFile;
  }

  /** Sizes of packs by number, bytes: for an index names every blob of a pack, and the header's length follows from them. */
  sizesOf(isWanted: (packNumber: number) => boolean): Map<number, number> {
    const sizes = new Map<number, number>();
    this.table.forEach((_type, _key, { pack, length, uncompressedLength }) => {
      if (isWanted(pack)) sizes.set(pack, (sizes.get(pack) ?? sealOverhead + headerLengthLength) + length + entryLengthOf(uncompressedLength));
    });
    return sizes;
  }

  /** @throws {EngineError} `Damaged` */
  addFile(file: Id, json: Uint8Array): void {
    const pack = (packId: Id) => {
      const number = this.numberOf(packId);
      this.#indexFileOf[number] = file;
      return number;
    };
    const wasScanned = scanIndex(json, {
      pack,
      blob: (packNumber, type, key, offset, length, uncompressedLength) => {
        this.table.place(type, key, { pack: packNumber, offset, length, uncompressedLength });
      },
    });
    if (wasScanned) return;
    parseIndex(json, `index ${file}`, (packId, blob) => {
      this.add(pack(packId), blob);
    });
  }

  add(packNumber: number, blob: PackedBlob): void {
    const { offset, length, uncompressedLength } = blob;
    this.table.place(blob.type, keyOfHex(blob.id, this.#key), { pack: packNumber, offset, length, uncompressedLength });
  }

  hasPack(packId: Id): boolean {
    return this.#packNumbers.has(packId);
  }

  packIds(): Iterable<Id> {
    return this.#packIds;
  }

  /** Builds all lists first: about 200 bytes a blob while it runs. */
  *packs(): Iterable<PackContents> {
    yield* this.contentsOf(new Set(this.#packIds));
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
   * An index file of the given packs with all their blobs, as JSON, in the order in which they are given.
   * @param missing - told of a pack that no index names, or names without blobs
   */
  encode(packs: readonly Id[], missing: (packId: Id) => never): Uint8Array {
    const writer = new IndexWriter();
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
    return writer.finish();
  }

  #locate(place: Place): BlobLocation {
    return { packId: this.packIdOf(place.pack), offset: place.offset, length: place.length, uncompressedLength: place.uncompressedLength };
  }
}
