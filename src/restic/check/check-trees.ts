import type { CheckRequest } from '../contract.ts';
import { byteString, textOf, type ByteString, type Id, type Snapshot } from '../format/index.ts';
import type { OpenRepository, TableIndex } from '../repository/index.ts';
import { SnapshotTrees } from '../restore/index.ts';
import { UsedBlobs } from '../prune/index.ts';
import type { Problems } from './problems.ts';

const advice = 'Files that need it cannot be restored; those of other directories can (`restore` with damage skipped). Copy the pack back from the other data center, or make a new backup.';

interface Waiting {
  readonly tree: Id;
  readonly path: ByteString;
  readonly snapshot: Id;
}

/** Every tree that a snapshot reaches is there and sound, and every blob that it names is in an index. */
export async function checkTrees(repository: OpenRepository, index: TableIndex, snapshots: ReadonlyMap<Id, Snapshot>, problems: Problems, { signal, onProgress }: Pick<CheckRequest, 'signal' | 'onProgress'>): Promise<void> {
  const trees = new SnapshotTrees(repository, index, signal);
  const seen = new UsedBlobs(index.table);
  const waiting: Waiting[] = Array.from(snapshots, ([snapshot, { tree }]) => ({ tree, path: byteString(''), snapshot }));
  let directories = 0;
  try {
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      signal?.throwIfAborted();
      const { tree, path, snapshot } = next;
      if (!seen.add('tree', tree)) continue;
      onProgress?.({ unit: 'directory', filesDone: (directories += 1), bytesDone: 0, bytesAdded: 0 });
      const place = `directory ${path === '' ? '/' : textOf(path)} of snapshot ${snapshot.slice(0, 8)}`;
      const nodes = await problems.attempt('tree', `tree ${tree}`, `It is ${place}. ${advice}`, () => trees.load(tree));
      for (const node of nodes ?? []) {
        const nodePath = byteString(`${path}/${node.name}`);
        if (node.subtree !== undefined) waiting.push({ tree: node.subtree, path: nodePath, snapshot });
        for (const id of node.content ?? []) {
          if (!seen.add('data', id) || !seen.missing.has(`data ${id}`)) continue;
          problems.add('blob', `data blob ${id}`, `Data of ${textOf(nodePath)} (snapshot ${snapshot.slice(0, 8)}) is in no index file. ${advice}`);
        }
      }
    }
  } finally {
    trees.free();
  }
}
