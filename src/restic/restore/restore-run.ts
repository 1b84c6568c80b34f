import type { RestoreOutcome, RestoreRequest } from '../contract.ts';
import { EngineError } from '../errors.ts';
import { byteString, sealOverhead, textOf, type BlobLocation, type ByteString, type Node } from '../format/index.ts';
import { joinPath, splitPath, type Globs } from '../fs/index.ts';
import { removeUnfinished, type BatchContext } from './batch-context.ts';
import { Batches } from './batches.ts';
import { Endings } from './endings.ts';
import { extrasOf } from './extras.ts';
import { finishFile, metadataWarning } from './finish-file.ts';
import type { FileState } from './file-state.ts';
import { missed } from './finished-directory.ts';
import { isIdentical, type WantedFile } from './identical.ts';
import { linkKeyOf } from './link-key.ts';
import { applyMetadata, metadataOf, type Surroundings } from './metadata.ts';
import type { Metadata } from './messages.ts';
import { isSafeName } from './safe-name.ts';
import { selectionOf, type Selection } from './selection.ts';
import type { Located, SnapshotTrees } from './snapshot-trees.ts';

const devices: ReadonlySet<Node['type']> = new Set(['dev', 'chardev']);

/** A directory of the snapshot that is being gone through. */
interface Frame {
  /** Absent for the snapshot's root, which has no owner or mode of its own. */
  readonly node: Node | undefined;
  readonly path: ByteString;
  readonly location: ByteString;
  readonly nodes: readonly Node[];
  next: number;
  /** It is there in the target. Directories above what was included are made when the first of it comes. */
  isMade: boolean;
  /** It was made here, so nothing else is in it. */
  isNew: boolean;
  surroundings: Surroundings;
  readonly isSelected: boolean;
  /** Hard links or deletions come at the end: its times must wait for them. */
  mustWait: boolean;
  /** Its tree is damaged: the snapshot does not tell what was in it. */
  readonly isLost: boolean;
}

/** Goes through a snapshot's trees in order and hands on what is to be done. See `restore`. */
export class RestoreRun {
  readonly #context: BatchContext;
  readonly #request: RestoreRequest;
  readonly #trees: SnapshotTrees;
  readonly #selection: Selection;
  /** What the backup was told to leave out. */
  readonly #leftOut: Globs;
  readonly #frames: Frame[] = [];
  readonly #batches: Batches;
  readonly #endings: Endings;
  readonly #firstLinks = new Map<string, FileState>();
  #fileNumber = 0;
  #scannedFiles = 0;
  #scannedBytes = 0;

  constructor(context: BatchContext, trees: SnapshotTrees, request: RestoreRequest, leftOut: Globs) {
    this.#context = context;
    this.#trees = trees;
    this.#request = request;
    this.#selection = selectionOf(request);
    this.#leftOut = leftOut;
    this.#batches = new Batches(context, this.#isDry);
    this.#endings = new Endings(context, this.#isDry);
  }

