import { EngineError } from '../errors.ts';
import type { BackupSource, StreamSource } from '../contract.ts';
import { byteStringFromText, compareNames, type ByteString } from '../format/index.ts';

/** The directories of the snapshot's paths: what lies above the sources, and the sources as leaves. */
export interface SourceTree {
  readonly children: Map<ByteString, SourceTree>;
  source?: BackupSource;
  stream?: StreamSource;
}

/** @throws {EngineError} when one source lies within another, or a path is not absolute */
export function sourceTreeOf(sources: readonly BackupSource[], streams: readonly StreamSource[] = []): SourceTree {
  const root: SourceTree = { children: new Map() };
  for (const source of sources) leafOf(root, shownPath(source)).source = source;
  for (const stream of streams) {
    const leaf = leafOf(root, streamPath(stream));
    if (leaf === root || leaf.source !== undefined || leaf.stream !== undefined) {
      throw new EngineError('SourceMissing', `${streamPath(stream)} cannot be the path of a stream: ${leaf === root ? 'it names no file' : 'something else has it'}. Name another.`);
    }
    leaf.stream = stream;
  }
  if (root.source === undefined && root.children.size === 0) throw new EngineError('SourceMissing', 'There is nothing to back up. Name at least one source.');
  assertDisjoint(root);
  return root;
}

function leafOf(root: SourceTree, path: string): SourceTree {
  let at = root;
  for (const part of path.split('/').filter((name) => name !== '')) {
    const name = byteStringFromText(part);
    const next = at.children.get(name) ?? { children: new Map() };
    at.children.set(name, next);
    at = next;
  }
  return at;
}

export function streamPath({ as }: StreamSource): string {
  return shownPath({ directory: as });
}

export function shownPath({ directory, as = directory }: BackupSource): string {
  const isClean = as.startsWith('/') && !as.split('/').includes('..');
  if (isClean) return `/${as.split('/').filter((part) => part !== '' && part !== '.').join('/')}`;
  throw new EngineError('SourceMissing', `The source path ${as} is not absolute. Give it from the root on, without "..".`);
}

export function sortedChildren(tree: SourceTree): [ByteString, SourceTree][] {
  return [...tree.children].sort(([one], [other]) => compareNames(one, other));
}

function assertDisjoint(tree: SourceTree): void {
  const path = tree.source !== undefined ? shownPath(tree.source) : tree.stream !== undefined ? streamPath(tree.stream) : undefined;
  if (path !== undefined && tree.children.size > 0) {
    throw new EngineError('SourceMissing', `One source lies within another (${path}). Name only the outer one.`);
  }
  for (const child of tree.children.values()) assertDisjoint(child);
}
