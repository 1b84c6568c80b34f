import { hash } from 'node:crypto';
import type { FileSample, Repository } from '../contract.ts';
import { byteString, utf8TextOf, type ByteString, type Id, type Node } from '../format/index.ts';
import { openedOf, resolveSnapshot } from '../repository/index.ts';
import { SnapshotTrees } from '../restore/index.ts';

interface Ranked {
  readonly path: string;
  readonly size: number;
  readonly rank: string;
}

/**
 * Files of a snapshot, the same ones for the same seed, together no larger than `maxBytes`. Memory does not grow with the snapshot.
 * Files whose name is no UTF-8 are left out, for a pattern cannot name them.
 */
export async function sampleFiles(
  repository: Repository,
  request: { readonly snapshot: string; readonly seed: string; readonly count: number; readonly maxBytes: number; readonly signal?: AbortSignal | undefined },
): Promise<FileSample> {
  const opened = openedOf(repository);
  const { tree } = await resolveSnapshot(opened, request.snapshot);
  const trees = new SnapshotTrees(opened, await opened.loadIndex({ signal: request.signal }), request.signal);
  const best: Ranked[] = [];
  let tooLarge = 0;
  try {
    const waiting: { readonly id: Id; readonly path: ByteString }[] = [{ id: tree, path: byteString('') }];
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      request.signal?.throwIfAborted();
      for (const node of await trees.load(next.id)) {
        const path = byteString(`${next.path}/${node.name}`);
        if (node.subtree !== undefined) waiting.push({ id: node.subtree, path });
        if (node.type !== 'file') continue;
        if ((node.size ?? 0) > request.maxBytes) tooLarge++;
        else offer(best, node, path, request);
      }
    }
  } finally {
    trees.free();
  }
  return { files: within(best, request.maxBytes), tooLarge };
}

function offer(best: Ranked[], node: Node, path: ByteString, { seed, count }: { readonly seed: string; readonly count: number }): void {
  const text = utf8TextOf(path);
  if (text === undefined) return;
  const rank = hash('sha256', `${seed} ${text}`, 'hex');
  const last = best.at(-1);
  if (best.length >= count && last !== undefined && rank >= last.rank) return;
  const at = best.findIndex((other) => other.rank > rank);
  best.splice(at < 0 ? best.length : at, 0, { path: text, size: node.size ?? 0, rank });
  if (best.length > count) best.pop();
}

/** In their order, as many as there is room for. */
function within(ranked: readonly Ranked[], maxBytes: number): { readonly path: string; readonly size: number }[] {
  let left = maxBytes;
  return ranked.flatMap(({ path, size }) => {
    if (size > left) return [];
    left -= size;
    return [{ path, size }];
  });
}

/** A pattern that matches this path and what lies below it, and nothing else. */
export function literalPattern(path: string): string {
  return path.replaceAll(/[\\*?[]/g, String.raw`\$&`);
}
