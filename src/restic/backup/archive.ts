import type { StreamSource } from '../contract.ts';
import { EngineError } from '../errors.ts';
import { byteStringFromText, textOf, encodeNode, encodeNodeHead, isSameTime, nodeTypeOf, TimeFormatter, type ByteString, type Node } from '../format/index.ts';
import { errnoCodeOf, type EnterStep, type EntryStep, type FileDetails, type FileStat, type WalkStep } from '../fs/index.ts';
import type { PackingWriter } from '../repository/index.ts';
import { DirectoryFrame, type FrameOwner } from './directory-frame.ts';
import type { FileQueue } from './file-queue.ts';
import { nodeOf, streamFile } from './node-of.ts';
import { contentIdsOf, ParentTree } from './parent-tree.ts';
import type { Reach } from './reach.ts';
import { streamPath } from './source-tree.ts';
import type { Statistics } from './statistics.ts';
import type { StreamContent } from './stream-file.ts';
import type { TreeReader } from './tree-reader.ts';

const contentMember = ',"content":';
/** Steps after which messages from the workers are looked at, and progress is reported. */
const stepsATurn = 256;

export interface ArchiveOptions {
  readonly writer: PackingWriter;
  readonly queue: FileQueue;
  readonly reach: Reach;
  readonly statistics: Statistics;
  readonly trees: TreeReader;
  readonly ignoreInodeAndCtime: boolean;
}

/** Turns the steps of a walk into trees: unchanged entries are taken over from the parent, files go to the workers. */
export class Archive implements FrameOwner {
  readonly #options: ArchiveOptions;
  readonly #owners = new Map<string, Pick<FileDetails, 'user' | 'group'>>();
  readonly #times = new TimeFormatter();
  #steps = 0;

  constructor(options: ArchiveOptions) {
    this.#options = options;
  }

  saveTree(json: Buffer): string {
    const { writer, statistics, reach } = this.#options;
    const saved = writer.saveNow('tree', json);
    if (saved.isNew) {
      statistics.treeBlobs += 1;
      statistics.dataAdded += json.length;
      statistics.bytesAdded += saved.bytesAdded;
    }
    if (saved.pack !== undefined) reach.mark(saved.pack);
    return saved.id;
  }

  keepTree(id: string): string {
    this.#options.reach.markBlob('tree', id);
    return id;
  }

  directoryDone(change: 'new' | 'changed' | 'unmodified'): void {
    this.#options.statistics.directory(change);
  }