  /** @param start - what is restored straight into the target */
  async run(start: Located): Promise<RestoreOutcome> {
    try {
      this.#begin(start);
      for (let frame = this.#frames.at(-1); frame !== undefined; frame = this.#frames.at(-1)) {
        const node = frame.nodes[frame.next++];
        if (node === undefined) this.#leave(frame);
        else await this.#entry(frame, node);
        if (this.#batches.isFull) await this.#batches.flush();
      }
      this.#context.tally.setTotals(this.#scannedFiles, this.#scannedBytes);
      await this.#batches.flush();
      await this.#batches.end();
      await this.#endings.run();
    } catch (error) {
      this.#context.stop.abort();
      await this.#batches.settle();
      for (const file of this.#context.openFiles) removeUnfinished(this.#context, file);
      throw error;
    }
    this.#context.tally.report(undefined, true);
    return this.#context.tally.outcome();
  }

  #begin({ node, nodes, location }: Located): void {
    const path = byteString('');
    const frame = { node, path, location, nodes, next: 0, isMade: true, isNew: false, isSelected: true, mustWait: false, isLost: false };
    const root = { ...frame, surroundings: this.#context.target.surroundings(path, false) };
    this.#frames.push(root);
    this.#noteExtras(root);
  }

  get #isDry(): boolean {
    return this.#request.dryRun === true;
  }

  async #entry(frame: Frame, node: Node): Promise<void> {
    this.#context.signal.throwIfAborted();
    const location = byteString(`${frame.location}/${node.name}`);
    if (!isSafeName(node.name)) {
      const message = `${textOf(frame.location)} has an entry whose name could lead elsewhere (${JSON.stringify(textOf(node.name))}); it was not restored`;
      this.#context.tally.missed({ path: textOf(location), kind: 'unsafe-name', message });
      return;
    }
    const path = joinPath(frame.path, node.name);
    const isSelected = this.#selection.isSelected(location);
    if (node.type === 'dir') {
      if (isSelected || this.#selection.mayBeSelectedBelow(location)) await this.#enter(frame, node, path, location, isSelected);
      return;
    }
    if (!isSelected) return;
    try {
      this.#make(frame);
      if (node.type === 'file') await this.#file(frame, node, path, location);
      else this.#special(frame, node, path, location);
    } catch (error) {
      missed(this.#context, location, error);
    }
  }

  async #enter(above: Frame, node: Node, path: ByteString, location: ByteString, isSelected: boolean): Promise<void> {
    let nodes: readonly Node[] | undefined;
    try {
      nodes = await this.#trees.load(node.subtree ?? '');
    } catch (cause) {
      if (!(cause instanceof EngineError && cause.code === 'Damaged')) throw cause;
      if (this.#context.skipDamaged) {
        this.#context.tally.missed({ path: textOf(location), kind: 'damaged', message: `${textOf(location)} and what lies below cannot be restored: ${cause.message}` });
      } else {
        throw new EngineError('Damaged', `${textOf(location)} cannot be restored: ${cause.message} To restore everything else, restore again and skip what is damaged.`, {
          context: { path: textOf(location) },
          cause,
        });
      }
    }
    const frame: Frame = {
      node, path, location, nodes: nodes ?? [], next: 0, isMade: false, isNew: false, surroundings: above.surroundings, isSelected, mustWait: false, isLost: nodes === undefined,
    };
    this.#frames.push(frame);
    if (!isSelected) return;
    try {
      this.#make(frame);
    } catch (error) {
      this.#frames.pop();
      missed(this.#context, location, error);
    }
  }

  /** Makes a directory and those above it, where that has not been done. */
  #make(frame: Frame): void {
    if (frame.isMade) return;
    const depth = this.#frames.lastIndexOf(frame);
    for (const each of this.#frames.slice(0, depth + 1)) {
      if (each.isMade) continue;
      const above = this.#frames[this.#frames.indexOf(each) - 1];
      if (!this.#isDry) each.isNew = this.#context.target.ensureDirectory(each.path);
      else each.isNew = above?.isNew === true || this.#context.target.inspect(each.path)?.type !== 'dir';
      if (!this.#isDry) each.surroundings = this.#context.target.surroundings(each.path, each.isNew, above?.surroundings);
      each.isMade = true;
      this.#context.tally.directories++;
      this.#noteExtras(each);
    }
  }

  /** What the snapshot does not have. Removed at the end: nothing is lost before everything else is there. */
  #noteExtras(frame: Frame): void {
    if (this.#request.deleteExtra !== true || frame.isNew) return;
    const locationOf = (name: ByteString): ByteString => byteString(`${frame.location}/${name}`);
    const isWanted = (name: ByteString): boolean => this.#selection.isSelected(locationOf(name)) && !this.#leftOut.matches(locationOf(name));
    for (const name of extrasOf(frame, this.#context.target, this.#context.tally, isWanted)) {
      this.#endings.remove(joinPath(frame.path, name), locationOf(name));
      frame.mustWait = true;
    }
  }

  #leave(frame: Frame): void {
    this.#frames.pop();
    if (frame.node === undefined || !frame.isMade || this.#isDry) return;
    const metadata = this.#metadataOf(frame.node, frame.surroundings, !frame.isNew);
    (frame.mustWait ? this.#endings : this.#batches).finish({ path: frame.path, location: frame.location, metadata });
  }

  #special(frame: Frame, node: Node, path: ByteString, location: ByteString): void {
    const { tally, target } = this.#context;
    if (node.type === 'irregular' || (this.#request.isUntrusted === true && devices.has(node.type))) {
      const why = node.type === 'irregular' ? 'of a type that this system does not know' : 'a device, and the backup comes from outside';
      tally.missed({ path: textOf(location), kind: 'left-out', message: `${textOf(location)} is ${why}; it was not restored` });
      return;
    }
    if (this.#isDry) return;
    const existing = frame.isNew ? undefined : target.inspect(path);
    const isNew = target.ensureSpecial(path, node, existing);
    const metadata = this.#metadataOf(node, frame.surroundings, !isNew);
    const { directory, name } = splitPath(path);
    const place = { at: target.beneath.directory(directory), name, isSymlink: node.type === 'symlink' };
    const problems = applyMetadata(target.libc, place, metadata);
    if (problems.length > 0) tally.warn(metadataWarning(textOf(location), problems));
    tally.report(textOf(location));
  }

  async #file(frame: Frame, node: Node, path: ByteString, location: ByteString): Promise<void> {
    const linkKey = linkKeyOf(node);
    const first = linkKey === undefined ? undefined : this.#firstLinks.get(linkKey);
    this.#scannedFiles++;
    if (first !== undefined) {
      this.#endings.link(first, path, location);
      frame.mustWait = true;
      return;
    }
    const locations = this.#locate(node, location);
    if (locations === undefined) return;
    const lengths = locations.map(plaintextLength);
    let size = 0;
    for (const length of lengths) size += length;
    this.#scannedBytes += size;
    const file = await this.#stateOf(frame, node, { path, location, size, lengths });
    if (linkKey !== undefined) this.#firstLinks.set(linkKey, file);
    if (this.#isDry && !file.isExisting) {
      this.#context.tally.bytesWritten += size;
      this.#context.tally.fileDone(size, textOf(location));
      return;
    }
    if (locations.length > 0) this.#batches.add(file, node.content ?? [], locations, lengths);
    else if (!this.#isDry) finishFile(this.#context, file);
  }

  async #stateOf(frame: Frame, node: Node, file: Pick<WantedFile, 'path' | 'location' | 'size' | 'lengths'>): Promise<FileState> {
    const { path, location, size } = file;
    const existing = frame.isNew ? undefined : this.#context.target.inspect(path);
    // A file with several names may have one outside of what is restored: it is replaced, never written into.
    const isOwn = existing?.type === 'file' && (existing.links === 1 || (await isIdentical(this.#context, existing, { ...file, ids: node.content ?? [], links: Number(node.links ?? 1), metadata: this.#metadataOf(node, frame.surroundings, true) })));
    const isKept = isOwn && (this.#isDry || existing.links > 1 || this.#context.target.canWrite(path));
    if (existing !== undefined && !isKept && !this.#isDry) this.#context.target.remove(path);
    return {
      number: this.#fileNumber++,
      path,
      location,
      size,
      metadata: this.#metadataOf(node, frame.surroundings, isKept),
      blobCount: node.content?.length ?? 0,
      isExisting: isKept,
      ...(isKept ? { existingSize: existing.size } : {}),
      isOpen: false,
      left: 0,
      partsLeft: 0,
      isChanged: false,
      isFailed: false,
      isFinished: false,
      damagedRanges: [],
    };
  }

  #metadataOf(node: Node, surroundings: Surroundings, isExisting: boolean): Metadata {
    const where = isExisting ? { owner: undefined, mayHaveOtherXattrs: true } : surroundings;
    return metadataOf(node, where, this.#request.isUntrusted !== true);
  }

  /** Where a file's blobs lie; `undefined` when one is in no index (and damage is to be skipped). */
  #locate(node: Node, location: ByteString): BlobLocation[] | undefined {
    const locations: BlobLocation[] = [];
    for (const id of node.content ?? []) {
      const place = this.#context.index.lookup('data', id);
      if (place === undefined) {
        const message = `${textOf(location)} cannot be restored: its data (blob ${id}) is in no index file. Run \`check\`, and restore from the other data center if it is missing only here.`;
        if (!this.#context.skipDamaged) throw new EngineError('Damaged', message, { context: { path: textOf(location), blob: id } });
        this.#context.tally.missed({ path: textOf(location), kind: 'damaged', message });
        return undefined;
      }
      locations.push(place);
    }
    return locations;
  }
}

function plaintextLength({ length, uncompressedLength }: BlobLocation): number {
  return uncompressedLength === 0 ? length - sealOverhead : uncompressedLength;
}
