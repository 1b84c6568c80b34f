import type { Compression } from '../contract.ts';
import { encodeTree, keyOfBytes, type BlobType, type Id, type PackedBlob, type Tree } from '../format/index.ts';
import { BlobCodec } from '../pipeline/blob-codec.ts';
import { alignedBuffer, freeBuffer } from '../pipeline/pack-buffers.ts';
import { capacityFor, PackBuilder } from '../pipeline/pack-builder.ts';
import { mostTreePack } from '../pipeline/pack-size.ts';
import type { BlobTable } from './blob-table.ts';
import type { BlobWriter, ListedFile } from './opened.ts';
import type { PackUploader } from './pack-uploader.ts';

/** How many packs of this thread may wait for the store before the next blob is taken. */
const maxUploads = 2;

export interface SavedBlob {
  readonly id: Id;
  readonly isNew: boolean;
  /** Bytes in the pack; 0 when it was there already. */
  readonly bytesAdded: number;
  /** Where it was already, by number. */
  readonly pack?: number;
}

export interface PackingWriterOptions {
  readonly table: BlobTable;
  readonly uploader: PackUploader;
  /** The repository's key; the writer frees what it derives from it. */
  readonly material: Uint8Array;
  readonly packTarget: number;
  readonly compression: Compression;
}

/** Saves blobs that are made on this thread: trees, and what a repack moves. */
export class PackingWriter implements BlobWriter {
  readonly #options: PackingWriterOptions;
  readonly #codec: BlobCodec;
  readonly #builders: Readonly<Record<BlobType, PackBuilder>>;
  readonly #key = new Int32Array(8);
  readonly #spare: Buffer[] = [];

  constructor(options: PackingWriterOptions) {
    this.#options = options;
    this.#codec = new BlobCodec(options.material);
    this.#builders = { data: this.#builderOf('data'), tree: this.#builderOf('tree') };
  }

  /** As `save`, at once; call `settle` now and then, for nothing here waits for the store. */
  saveNow(type: BlobType, plaintext: Uint8Array): SavedBlob {
    const digest = this.#codec.sha256(plaintext);
    const id = Buffer.from(digest).toString('hex');
    const claim = this.#options.table.claim(type, keyOfBytes(digest, this.#key));
    if (claim.state === 'placed') return { id, isNew: false, bytesAdded: 0, pack: claim.pack };
    if (claim.state === 'pending') return { id, isNew: false, bytesAdded: 0 };
    this.#options.table.growIfNeeded();
    const bytesAdded = this.#builders[type].add(Buffer.from(id, 'hex'), plaintext, this.#options.compression);
    return { id, isNew: true, bytesAdded };
  }

  async save(type: BlobType, plaintext: Uint8Array): Promise<SavedBlob> {
    const saved = this.saveNow(type, plaintext);
    await this.settle();
    return saved;
  }

  async saveTree(tree: Tree): Promise<Id> {
    return (await this.save('tree', encodeTree(tree))).id;
  }

  async saveEncrypted(blob: PackedBlob, encrypted: Uint8Array): Promise<void> {
    this.#builders[blob.type].addSealed(Buffer.from(blob.id, 'hex'), encrypted, blob.uncompressedLength);
    await this.settle();
  }

  /** Stores packs that other threads have finished, too. */
  get uploader(): PackUploader {
    return this.#options.uploader;
  }

  get packTarget(): number {
    return this.#options.packTarget;
  }

  /** Packs that another thread left open are continued here. */
  get data(): PackBuilder {
    return this.#builders.data;
  }

  async settle(): Promise<void> {
    await this.#options.uploader.settle(maxUploads);
  }

  async finish(): Promise<{ readonly packs: readonly ListedFile[]; readonly indexes: readonly ListedFile[] }> {
    this.#builders.data.finish();
    this.#builders.tree.finish();
    await this.#options.uploader.finish();
    this.free();
    return { packs: this.#options.uploader.packs, indexes: this.#options.uploader.indexes };
  }

  free(): void {
    this.#codec.free();
    for (const buffer of this.#spare.splice(0)) freeBuffer(buffer);
  }

  #builderOf(type: BlobType): PackBuilder {
    const { packTarget } = this.#options;
    const capacity = capacityFor(packTarget);
    return new PackBuilder({
      type,
      isSpread: type === 'data',
      codec: this.#codec,
      target: type === 'data' ? packTarget : Math.min(packTarget, mostTreePack),
      takeBuffer: (length) => (length <= capacity ? this.#spare.pop() : undefined) ?? alignedBuffer(Math.max(length, capacity)),
      giveBuffer: (buffer) => this.#spare.push(buffer),
      onFinished: (pack) => {
        this.#options.uploader.upload(pack, () => {
          // One is enough; those that other threads left go.
          if (this.#spare.length === 0 && pack.body.length === capacity) this.#spare.push(pack.body);
          else freeBuffer(pack.body);
        });
      },
    });
  }
}