  /**
   * Archives one source below `above`, or as the whole snapshot.
   * @param name - of its root in `above`
   * @param previous - the tree that the parent snapshot has for it, when there is no `above` to look it up in
   */
  async source(steps: Iterable<WalkStep>, name: ByteString, above: DirectoryFrame | undefined, previous?: ParentTree): Promise<DirectoryFrame> {
    let root: DirectoryFrame | undefined;
    let frame = above;
    const frames: (DirectoryFrame | undefined)[] = [];
    for (const step of steps) {
      switch (step.step) {
        case 'enter':
          frames.push(frame);
          frame = await this.#enter(step, root === undefined ? name : step.name, frame, root === undefined ? previous : undefined);
          root ??= frame;
          break;
        case 'leave':
          frame?.leave();
          frame = frames.pop();
          break;
        case 'problem':
          this.#options.statistics.warn(step.warning);
          if (step.warning.kind === 'unreadable') frame?.miss();
          break;
        case 'entry':
          if (frame !== undefined) this.#entry(step, frame);
          break;
        default:
          step satisfies never;
      }
      if (this.#options.queue.isBatchFull) await this.#options.queue.flush();
      this.#steps += 1;
      if (this.#steps % stepsATurn === 0) await this.#turn(step.path);
    }
    if (root === undefined) throw new Error('a walk begins by entering its root');
    return root;
  }

  /** A directory that the snapshot shows above its sources. Its entries are added before `leave`. */
  async directoryAbove(node: Node, path: ByteString, above: DirectoryFrame | undefined, previousRoot: ParentTree | undefined): Promise<DirectoryFrame> {
    const head = encodeNodeHead(node);
    const text = above?.previous?.takeIfUnchanged(head.slice(0, -contentMember.length));
    const subtree = text === undefined ? this.#find(above?.previous, node.name, path)?.subtree : subtreeOf(text);
    const previous = previousRoot ?? (subtree === undefined ? undefined : await this.loadPrevious(subtree, path));
    return new DirectoryFrame({ owner: this, above, head, previous, previousNode: text, isKnown: subtree !== undefined });
  }

  /** A stream as a file of a directory above the sources. */
  async stream(stream: StreamSource, name: ByteString, above: DirectoryFrame, at: FileStat['mtime'], store: (stream: StreamSource) => Promise<StreamContent>): Promise<void> {
    const { statistics } = this.#options;
    const path = streamPath(stream);
    statistics.currentPath = path;
    const isKnown = this.#find(above.previous, name, byteStringFromText(path)) !== undefined;
    const stored = await store(stream);
    if ('problem' in stored) {
      const why = stored.problem instanceof Error ? stored.problem.message : String(stored.problem);
      statistics.warn({ path, kind: 'unreadable', message: `${path} could not be read; it is missing from this backup: ${why}` });
      return;
    }
    statistics.list(stored.size);
    statistics.file(isKnown ? 'changed' : 'new', stored.size);
    above.add(encodeNode(streamFile(name, at, stored.content, stored.size, this.#times)));
  }

  async #turn(path: ByteString): Promise<void> {
    const { statistics, writer } = this.#options;
    statistics.currentPath = textOf(path);
    statistics.report();
    await writer.settle();
    await new Promise(setImmediate);
  }

  async #enter(step: EnterStep, name: ByteString, above: DirectoryFrame | undefined, previousRoot: ParentTree | undefined): Promise<DirectoryFrame> {
    const known = this.#previousOf(step, name, above);
    const head = known.text === undefined ? encodeNodeHead(nodeOf(name, step.stat, step.details(this.#warn), this.#times)) : headOf(known.text);
    const subtree = known.text === undefined ? known.node?.subtree : subtreeOf(known.text);
    const previous = previousRoot ?? (subtree === undefined ? undefined : await this.loadPrevious(subtree, step.path));
    return new DirectoryFrame({ owner: this, above, head, previous, previousNode: known.text, isKnown: subtree !== undefined });
  }

  /** The parent's tree; without it everything below is read again. */
  async loadPrevious(id: string, path: ByteString): Promise<ParentTree | undefined> {
    const { trees } = this.#options;
    try {
      const loaded = trees.load(id);
      const tree = new ParentTree(id, loaded instanceof Uint8Array ? loaded : await loaded);
      return tree;
    } catch (error) {
      this.#warnOfDamage(error, path);
      return undefined;
    }
  }

  #warnOfDamage(error: unknown, path: ByteString): void {
    if (!(error instanceof EngineError) || error.code !== 'Damaged') throw error;
    const shown = textOf(path);
    this.#warn({ path: shown, kind: 'damaged', message: `What the parent snapshot says of ${shown} is damaged, so it was read again. Run \`check\`` });
  }

  /** What the parent has under this name: its text when metadata are the same, else its node. */
  #previousOf(step: EnterStep | EntryStep, name: ByteString, above: DirectoryFrame | undefined, known?: FileDetails): { readonly text?: string; readonly node?: Node | undefined } {
    const previous = above?.previous;
    if (previous === undefined) return {};
    const details = known ?? this.#ownerOf(step);
    const head = encodeNodeHead(nodeOf(name, step.stat, details, this.#times)).slice(0, -contentMember.length);
    const text = previous.takeIfUnchanged(head);
    return text === undefined ? { node: this.#find(previous, name, step.path) } : { text };
  }

  #find(previous: ParentTree | undefined, name: ByteString, path: ByteString): Node | undefined {
    try {
      return previous?.find(name);
    } catch (error) {
      this.#warnOfDamage(error, path);
      return undefined;
    }
  }

  /** Names of owners, looked up once each. */
  #ownerOf(step: EnterStep | EntryStep): Pick<FileDetails, 'user' | 'group'> {
    const key = `${step.stat.uid}:${step.stat.gid}`;
    const known = this.#owners.get(key);
    if (known !== undefined) return known;
    const { user, group } = step.details(() => undefined);
    this.#owners.set(key, { user, group });
    return { user, group };
  }

  #entry(step: EntryStep, frame: DirectoryFrame): void {
    const { statistics } = this.#options;
    if (nodeTypeOf(step.stat.mode) === 'irregular') {
      statistics.warn({ path: textOf(step.path), kind: 'unreadable', message: `${textOf(step.path)} is of a kind that cannot be backed up` });
      frame.miss();
      return;
    }
    if (step.stat.type === 'file') {
      this.#file(step, frame, this.#previousOf(step, step.name, frame));
      return;
    }
    const details = this.#detailsOf(step, frame);
    if (details === undefined) return;
    const known = this.#previousOf(step, step.name, frame, details);
    if (known.text !== undefined) frame.takeOver(known.text);
    else frame.add(encodeNode(nodeOf(step.name, step.stat, details, this.#times)));
  }

  /** A symbolic link may go, or become something else, before it is read. */
  #detailsOf(step: EntryStep, frame: DirectoryFrame): FileDetails | undefined {
    try {
      return step.details(this.#warn);
    } catch (error) {
      this.#miss(error, step, frame);
      return undefined;
    }
  }

  #file(step: EntryStep, frame: DirectoryFrame, known: { readonly text?: string; readonly node?: Node | undefined }): void {
    const { statistics } = this.#options;
    const { size } = step.stat;
    statistics.list(size);
    if (known.text !== undefined && this.#hasAllBlobs(known.text)) {
      statistics.file('unmodified', size);
      frame.takeOver(known.text);
      return;
    }
    const node = nodeOf(step.name, step.stat, step.details(this.#warn), this.#times);
    const content = this.#unchangedContent(node, known.node);
    if (content !== undefined) {
      statistics.file('unmodified', size);
      frame.add(encodeNode({ ...node, content }));
      return;
    }
    const change = known.text === undefined && known.node === undefined ? 'new' : 'changed';
    if (size === 0) {
      statistics.file(change, 0);
      frame.add(encodeNode({ ...node, content: [] }));
    } else {
      this.#read(step, frame, node, change);
    }
  }

  #read(step: EntryStep, frame: DirectoryFrame, node: Node, change: 'new' | 'changed'): void {
    const { queue } = this.#options;
    const queued = { frame, path: step.path, node, stat: step.stat, change };
    if (queue.follow(queued)) return;
    let opened: ReturnType<EntryStep['open']>;
    try {
      opened = step.open();
    } catch (error) {
      this.#miss(error, step, frame);
      return;
    }
    const { descriptor, found } = opened;
    if (found === step) queue.add(queued, descriptor);
    else queue.add({ ...queued, stat: found.stat, node: nodeOf(step.name, found.stat, found.details(this.#warn), this.#times) }, descriptor);
  }

  /** @throws what is no answer of the operating system */
  #miss(error: unknown, step: EntryStep, frame: DirectoryFrame): void {
    const code = errnoCodeOf(error);
    if (code === undefined) throw error;
    const path = textOf(step.path);
    const isGone = code === 'ENOENT';
    const message =
      isGone ? `${path} was removed while the backup ran`
      : code === 'ESTALE' ? `${path} was replaced by something else while the backup ran, or its network file system lost it (ESTALE); it is missing from this backup`
      : `${path} cannot be read (${code}); it is missing from this backup`;
    this.#options.statistics.warn({ path, kind: isGone ? 'vanished' : 'unreadable', message });
    if (!isGone) frame.miss();
  }

  /** The parent's content where the file is the same by all that tells, written in another way (by restic, or on another volume). */
  #unchangedContent(node: Node, previous: Node | undefined): Node['content'] | undefined {
    if (previous?.type !== 'file' || previous.error !== undefined || previous.content === null) return undefined;
    if ((previous.size ?? 0) !== node.size || !isSameTime(previous.mtime, node.mtime)) return undefined;
    if (!this.#options.ignoreInodeAndCtime && (previous.inode !== node.inode || !isSameTime(previous.ctime, node.ctime))) return undefined;
    return previous.content.every((id) => this.#options.reach.markBlob('data', id)) ? previous.content : undefined;
  }

  #hasAllBlobs(node: string): boolean {
    for (const at of contentIdsOf(node)) if (!this.#options.reach.markBlob('data', node, at)) return false;
    return true;
  }

  readonly #warn = (warning: Parameters<Statistics['warn']>[0]): void => {
    this.#options.statistics.warn(warning);
  };
}

/** Everything up to the value of `content`. */
function headOf(node: string): string {
  return node.slice(0, node.indexOf(contentMember) + contentMember.length);
}

function subtreeOf(node: string): string {
  return node.slice(-66, -2);
}
