import { encodeNodeTail, encodeTreeOf, flattened } from '../format/index.ts';
import type { ParentTree } from './parent-tree.ts';

/** What a frame tells whoever stands above it. */
export interface FrameOwner {
  /** Saves a tree; a new frame's tree may be the parent's, which is known by its id. */
  saveTree(json: Buffer): string;
  /** The parent's tree is this one too. */
  keepTree(id: string): string;
  /** All of the directory is done. `previous`: how it compares to the parent snapshot. */
  directoryDone(change: 'new' | 'changed' | 'unmodified'): void;
}

/** What its node says of a directory that lacks something: the next backup looks at it anew, and a restore deletes nothing in it. */
const notWhole = 'could not be read whole';

/** A directory whose entries are being gathered. It is done when it was left and every file in it has its content. */
export class DirectoryFrame {
  readonly previous: ParentTree | undefined;
  readonly #owner: FrameOwner;
  readonly #above: DirectoryFrame | undefined;
  readonly #slot: number;
  /** Its own node without content and subtree, or the parent's node as text, to be taken over when the tree stays the same. */
  readonly #head: string;
  readonly #previousNode: string | undefined;
  readonly #isKnown: boolean;
  readonly #nodes: string[] = [];
  #open = 0;
  #isLeft = false;
  #isWhole = true;
  /** Every node so far was taken from the parent's tree. */
  #isVerbatim: boolean;
  /** The id of the tree, once done. */
  treeId: string | undefined;

  constructor(options: {
    readonly owner: FrameOwner;
    readonly above: DirectoryFrame | undefined;
    readonly head: string;
    readonly previousNode: string | undefined;
    readonly isKnown: boolean;
    readonly previous: ParentTree | undefined;
  }) {
    this.#owner = options.owner;
    this.#above = options.above;
    this.#head = options.head;
    this.#previousNode = options.previousNode;
    this.#isKnown = options.isKnown;
    this.previous = options.previous;
    this.#isVerbatim = options.previous !== undefined;
    this.#slot = options.above?.reserve() ?? 0;
  }

  /** A node as it is in the parent's tree. */
  takeOver(node: string): void {
    this.#nodes.push(node);
  }

  add(node: string): void {
    this.#isVerbatim = false;
    this.#nodes.push(flattened(node));
  }

  /** Keeps a place for an entry whose content is on its way. */
  reserve(): number {
    this.#open += 1;
    return this.#nodes.push('') - 1;
  }

  /** Something of it is there and could not be read. */
  miss(): void {
    this.#isWhole = false;
    this.#isVerbatim = false;
  }

  /** @param node - its text, or `undefined` when it could not be read; `isVerbatim`: the parent's text */
  fill(slot: number, node: string | undefined, isVerbatim: boolean): void {
    this.#nodes[slot] = node ?? '';
    if (node === undefined) this.miss();
    if (!isVerbatim) this.#isVerbatim = false;
    this.#open -= 1;
    this.#finishIfDone();
  }

  leave(): void {
    this.#isLeft = true;
    this.#finishIfDone();
  }

  #finishIfDone(): void {
    if (!this.#isLeft || this.#open > 0) return;
    const { previous } = this;
    const id = this.#isVerbatim && previous?.isUsedUp === true ? this.#owner.keepTree(previous.id) : this.#owner.saveTree(encodeTreeOf(this.#nodes.filter((node) => node !== '')));
    this.treeId = id;
    const node = `${this.#head}null${encodeNodeTail({ subtree: id, error: this.#isWhole ? undefined : notWhole })}`;
    const isVerbatim = node === this.#previousNode;
    if (this.#above !== undefined) this.#owner.directoryDone(!this.#isKnown ? 'new' : isVerbatim ? 'unmodified' : 'changed');
    this.#above?.fill(this.#slot, node, isVerbatim);
  }
}
