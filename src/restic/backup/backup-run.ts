import type { BackupOutcome, BackupRequest, BackupSource, SnapshotReach, StreamSource } from '../contract.ts';
import { EngineError } from '../errors.ts';
import { byteString, byteStringFromText, encodeSnapshot, formatTime, gearTable, gearTableInfo, gearTableLength, TimeFormatter, type ByteString, type Id, type Node } from '../format/index.ts';
import { compileGlobs, errnoCodeOf, openSourceReader, type FileStat, type SourceReader, type WalkStep } from '../fs/index.ts';
import { collectWithin, memoryPlanOf, workersWithin } from '../memory-plan.ts';
import { WorkerPool } from '../pipeline/worker-pool.ts';
import { loadSnapshot, type ListedFile, type OpenRepository, type PackingWriter, type TableIndex } from '../repository/index.ts';
import { Archive } from './archive.ts';
import type { DirectoryFrame } from './directory-frame.ts';
import { FileQueue } from './file-queue.ts';
import { nodeOf, virtualDirectory } from './node-of.ts';
import type { ParentTree } from './parent-tree.ts';
import { Reach } from './reach.ts';
import { shownPath, sortedChildren, streamPath, type SourceTree } from './source-tree.ts';
import { Statistics } from './statistics.ts';
import { storeStream, type StreamContent } from './stream-file.ts';
import { TreeReader } from './tree-reader.ts';

const programVersion = 'tenant-backup';

/** One backup under its lock: walk and trees on this thread, files in worker threads, then index and snapshot. */
export class BackupRun {
  readonly #repository: OpenRepository;
  readonly #request: BackupRequest;
  readonly #signal: AbortSignal;
  readonly #startedAt = new Date();
  readonly #started = performance.now();
  readonly #statistics: Statistics;
  readonly #reader: SourceReader = openSourceReader();

  constructor(repository: OpenRepository, request: BackupRequest, signal: AbortSignal) {
    this.#repository = repository;
    this.#request = request;
    this.#signal = signal;
    this.#statistics = new Statistics(request.onProgress);
  }

