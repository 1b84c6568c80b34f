import { hash } from 'node:crypto';
import { StorageError, type ObjectStore } from '../../storage/index.ts';
import type { Compression } from '../contract.ts';
import { EngineError } from '../errors.ts';
import {
  damaged, decodeUnpacked, decompress, encodeUnpacked, headerLengthLength, isId, letGo, maxHeaderLength, openUnpacked, parseIndex, parsePackHeader, parseTree, sealIndex, sealOverhead,
  type BlobLocation, type BlobType, type CipherKey, type Config, type Id, type IndexWriter, type PackContents, type PackedBlob, type Tree,
} from '../format/index.ts';
import { memoryPlan } from '../memory-plan.ts';
import { memoryOfProcess, packTargetFor } from '../pipeline/pack-size.ts';
import { PackingWriter } from './blob-writer.ts';
import { takeLock } from './lock.ts';
import { keyOf, type HeldLock, type ListedFile, type LockRequest, type OpenedRepository, type UnpackedKind } from './opened.ts';
import { PackUploader } from './pack-uploader.ts';
import { TableIndex } from './table-index.ts';

/** How many index files are read at once, some megabytes each. */
const indexReaders = 4;
/** So much more room than the first index file lets expect. */
const spareRoom = 1.04;
/** How often index files are listed anew because a prune replaced some meanwhile. */
const indexAttempts = 3;
/** A blob that claims to be larger is an attack on our memory; trees of a million entries stay below. */
const maxBlobLength = 1024 * 1024 * 1024;

/** A repository whose key is at hand. See `OpenedRepository`. */
export class OpenRepository implements OpenedRepository {
  readonly store: ObjectStore;
  readonly key: CipherKey;
  readonly config: Config;
  readonly readOnly: boolean;
  #index: TableIndex | undefined;
  #indexFiles: ListedFile[] = [];
  readonly #closing: (() => Promise<void>)[] = [];

  constructor(options: { readonly store: ObjectStore; readonly key: CipherKey; readonly config: Config; readonly readOnly: boolean }) {
    this.store = options.store;
    this.key = options.key;
    this.config = options.config;
    this.readOnly = options.readOnly;
  }

  get id(): string {
    return this.config.id;
  }

  get indexFiles(): readonly ListedFile[] {
    return this.#indexFiles;
  }

  /** What must be stopped before the key is wiped. */
  onClose(stop: () => Promise<void>): void {
    this.#closing.push(stop);
  }

  async close(): Promise<void> {
    for (const stop of this.#closing.splice(0)) await stop();
    this.key.wipe();
  }

  /** @param options - `except`: index files that are about to go, as if they were gone */
  async loadIndex(options: { readonly reload?: boolean; readonly except?: ReadonlySet<Id>; readonly signal?: AbortSignal | undefined } = {}): Promise<TableIndex> {
    if (this.#index !== undefined && options.reload !== true) return this.#index;
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#readIndex(options.except, options.signal);
      } catch (error) {
        // A prune may replace index files between our listing and our reading; what replaces them is there already.
        const isReplaced = error instanceof StorageError && error.code === 'NotFound';
        if (!isReplaced || attempt === indexAttempts) throw error;
      }
    }
  }

