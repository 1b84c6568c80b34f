import { EngineError } from '../errors.ts';
import type { BackupSource } from '../contract.ts';
import { byteStringFromText, compareNames, type ByteString } from '../format/index.ts';

/** The directories of the snapshot's paths: what lies above the sources, and the sources as leaves. */
export interface SourceTree {
  readonly children: Map<ByteString, SourceTree>;
  source?: BackupSource;
}

/** @throws {EngineError} when one source lies within another, or a path is not absolute */
export function sourceTreeOf(sources: readonly BackupSource[]): SourceTree {
  const root: SourceTree = { children: new Map() };
  for (const source of sources) {
    let at = root;
    for (const part of shownPath(source).split('/').filter((name) => name !== '')) {
      const name = byteStringFromText(part);
      const next = at.children.get(name) ?? { children: new Map() };
      at.children.set(name, next);
      at = next;
    }
    at.source = source;
  }
  assertDisjoint(root);
  return root;
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
  if (tree.source !== undefined && tree.children.size > 0) {
    throw new EngineError('SourceMissing', `One source lies within another (${shownPath(tree.source)}). Name only the outer one.`);
  }
  for (const child of tree.children.values()) assertDisjoint(child);
}
