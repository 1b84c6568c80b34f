/**
 * What the engine does for `mover/` and `cmd/`: the functions that `restic/index.ts` exports have these shapes.
 * The engine knows nothing of Kubernetes, tenants or KMS: it gets a store, a password and paths.
 */
import type { ObjectStore } from '../storage/index.ts';

export interface OpenOptions {
  readonly store: ObjectStore;
  /** The repository's password: the written form of the secret key. The caller zeroes its copy. */
  readonly password: Uint8Array;
  /** No lock files and no writes: for a repository in a downloaded file or a locked bucket. */
  readonly readOnly?: boolean;
  readonly signal?: AbortSignal | undefined;
}

export interface InitOptions {
  readonly store: ObjectStore;
  readonly password: Uint8Array;
  readonly signal?: AbortSignal | undefined;
}

/** An open repository. `id` is that of `config`. Close it to wipe its keys and stop its workers. */
export interface Repository {
  readonly id: string;
  readonly store: ObjectStore;
  close(): Promise<void>;
}

export interface LockOptions {
  /** Written into restic's lock file; the attempt's name inside a Job, the machine's name elsewhere. */
  readonly hostname: string;
  /** Host names of attempts that are known to be dead: their locks are removed at once. */
  readonly deadHostnames?: readonly string[];
  /** How long to wait for a lock that is in the way before `Locked` is thrown, ms; ten seconds for backups, else 0, unless set. */
  readonly lockWaitMs?: number | undefined;
}

/**
 * restic's `--compression` for new data: `auto` goes by what each chunk promises, `max` spends several times the CPU on a smaller repository, `off`
 * stores data as it is. Trees are compressed in any case, and nothing is in repositories of format 1, which know no compression.
 */
export type Compression = 'auto' | 'max' | 'off';

export interface BackupSource {
  /** Where the files lie on this machine; absolute. */
  readonly directory: string;
  /** The path under which the snapshot shows them, e.g. `/volumes/data`; the directory's own path where absent. */
  readonly as?: string;
}

/** Bytes of no file, such as a database's dump, that the snapshot shows as one. */
export interface StreamSource {
  /** The path under which the snapshot shows it, e.g. `/streams/db`. */
  readonly as: string;
  /** Called once, when the backup comes to it; read no faster than it is stored. What it throws ends the backup as it is. */
  open(signal: AbortSignal): AsyncIterable<Uint8Array>;
  /** What it throws leaves the file out instead, and the backup is not complete. */
  readonly mayFail?: boolean;
}

export interface BackupRequest extends LockOptions {
  /** May be empty when there are streams. */
  readonly sources: readonly BackupSource[];
  readonly streams?: readonly StreamSource[];
  /** Recorded in the snapshot (`tenantId`); restic's `--host`. */
  readonly snapshotHostname: string;
  readonly tags: readonly string[];
  /** Globs as restic's `--exclude` takes them, matched against the path that the snapshot shows. */
  readonly excludes?: readonly string[];
  /** The parent for unchanged files: a snapshot's id, or `undefined` for none. See `findParent`. */
  readonly parent?: string | undefined;
  /** Unchanged means the same size and mtime only (copied volumes get new inodes and ctimes). */
  readonly ignoreInodeAndCtime?: boolean;
  /** `auto` unless set. */
  readonly compression?: Compression;
  /** Enter other file systems that are mounted below a source; off by default. */
  readonly crossFileSystems?: boolean;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: (progress: Progress) => void;
}

/** Counts so far. Totals are absent until the scan has ended. */
export interface Progress {
  /** What `filesDone` and `filesTotal` count; files unless set. */
  readonly unit?: 'directory' | 'pack' | 'object';
  readonly filesDone: number;
  readonly bytesDone: number;
  readonly filesTotal?: number;
  readonly bytesTotal?: number;
  /** Bytes that were new and went to the store, after compression (backup), or were written (restore). */
  readonly bytesAdded: number;
  readonly currentPath?: string;
}

/** Something that could not be done to one path; the work went on. */
export interface PathWarning {
  readonly path: string;
  /** e.g. `unreadable`, `vanished`, `changed`, `metadata`, `unsafe-name`, `damaged` */
  readonly kind: string;
  readonly message: string;
}

export interface BackupOutcome {
  readonly snapshotId: string;
  readonly parent?: string;
  /** False when a file that was listed could not be read whole. */
  readonly complete: boolean;
  readonly files: number;
  readonly directories: number;
  readonly filesUnchanged: number;
  /** Size of the files as they are read, bytes. */
  readonly bytesProcessed: number;
  /** Bytes that were new, after compression and encryption. */
  readonly bytesAdded: number;
  /** The first 100 warnings; `warningCount` counts them all. */
  readonly warnings: readonly PathWarning[];
  readonly warningCount: number;
  readonly durationMs: number;
  /** What a manifest of this snapshot must name (`layout.md`): every pack that its trees and data reach, and the index files. */
  readonly reach: SnapshotReach;
}