  async #readIndex(except: ReadonlySet<Id> | undefined, signal: AbortSignal | undefined): Promise<TableIndex> {
    const index = new TableIndex();
    index.beginLoading();
    const files = (await collect(this.listFiles('index', signal))).filter(({ id }) => except?.has(id) !== true);
    await this.#readFirst(index, files, signal);
    const queue = files.slice(1).values();
    const readers = Array.from({ length: indexReaders }, async () => {
      for (const { id } of queue) await this.readIndexFile(index, id, signal);
    });
    await Promise.all(readers);
    index.endLoading();
    this.#index = index;
    this.#indexFiles = files;
    return index;
  }

  /** From the first file's share of all bytes follows how many blobs there are: a table of the right size never grows. */
  async #readFirst(index: TableIndex, files: readonly ListedFile[], signal: AbortSignal | undefined): Promise<void> {
    const [first] = files;
    if (first === undefined) return;
    await this.readIndexFile(index, first.id, signal);
    const bytes = files.reduce((sum, { size }) => sum + size, 0);
    index.expect(Math.ceil((index.size * bytes * spareRoom) / first.size));
  }

  /**
   * Takes one index file into an index, without its text ever being whole in memory.
   * @throws {EngineError} `Damaged`
   */
  async readIndexFile(index: TableIndex, id: Id, signal?: AbortSignal): Promise<void> {
    const what = `index/${id}`;
    const sealed = await this.store.get(keyOf('index', id), { signal });
    if (hash('sha256', sealed, 'hex') !== id) throw damaged(what, 'its content is not what its name says');
    const scanner = index.scanner(id);
    openUnpacked(this.key, sealed, what, (piece) => {
      scanner.push(piece);
    });
    letGo(sealed);
    if (scanner.end()) return;
    parseIndex(await this.loadUnpacked('index', id, signal), `index ${id}`, (packId, blob) => {
      index.addOf(id, packId, blob);
    });
  }

  async loadBlob(type: BlobType, id: Id, signal?: AbortSignal): Promise<Uint8Array> {
    const index = await this.loadIndex({ signal });
    const places = index.lookupAll(type, id);
    if (places.length === 0) throw damaged(`${type} blob ${id}`, 'no index file names it');
    let failure: unknown;
    for (const place of places) {
      try {
        return await this.#loadBlobAt(type, id, place, signal);
      } catch (error) {
        signal?.throwIfAborted();
        failure ??= error;
      }
    }
    throw failure;
  }

  async loadTree(id: Id, signal?: AbortSignal): Promise<Tree> {
    return parseTree(await this.loadBlob('tree', id, signal), `tree ${id}`);
  }

  openBlob(blob: PackedBlob, encrypted: Uint8Array): Uint8Array {
    const what = `${blob.type} blob ${blob.id}`;
    const payload = this.key.open(encrypted);
    if (payload === undefined) throw damaged(what, 'its MAC does not match');
    if (blob.uncompressedLength > maxBlobLength) throw damaged(what, 'it claims an impossible length');
    const plaintext = blob.uncompressedLength === 0 ? payload : decompress(payload, blob.uncompressedLength, what);
    if (hash('sha256', plaintext, 'hex') !== blob.id) throw damaged(what, 'its content is not what its id says');
    return plaintext;
  }

  async loadPackHeader(packId: Id, size: number, signal?: AbortSignal): Promise<PackContents> {
    const { header, end } = await this.loadHeader(packId, size, signal);
    return { id: packId, blobs: parsePackHeader(header, end, `pack ${packId}`) };
  }

  /** As `loadPackHeader`, the header's plaintext, for `scanPackHeader`: a pack of tiny files has a hundred thousand blobs. `end`: where it begins. */
  async loadHeader(packId: Id, size: number, signal?: AbortSignal): Promise<{ readonly header: Uint8Array; readonly end: number }> {
    const what = `pack ${packId}`;
    if (size < headerLengthLength + sealOverhead) throw damaged(what, 'it is too short');
    // Most headers are in the last 16 KiB, so that one read does.
    const tailLength = Math.min(size, 16 * 1024);
    const tail = Buffer.from(await this.store.get(keyOf('data', packId), { range: { offset: size - tailLength, length: tailLength }, signal }));
    const sealedLength = tail.readUInt32LE(tailLength - headerLengthLength);
    const headerAt = size - headerLengthLength - sealedLength;
    if (sealedLength < sealOverhead || sealedLength > maxHeaderLength || headerAt < 0) throw damaged(what, 'its header has an impossible length');
    const isInTail = sealedLength + headerLengthLength <= tailLength;
    const sealed = isInTail
      ? tail.subarray(tailLength - headerLengthLength - sealedLength, tailLength - headerLengthLength)
      : await this.store.get(keyOf('data', packId), { range: { offset: headerAt, length: sealedLength }, signal });
    const header = this.key.open(sealed);
    if (header === undefined) throw damaged(what, "its header's MAC does not match");
    return { header, end: headerAt };
  }

  async *listFiles(kind: UnpackedKind | 'data' | 'keys', signal?: AbortSignal): AsyncIterable<ListedFile> {
    for await (const { key, size } of this.store.list(`${kind}/`, { signal })) {
      const id = key.slice(key.lastIndexOf('/') + 1);
      if (isId(id) && key === keyOf(kind, id)) yield { id, size };
    }
  }

  async loadUnpacked(kind: UnpackedKind, id: Id, signal?: AbortSignal): Promise<Uint8Array> {
    const what = `${kind}/${id}`;
    const sealed = await this.store.get(keyOf(kind, id), { signal });
    if (hash('sha256', sealed, 'hex') !== id) throw damaged(what, 'its content is not what its name says');
    const plaintext = this.key.open(sealed);
    if (plaintext === undefined) throw damaged(what, 'its MAC does not match');
    return decodeUnpacked(plaintext, what);
  }

  async saveUnpacked(kind: UnpackedKind, json: Uint8Array, signal?: AbortSignal): Promise<ListedFile> {
    this.#assertWritable();
    const sealed = this.key.seal(encodeUnpacked(json, this.config.version));
    const sha256 = hash('sha256', sealed, 'buffer');
    const id = sha256.toString('hex');
    await this.store.put(keyOf(kind, id), sealed, { sha256, signal });
    return { id, size: sealed.length };
  }

  async saveIndex(write: (writer: IndexWriter) => void, signal?: AbortSignal): Promise<ListedFile> {
    this.#assertWritable();
    const { parts, size, sha256 } = sealIndex(this.key, this.config.version, write);
    const id = sha256.toString('hex');
    await this.store.put(keyOf('index', id), parts, { sha256, signal });
    return { id, size };
  }

  async removeFiles(kind: UnpackedKind | 'data', ids: readonly Id[], signal?: AbortSignal): Promise<void> {
    this.#assertWritable();
    await this.store.deleteMany(ids.map((id) => keyOf(kind, id)), { signal });
  }

  async startUploading(signal?: AbortSignal): Promise<PackUploader> {
    this.#assertWritable();
    const index = await this.loadIndex({ signal });
    const saveIndex = async (write: (writer: IndexWriter) => void) => {
      const saved = await this.saveIndex(write, signal);
      this.#indexFiles.push(saved);
      return saved;
    };
    return new PackUploader({ store: this.store, index, saveIndex, signal });
  }

  /** What the format allows of what is wanted. */
  compressionOf(wanted: Compression): Compression {
    return this.config.version === 2 ? wanted : 'off';
  }

  /** @param compression - of blobs that this thread makes */
  async startWriting(signal?: AbortSignal, compression: Compression = 'auto'): Promise<PackingWriter> {
    const uploader = await this.startUploading(signal);
    const index = await this.loadIndex({ signal });
    const { packTarget: least, workers } = memoryPlan();
    const packTarget = packTargetFor({ least, repositoryBytes: index.storedBytes(), memoryBytes: memoryOfProcess(), threads: workers });
    return new PackingWriter({ table: index.table, uploader, material: this.key.material, packTarget, compression: this.compressionOf(compression) });
  }

  async lock(request: LockRequest): Promise<HeldLock> {
    this.#assertWritable();
    const store = {
      list: (signal?: AbortSignal) => this.listFiles('locks', signal),
      load: (id: Id, signal?: AbortSignal) => this.loadUnpacked('locks', id, signal),
      save: (json: Uint8Array, signal?: AbortSignal) => this.saveUnpacked('locks', json, signal),
      remove: (ids: readonly Id[]) => this.removeFiles('locks', ids),
      writtenAt: async (id: Id, signal?: AbortSignal) => {
        const found = await this.store.head(keyOf('locks', id), { signal });
        return found === undefined ? 'absent' : found.modifiedAt;
      },
    };
    return takeLock(store, request);
  }

  async #loadBlobAt(type: BlobType, id: Id, place: BlobLocation, signal: AbortSignal | undefined): Promise<Uint8Array> {
    const { packId, offset, length, uncompressedLength } = place;
    try {
      const encrypted = await this.store.get(keyOf('data', packId), { range: { offset, length }, signal });
      return this.openBlob({ type, id, offset, length, uncompressedLength }, encrypted);
    } catch (cause) {
      const isAbsent = cause instanceof StorageError && (cause.code === 'NotFound' || cause.code === 'Truncated');
      throw isAbsent ? damaged(`pack ${packId}`, 'it is missing or too short, though the index names it', cause) : cause;
    }
  }

  #assertWritable(): void {
    if (!this.readOnly) return;
    throw new EngineError('Unexpected', `The repository at ${this.store.location} was opened read-only, so nothing can be written to it. Open it for writing.`);
  }
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}
