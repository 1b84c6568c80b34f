import type { LockOptions, Repository } from '../contract.ts';
import type { BlobLocation, BlobType, PackContents, PackedBlob } from '../format/blob.ts';
import type { Config } from '../format/config.ts';
import type { CipherKey } from '../format/crypto.ts';
import type { IndexWriter } from '../format/index-writer.ts';
import type { Id, Tree } from '../format/node.ts';

export type { BlobLocation, BlobType, PackContents, PackedBlob } from '../format/blob.ts';

/** The folders of a repository whose files are encrypted whole. */
export type UnpackedKind = 'snapshots' | 'index' | 'locks';

/** Every blob that the repository's index files name. A blob that lies in several packs is listed in each. */
export interface BlobIndex {
  /** Entries, duplicates included. */
  readonly size: number;
  has(type: BlobType, id: Id): boolean;
  lookup(type: BlobType, id: Id): BlobLocation | undefined;
  /** All places of one blob. */
  lookupAll(type: BlobType, id: Id): BlobLocation[];
  hasPack(packId: Id): boolean;
  packIds(): Iterable<Id>;
  /** Writes an index file of these packs; `missing` is told of a pack that no index names. */
  write(writer: IndexWriter, packs: Iterable<Id>, missing: (packId: Id) => never): void;
}

export interface ListedFile {
  readonly id: Id;
  /** bytes */
  readonly size: number;
}

/** A lock file that is held and refreshed until released. */
export interface HeldLock {
  /** Aborts when the lock could not be refreshed in time, or someone removed it: stop writing. */
  readonly lost: AbortSignal;
  release(): Promise<void>;
}

export interface LockRequest extends LockOptions {
  readonly exclusive: boolean;
  readonly signal?: AbortSignal | undefined;
}

/**
 * What the rest of the engine works with; `openedOf` gets it from the `Repository` that callers hold.
 * All loads verify the MAC, and the SHA-256 that the name promises; they throw `Damaged` otherwise.
 */
export interface OpenedRepository extends Repository {
  readonly config: Config;
  readonly key: CipherKey;
  readonly readOnly: boolean;

  /** Loads the index files on first use (or again, with `reload`). List snapshots first: design.rst "Read and Write Ordering". */
  loadIndex(options?: { readonly reload?: boolean; readonly signal?: AbortSignal | undefined }): Promise<BlobIndex>;
  /** The index files that the loaded index was read from, and those saved since. */
  readonly indexFiles: readonly ListedFile[];

  /** A blob's plaintext, verified against its id; tries each place when it lies in several packs. */
  loadBlob(type: BlobType, id: Id, signal?: AbortSignal): Promise<Uint8Array>;
  loadTree(id: Id, signal?: AbortSignal): Promise<Tree>;
  /** Decrypts, decompresses and verifies one blob whose encrypted bytes were read elsewhere. */
  openBlob(blob: PackedBlob, encrypted: Uint8Array): Uint8Array;
  /** Reads a pack's own header: the truth about its content, whatever the index says. `size`: of the pack, bytes. */
  loadPackHeader(packId: Id, size: number, signal?: AbortSignal): Promise<PackContents>;

  /** Packs lie under `data/xx/`, the others in their folder. Names that are no ids are left out. */
  listFiles(kind: UnpackedKind | 'data' | 'keys', signal?: AbortSignal): AsyncIterable<ListedFile>;
  /** The plaintext JSON of a file. */
  loadUnpacked(kind: UnpackedKind, id: Id, signal?: AbortSignal): Promise<Uint8Array>;
  /** Stores an index file that is written piece by piece. */
  saveIndex(write: (writer: IndexWriter) => void, signal?: AbortSignal): Promise<ListedFile>;
  saveUnpacked(kind: UnpackedKind, json: Uint8Array, signal?: AbortSignal): Promise<ListedFile>;
  removeFiles(kind: UnpackedKind | 'data', ids: readonly Id[], signal?: AbortSignal): Promise<void>;

  /** Writes blobs into packs; `finish` flushes them and saves the index. One at a time. */
  startWriting(signal?: AbortSignal): Promise<BlobWriter>;
  lock(request: LockRequest): Promise<HeldLock>;
}

/** Saves blobs that are made on this thread (trees, repacked blobs). */
export interface BlobWriter {
  /** Stores a blob unless it is there already; resolves once it is in an open pack (not yet uploaded). */
  save(type: BlobType, plaintext: Uint8Array): Promise<{ readonly id: Id; readonly isNew: boolean; readonly bytesAdded: number }>;
  saveTree(tree: Tree): Promise<Id>;
  /** Takes an encrypted blob over as it is (repacking): the key is the same, so nothing is encrypted again. */
  saveEncrypted(blob: PackedBlob, encrypted: Uint8Array): Promise<void>;
  /** Uploads what is open and saves the index of everything that was written. */
  finish(): Promise<{ readonly packs: readonly ListedFile[]; readonly indexes: readonly ListedFile[] }>;
}

/** The name of a file in the store. */
export function keyOf(kind: UnpackedKind | 'data' | 'keys', id: Id): string {
  return kind === 'data' ? `data/${id.slice(0, 2)}/${id}` : `${kind}/${id}`;
}