/** An index file that a snapshot needs. */
export interface NeededIndex {
  readonly id: string;
  /** bytes */
  readonly size: number;
  /** The packs that it names and the snapshot needs; each pack stands with one index file only. */
  readonly needed: readonly string[];
  /** The packs that it names and the snapshot does not need. */
  readonly others: readonly string[];
}

/** The names in a repository that one snapshot needs, with sizes in bytes. */
export interface SnapshotReach {
  readonly packs: readonly { readonly id: string; readonly size: number }[];
  readonly indexes: readonly NeededIndex[];
  readonly snapshot: { readonly id: string; readonly size: number };
}

export interface RestoreRequest {
  /** A snapshot's id (a unique prefix will do). */
  readonly snapshot: string;
  /** Restore what lies below this path of the snapshot, e.g. `/volumes/data`; `/` for everything. */
  readonly subtree?: string;
  readonly target: string;
  readonly includes?: readonly string[];
  readonly excludes?: readonly string[];
  /** Remove what the snapshot does not have (below the subtree, what the globs leave out is left alone). */
  readonly deleteExtra?: boolean;
  readonly dryRun?: boolean;
  /** Restore what can be restored although some blobs are damaged; else damage stops the work before the first write of that file. */
  readonly skipDamaged?: boolean;
  /** Whoever wrote the snapshot may have forged it (an imported file): no devices, no setuid or setgid, no attributes that grant rights. */
  readonly isUntrusted?: boolean;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: (progress: Progress) => void;
}

export interface RestoreOutcome {
  /** Regular files, each of their names; as in `BackupOutcome`. Links, devices and the like are restored, not counted. */
  readonly files: number;
  readonly directories: number;
  readonly filesSkippedIdentical: number;
  readonly bytesWritten: number;
  readonly deleted: number;
  readonly complete: boolean;
  readonly warnings: readonly PathWarning[];
  readonly warningCount: number;
  readonly durationMs: number;
}

export interface SnapshotSummary {
  readonly id: string;
  readonly time: string;
  readonly hostname: string;
  readonly paths: readonly string[];
  readonly tags: readonly string[];
  /** Patterns of what was left out, where there were any. */
  readonly excludes?: readonly string[];
  readonly tree: string;
  readonly parent?: string;
  /** restic's `summary` field where the writer left one. */
  readonly summary?: Readonly<Record<string, unknown>>;
}

export interface LsEntry {
  readonly path: string;
  readonly type: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size?: number;
  readonly mtime?: string;
  readonly linkTarget?: string;
}

export interface PrunePlan {
  /** `planPrune`: every pack that no snapshot needs. `prune`: those that this run removed. */
  readonly packsToDelete: readonly string[];
  /** `prune`: packs that nothing refers to any more and that leave once the grace has passed, and their bytes. */
  readonly packsMarked?: readonly string[];
  readonly bytesMarked?: number;
  /** Bytes. */
  readonly bytesKept: number;
  readonly bytesFreed: number;
  readonly bytesUnused: number;
  readonly packsKept: number;
}

/** What a prune replaces. Everything new is stored already; everything old is still there. */
export interface PruneReplacement {
  readonly savedPacks: readonly { readonly id: string; readonly size: number }[];
  readonly savedIndexes: readonly { readonly id: string; readonly size: number }[];
  /** Index files that go next, and packs that nothing refers to any more then. */
  readonly removedIndexes: readonly string[];
  readonly removedPacks: readonly string[];
  /** What a snapshot needs from now on. */
  reachOf(snapshotId: string): Promise<SnapshotReach>;
}

export interface PruneRequest extends LockOptions {
  /** How long a pack that nothing refers to stays for readers and downloads in flight, ms. */
  readonly graceMs: number;
  readonly now: Date;
  readonly signal?: AbortSignal | undefined;
  /**
   * Rewrite packs of which more than this share is waste, 0 to 1 (0.5 is a good choice); off unless set, for it moves data that
   * manifests name: see `onReplace`.
   */
  readonly repackAbove?: number;
  /** Directories while the snapshots are looked through, then packs that are rewritten. */
  readonly onProgress?: (progress: Progress) => void;
  /** Called before anything old is removed: write the next revision of each manifest that names what is replaced (`layout.md`). */
  readonly onReplace?: (replacement: PruneReplacement) => Promise<void>;
  /** The ids of those `exports/` that nothing refers to; asked for below the lock. They go in the same two phases as packs. */
  readonly strayExports?: () => Promise<readonly string[]>;
}

export interface CheckRequest {
  /** Hold a shared lock meanwhile, so that no prune takes away what is being looked at; none unless set, nor in a read-only repository. */
  readonly lock?: LockOptions | undefined;
  /** `all`, a share of the packs: `{ percent: 10 }`, or one of so many parts, which together are all. Structure and pack sizes are always checked. */
  readonly readData?: 'none' | 'all' | { readonly percent: number; readonly seed?: string } | DataPart;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: (progress: Progress) => void;
}

