import type { LsEntry, Repository } from './contract.ts';
import { byteString, parseTime, permissionsOf, textOf, type ByteString, type Node } from './format/index.ts';
import { openedOf, resolveSnapshot } from './repository/index.ts';
import { SnapshotTrees } from './restore/index.ts';

/** Every entry of a snapshot, depth first, each directory before what lies in it. Times are RFC 3339 as they were stored. */
export async function* ls(repository: Repository, snapshot: string, signal?: AbortSignal): AsyncIterable<LsEntry> {
  const opened = openedOf(repository);
  const { tree } = await resolveSnapshot(opened, snapshot);
  const trees = new SnapshotTrees(opened, await opened.loadIndex({ signal }), signal);
  try {
    yield* walk(trees, await trees.load(tree), signal);
  } finally {
    trees.free();
  }
}

async function* walk(trees: SnapshotTrees, root: readonly Node[], signal: AbortSignal | undefined): AsyncIterable<LsEntry> {
  const stack: { readonly path: ByteString; readonly nodes: Iterator<Node> }[] = [{ path: byteString(''), nodes: root.values() }];
  for (let above = stack.at(-1); above !== undefined; above = stack.at(-1)) {
    signal?.throwIfAborted();
    const next = above.nodes.next();
    if (next.done === true) {
      stack.pop();
      continue;
    }
    const node = next.value;
    const path = byteString(`${above.path}/${node.name}`);
    yield entryOf(node, path);
    if (node.subtree !== undefined) stack.push({ path, nodes: (await trees.load(node.subtree)).values() });
  }
}

function entryOf(node: Node, path: ByteString): LsEntry {
  return {
    path: textOf(path),
    type: node.type,
    mode: permissionsOf(node.mode),
    uid: node.uid,
    gid: node.gid,
    ...(node.size === undefined ? {} : { size: node.size }),
    ...(parseTime(node.mtime) === undefined ? {} : { mtime: node.mtime }),
    ...(node.linkTarget === undefined ? {} : { linkTarget: textOf(node.linkTarget) }),
  };
}