  async run(sources: SourceTree): Promise<BackupOutcome> {
    const parent = await this.#loadParent();
    const index = await this.#repository.loadIndex({ reload: true, signal: this.#signal });
    const reach = new Reach(index);
    // Trees are compressed whatever becomes of the data, as restic has it.
    const writer = await this.#repository.startWriting(this.#signal, this.#request.compression === 'max' ? 'max' : 'auto');
    const material = new SharedArrayBuffer(this.#repository.key.material.length);
    new Uint8Array(material).set(this.#repository.key.material);
    const failed = Promise.withResolvers<never>();
    failed.promise.catch(() => undefined);
    const fail = () => {
      failed.reject(this.#signal.reason);
    };
    this.#signal.addEventListener('abort', fail, { once: true });
    const gear = gearTable(this.#repository.key.derive(gearTableInfo, gearTableLength));
    const pool = this.#startPool({ index, reach, writer, material, gear, onResult: (result) => queue.receive(result), onError: failed.reject });
    const queue = new FileQueue(pool, this.#reader, this.#statistics);
    const trees = new TreeReader(this.#repository, index, this.#signal);
    let archiving: Promise<Id> | undefined;
    try {
      const archive = new Archive({
        writer,
        queue,
        reach,
        statistics: this.#statistics,
        trees,
        ignoreInodeAndCtime: this.#request.ignoreInodeAndCtime === true,
      });
      const store = (stream: StreamSource) => storeStream(stream, { gear, writer, reach, statistics: this.#statistics }, this.#signal);
      archiving = this.#archive({ archive, store }, queue, sources, parent?.tree);
      const tree = await Promise.race([archiving, failed.promise]);
      const written = await Promise.race([this.#finishPacks(pool, writer), failed.promise]);
      collectWithin(process.constrainedMemory());
      const snapshot = await this.#saveSnapshot(tree, parent?.id);
      this.#statistics.report(true);
      return this.#outcome(parent?.id, reach.describe(written, this.#repository.indexFiles, snapshot));
    } catch (error) {
      await pool.stop();
      await Promise.allSettled([archiving]);
      queue.abandon();
      await writer.uploader.quiesce();
      writer.free();
      throw error;
    } finally {
      this.#signal.removeEventListener('abort', fail);
      index.table.onSegment = undefined;
      new Uint8Array(material).fill(0);
      trees.free();
    }
  }

  /** The parent may have been forgotten since it was chosen: then there is none. */
  async #loadParent(): Promise<{ readonly id: Id; readonly tree: Id } | undefined> {
    const id = this.#request.parent;
    if (id === undefined) return undefined;
    try {
      return { id, tree: (await loadSnapshot(this.#repository, id, this.#signal)).tree };
    } catch (error) {
      if (error instanceof EngineError && error.code === 'NoSuchSnapshot') return undefined;
      throw error;
    }
  }

  #startPool(parts: {
    readonly index: TableIndex;
    readonly reach: Reach;
    readonly writer: PackingWriter;
    readonly material: SharedArrayBuffer;
    readonly gear: Int32Array;
    readonly onResult: ConstructorParameters<typeof WorkerPool>[0]['onResult'];
    readonly onError: (error: unknown) => void;
  }): WorkerPool {
    const { index, reach, writer, material, gear, onResult, onError } = parts;
    const limit = process.constrainedMemory();
    const { workers } = memoryPlanOf(limit);
    const pool = new WorkerPool({
      mostWorkers: workers,
      packTarget: writer.packTarget,
      material,
      gear,
      tableMemories: () => index.table.memories,
      reached: reach.bits,
      compression: this.#repository.compressionOf(this.#request.compression ?? 'auto'),
      onResult,
      onBatch: () => {
        index.table.growIfNeeded();
        pool.shrinkTo(workersWithin(limit, index.table.bytesAfterGrowth));
        this.#statistics.report();
      },
      onPack: (pack, release) => {
        writer.uploader.upload(pack, release);
      },
      onLeft: (open) => {
        writer.data.finishOthers(open);
      },
      onError,
    });
    index.table.onSegment = (memory) => {
      pool.addSegment(memory);
    };
    return pool;
  }

  /** @returns the id of the snapshot's tree, once every file has come back */
  async #archive(into: Into, queue: FileQueue, sources: SourceTree, parentTree: Id | undefined): Promise<Id> {
    const { archive } = into;
    const previous = parentTree === undefined ? undefined : await archive.loadPrevious(parentTree, byteString('/'));
    const root =
      sources.source === undefined
        ? await this.#above(into, sources, { name: byteString(''), path: '', above: undefined, previous })
        : await archive.source(this.#walk(sources.source), byteString(''), undefined, previous);
    this.#statistics.isListed = true;
    await queue.drain();
    if (root.treeId === undefined) throw new Error('every directory is done once every file is');
    return root.treeId;
  }

  /** The directories above the sources: real ones where the snapshot shows the sources' own paths, else made up. */
  async #above(
    into: Into,
    tree: SourceTree,
    place: { readonly name: ByteString; readonly path: string; readonly above: DirectoryFrame | undefined; readonly previous: ParentTree | undefined },
  ): Promise<DirectoryFrame> {
    const { name, path, above, previous } = place;
    const { archive } = into;
    const frame = await archive.directoryAbove(this.#nodeAbove(name, path, tree), byteStringFromText(path), above, previous);
    for (const [childName, child] of sortedChildren(tree)) {
      if (child.stream !== undefined) await archive.stream(child.stream, childName, frame, timeOfDate(this.#startedAt), into.store);
      else if (child.source === undefined) await this.#above(into, child, { name: childName, path: `${path}/${childName}`, above: frame, previous: undefined });
      else await archive.source(this.#walk(child.source), childName, frame);
    }
    frame.leave();
    return frame;
  }

  #nodeAbove(name: ByteString, path: string, tree: SourceTree): Node {
    const source = firstSource(tree);
    if (source === undefined) return virtualDirectory(name, { mtime: timeOfDate(this.#startedAt) }, new TimeFormatter());
    const isReal = shownPath(source) === shownPath({ directory: source.directory });
    if (isReal) return nodeOf(name, this.#statSource(source, path === '' ? '/' : path), { user: '', group: '' }, new TimeFormatter());
    return virtualDirectory(name, this.#statSource(source, source.directory), new TimeFormatter());
  }

  #statSource(source: BackupSource, path: string): FileStat {
    try {
      return this.#reader.statPath(path);
    } catch (cause) {
      const code = errnoCodeOf(cause) ?? 'unknown';
      throw new EngineError('SourceMissing', `The source ${source.directory} cannot be read (${code}): check the path and whether its volume is mounted.`, { cause });
    }
  }

  #walk(source: BackupSource): Iterable<WalkStep> {
    const excludes = compileGlobs(this.#request.excludes ?? []);
    return this.#reader.walk({
      directory: source.directory,
      as: shownPath(source),
      ...(excludes.isEmpty ? {} : { select: (path) => !excludes.matches(path) }),
      crossFileSystems: this.#request.crossFileSystems ?? false,
      signal: this.#signal,
    });
  }

  async #finishPacks(pool: WorkerPool, writer: PackingWriter): Promise<readonly ListedFile[]> {
    writer.data.finishOthers(await pool.finish());
    return (await writer.finish()).packs;
  }

  async #saveSnapshot(tree: Id, parent: Id | undefined): Promise<ListedFile> {
    const { sources, streams = [], snapshotHostname, tags, excludes } = this.#request;
    const snapshot = {
      time: timeOf(this.#startedAt),
      parent,
      tree,
      paths: [...sources.map(shownPath), ...streams.map(streamPath)].sort(),
      hostname: snapshotHostname,
      uid: process.getuid?.() ?? 0,
      gid: process.getgid?.() ?? 0,
      excludes,
      tags,
      programVersion,
      summary: this.#summary(),
    };
    return this.#repository.saveUnpacked('snapshots', encodeSnapshot(snapshot), this.#signal);
  }

  #summary(): Readonly<Record<string, unknown>> {
    const { files, directories, dataBlobs, treeBlobs, dataAdded, bytesAdded, bytesProcessed, filesDone, isComplete } = this.#statistics;
    return {
      // A field of ours, which other programs pass over: the manifest that says so too may never be written.
      ...(isComplete ? {} : { incomplete: true }),
      backup_start: timeOf(this.#startedAt),
      backup_end: timeOf(new Date()),
      files_new: files.new,
      files_changed: files.changed,
      files_unmodified: files.unmodified,
      dirs_new: directories.new,
      dirs_changed: directories.changed,
      dirs_unmodified: directories.unmodified,
      data_blobs: dataBlobs,
      tree_blobs: treeBlobs,
      data_added: dataAdded,
      data_added_packed: bytesAdded,
      total_files_processed: filesDone,
      total_bytes_processed: bytesProcessed,
    };
  }

  #outcome(parent: Id | undefined, reach: SnapshotReach): BackupOutcome {
    const { directories, files, warnings, warningCount, isComplete, bytesProcessed, bytesAdded, filesDone } = this.#statistics;
    return {
      snapshotId: reach.snapshot.id,
      ...(parent === undefined ? {} : { parent }),
      complete: isComplete,
      files: filesDone,
      directories: directories.new + directories.changed + directories.unmodified,
      filesUnchanged: files.unmodified,
      bytesProcessed,
      bytesAdded,
      warnings,
      warningCount,
      durationMs: Math.round(performance.now() - this.#started),
      reach,
    };
  }
}

/** What a backup is written into. */
interface Into {
  readonly archive: Archive;
  readonly store: (stream: StreamSource) => Promise<StreamContent>;
}

/** None where all that lies below are streams. */
function firstSource(tree: SourceTree): BackupSource | undefined {
  if (tree.source !== undefined) return tree.source;
  for (const child of tree.children.values()) {
    const source = firstSource(child);
    if (source !== undefined) return source;
  }
  return undefined;
}

function timeOfDate(date: Date): FileStat['mtime'] {
  const ms = date.getTime();
  return { seconds: Math.floor(ms / 1000), nanoseconds: (ms % 1000) * 1_000_000 };
}

function timeOf(date: Date): string {
  return formatTime(timeOfDate(date));
}