/** Part `part`, from 1, of `of` (256 at most), by the first byte of a pack's id, as restic's `--read-data-subset=n/t` has it; and these packs besides. */
export interface DataPart {
  readonly part: number;
  readonly of: number;
  readonly also?: readonly string[];
}

/** Files to restore for a trial, by the paths that the snapshot shows. */
export interface FileSample {
  readonly files: readonly { readonly path: string; readonly size: number }[];
  /** Files that no room was given for. */
  readonly tooLarge: number;
}

export interface FileComparison {
  readonly files: number;
  readonly bytes: number;
  readonly differences: readonly { readonly path: string; readonly message: string }[];
}

/** A snapshot that cannot be restored whole. */
export interface AffectedSnapshot {
  readonly snapshotId: string;
  readonly files: number;
  /** The first of them. */
  readonly paths: readonly string[];
}

export interface CheckOutcome {
  readonly problems: readonly { readonly kind: string; readonly object: string; readonly message: string }[];
  readonly packsChecked: number;
  readonly packsRead: number;
  readonly snapshots: number;
}

/** Exported by `restic/index.ts`, one function each. */
export interface Engine {
  initRepository(options: InitOptions): Promise<Repository>;
  openRepository(options: OpenOptions): Promise<Repository>;
  backup(repository: Repository, request: BackupRequest): Promise<BackupOutcome>;
  restore(repository: Repository, request: RestoreRequest): Promise<RestoreOutcome>;
  listSnapshots(repository: Repository, signal?: AbortSignal): Promise<SnapshotSummary[]>;
  /** The newest snapshot that carries each of `tags`, for `paths` alike; the caller rules out incomplete ones by id. */
  findParent(repository: Repository, match: { tags: readonly string[]; paths: readonly string[]; not?: ReadonlySet<string> }): Promise<string | undefined>;
  resolveSnapshot(repository: Repository, idOrLatest: string): Promise<SnapshotSummary>;
  ls(repository: Repository, snapshot: string, signal?: AbortSignal): AsyncIterable<LsEntry>;
  forget(repository: Repository, request: LockOptions & { snapshots: readonly string[]; signal?: AbortSignal }): Promise<{ removed: readonly string[] }>;
  planPrune(repository: Repository, signal?: AbortSignal, onProgress?: (progress: Progress) => void): Promise<PrunePlan>;
  /** Two phases (`layout.md`): index first, unreferenced packs once they have been marked for `graceMs`; 0 for people who know. */
  prune(repository: Repository, request: PruneRequest): Promise<PrunePlan>;
  /** What a manifest of a snapshot must name: packs, index files, the snapshot file itself. Reads the snapshot's trees. */
  reachOf(repository: Repository, snapshot: string, signal?: AbortSignal): Promise<SnapshotReach>;
  check(repository: Repository, request: CheckRequest): Promise<CheckOutcome>;
  /** Files of a snapshot, the same ones for the same seed; together no larger than `maxBytes`. */
  sampleFiles(repository: Repository, request: { readonly snapshot: string; readonly seed: string; readonly count: number; readonly maxBytes: number; readonly signal?: AbortSignal | undefined }): Promise<FileSample>;
  /** A pattern that matches this path and nothing beside it. */
  literalPattern(path: string): string;
  /** Compares what was restored to `target` with the snapshot's trees, by hashes of what lies on the disk. */
  compareFiles(repository: Repository, request: { readonly snapshot: string; readonly target: string; readonly paths: readonly string[]; readonly signal?: AbortSignal | undefined }): Promise<FileComparison>;
  /** Which snapshots need one of these packs, or what is in no index file. */
  affectedBy(repository: Repository, request: { readonly packs: readonly string[]; readonly signal?: AbortSignal | undefined }): Promise<AffectedSnapshot[]>;
  /** The key material of the manifest MAC: HKDF input `encrypt ‖ mac.k ‖ mac.r` is never handed out, only MACs are made. */
  manifestMac(repository: Repository, canonicalJson: Uint8Array): Uint8Array;
  /** Writes the export index of `layout.md` for packs (every blob of each) as an encrypted restic index file; returns its bytes, in several buffers. */
  exportIndex(repository: Repository, packs: readonly string[]): Promise<{ readonly parts: readonly Uint8Array[]; readonly size: number; readonly sha256: Uint8Array }>;
}

export type EngineErrorCode =
  | 'NoRepository'
  | 'AlreadyInitialized'
  | 'WrongKey'
  | 'UnknownVersion'
  | 'Damaged'
  | 'Locked'
  | 'NoSuchSnapshot'
  | 'AmbiguousSnapshot'
  | 'SourceMissing'
  | 'SourceLost'
  | 'NoSpace'
  | 'TargetUnwritable'
  | 'Aborted'
  | 'Unexpected';
