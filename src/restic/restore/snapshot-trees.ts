import { TreeReader } from '../backup/tree-reader.ts';
import type { SnapshotSummary } from '../contract.ts';
import { EngineError } from '../errors.ts';
import { byteString, byteStringFromText, parseTree, textOf, type ByteString, type Id, type Node } from '../format/index.ts';
import type { OpenRepository, TableIndex } from '../repository/index.ts';

/** What a restore or a listing starts with. */
export interface Located {
  /** The directory's own node; absent for the snapshot's root, and for a single file. */
  readonly node: Node | undefined;
  readonly nodes: readonly Node[];
  /** The directory's path in the snapshot; empty for the root. */
  readonly location: ByteString;
}

/** A snapshot's trees, read a pack at a time; where a pack is damaged, from wherever else the tree lies. */
export class SnapshotTrees {
  readonly #repository: OpenRepository;
  readonly #reader: TreeReader;
  readonly #signal: AbortSignal | undefined;

  constructor(repository: OpenRepository, index: TableIndex, signal: AbortSignal | undefined) {
    this.#repository = repository;
    this.#reader = new TreeReader(repository, index, signal);
    this.#signal = signal;
  }

  /** Call it when no tree is needed any more. */
  free(): void {
    this.#reader.free();
  }

  async load(id: Id): Promise<readonly Node[]> {
    let json: Uint8Array;
    try {
      json = await this.#reader.load(id);
    } catch {
      this.#signal?.throwIfAborted();
      json = await this.#repository.loadBlob('tree', id, this.#signal);
    }
    return parseTree(json, `tree ${id}`).nodes;
  }

  /** @throws {EngineError} `NoSuchSnapshot` when the snapshot has no such path */
  async locate(snapshot: SnapshotSummary, subtree: string): Promise<Located> {
    let located: Located = { node: undefined, nodes: await this.load(snapshot.tree), location: byteString('') };
    for (const part of subtree.split('/').filter((name) => name !== '' && name !== '.')) {
      const name = byteStringFromText(part);
      const node = located.nodes.find((each) => each.name === name);
      if (node === undefined) throw noSuchPath(snapshot, subtree, located);
      if (node.type !== 'dir' || node.subtree === undefined) return { node: undefined, nodes: [node], location: located.location };
      located = { node, nodes: await this.load(node.subtree), location: byteString(`${located.location}/${name}`) };
    }
    return located;
  }
}

function noSuchPath(snapshot: SnapshotSummary, subtree: string, { location, nodes }: Located): EngineError {
  const there = nodes.slice(0, 5).map((node) => textOf(node.name)).join(', ');
  const message = `Snapshot ${snapshot.id.slice(0, 8)} has no path ${subtree}: in ${location === '' ? '/' : textOf(location)} there is ${there === '' ? 'nothing' : there}. List it with \`ls\`.`;
  return new EngineError('NoSuchSnapshot', message, { context: { snapshot: snapshot.id, path: subtree } });
}
