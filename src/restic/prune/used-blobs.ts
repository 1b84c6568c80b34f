import { TreeReader } from '../backup/tree-reader.ts';
import { damaged, isId, keyOfHex, type BlobType, type Id } from '../format/index.ts';
import { SlotSet, type BlobTable, type OpenRepository, type TableIndex } from '../repository/index.ts';

/** Blobs that something reaches: a bit for each slot of the index's table, and the ids of those that no index file names. */
export class UsedBlobs {
  readonly #table: BlobTable;
  readonly #slots: SlotSet;
  readonly #key = new Int32Array(8);
  /** As `data 4f3a…`. */
  readonly missing = new Set<string>();

  /** @param table - while it stays as it is */
  constructor(table: BlobTable) {
    this.#table = table;
    this.#slots = new SlotSet(table.slots);
  }

  /** False when the blob was there already. */
  add(type: BlobType, id: Id): boolean {
    const slot = this.#table.slotOf(type, keyOfHex(id, this.#key));
    if (slot >= 0) return this.#slots.add(slot);
    const name = `${type} ${id}`;
    if (this.missing.has(name)) return false;
    this.missing.add(name);
    return true;
  }

  /** @param slot - that `slotOf` gave: the first place of a blob stands for all */
  hasSlot(slot: number): boolean {
    return slot >= 0 && this.#slots.has(slot);
  }

  has(type: BlobType, id: Id): boolean {
    return this.hasSlot(this.#table.slotOf(type, keyOfHex(id, this.#key)));
  }
}

/**
 * Everything that trees reach, each tree read once, whichever snapshots share it.
 * @throws {EngineError} `Damaged`
 */
export async function findUsedBlobs(
  repository: OpenRepository,
  index: TableIndex,
  roots: Iterable<Id>,
  options: { readonly signal?: AbortSignal | undefined; readonly onBlob?: (type: BlobType, id: Id) => void } = {},
): Promise<UsedBlobs> {
  const { signal, onBlob } = options;
  const used = new UsedBlobs(index.table);
  const reader = new TreeReader(repository, index, signal);
  const waiting = [...roots];
  const addData = (id: Id): void => {
    if (used.add('data', id)) onBlob?.('data', id);
  };
  try {
    for (let tree = waiting.pop(); tree !== undefined; tree = waiting.pop()) {
      signal?.throwIfAborted();
      if (!used.add('tree', tree)) continue;
      onBlob?.('tree', tree);
      readReferences(await loadTree(repository, reader, tree, signal), tree, addData, (id) => waiting.push(id));
    }
    return used;
  } finally {
    reader.free();
  }
}

/** Where a pack is damaged or gone, the tree may lie in another one. */
async function loadTree(repository: OpenRepository, reader: TreeReader, tree: Id, signal: AbortSignal | undefined): Promise<Uint8Array> {
  try {
    return await reader.load(tree);
  } catch {
    signal?.throwIfAborted();
    return repository.loadBlob('tree', tree, signal);
  }
}

/**
 * Reads only what a tree refers to: a fifth of the work of reading it whole.
 * @throws {EngineError} `Damaged`
 */
export function readReferences(json: Uint8Array, tree: Id, onData: (id: Id) => void, onTree: (id: Id) => void): void {
  const what = `tree ${tree}`;
  let parsed: unknown;
  try {
    parsed = JSON.parse(Buffer.from(json.buffer, json.byteOffset, json.byteLength).toString('utf8'));
  } catch (cause) {
    throw damaged(what, 'it is no valid JSON', cause);
  }
  for (const node of listIn(parsed, 'nodes', what)) {
    for (const id of listIn(node, 'content', what)) {
      if (!isId(id)) throw damaged(what, 'a file in it has content that is no list of ids');
      onData(id);
    }
    const subtree = memberOf(node, 'subtree');
    if (isId(subtree)) onTree(subtree);
    else if (subtree !== undefined && subtree !== null) throw damaged(what, 'a directory in it has a tree that is no id');
  }
}

function memberOf(value: unknown, field: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>)[field] : undefined;
}

function listIn(value: unknown, field: string, what: string): readonly unknown[] {
  const list = memberOf(value, field) ?? [];
  if (!Array.isArray(list)) throw damaged(what, `its field "${field}" is no list`);
  return list as readonly unknown[];
}
