import { textOf, type ByteString, type Node } from '../format/index.ts';
import { compileGlobs, type Globs } from '../fs/index.ts';
import type { Tally } from './tally.ts';
import type { TargetTree } from './target-tree.ts';

/** A directory of the target, and what the snapshot says of it. */
export interface KnownDirectory {
  /** Relative to the target. */
  readonly path: ByteString;
  /** As the snapshot shows it. */
  readonly location: ByteString;
  /** Absent for the snapshot's root. */
  readonly node: Node | undefined;
  readonly nodes: readonly Node[];
  /** Its tree is damaged: `nodes` says nothing. */
  readonly isLost: boolean;
}

/**
 * Names that are to be removed because the snapshot does not have them: none in a directory of which it cannot know what it had. That is told, for the
 * target is not what was asked for then.
 * @param isWanted - of a name: whether it is of those that may go
 */
export function extrasOf(directory: KnownDirectory, target: TargetTree, tally: Tally, isWanted: (name: ByteString) => boolean): readonly ByteString[] {
  const { path, location, nodes } = directory;
  const known = new Set(nodes.map((node) => node.name));
  // ext4 makes lost+found itself, and needs it.
  const extras = target.namesIn(path).filter((name) => !known.has(name) && !(path === '' && name === 'lost+found') && isWanted(name));
  const why = extras.length === 0 ? undefined : whyKept(directory, target);
  if (why === undefined) return extras;
  const shown = textOf(location);
  const many = extras.length === 1 ? 'one entry that is not in the snapshot was' : `${String(extras.length)} entries that are not in the snapshot were`;
  tally.missed({ path: shown, kind: 'undeletable', message: `${shown}: ${many} left there, because ${why}` });
  return [];
}

function whyKept({ path, node, nodes, isLost }: KnownDirectory, target: TargetTree): string | undefined {
  if (isLost) return 'what the snapshot has of this directory is damaged';
  if (node?.error !== undefined) return 'this directory could not be read whole when it was backed up';
  // A backup shows a mount point that it did not enter as an empty directory.
  if (nodes.length === 0 && target.isMountPoint(path)) return 'another file system is mounted there, of which the snapshot has nothing';
  return undefined;
}

/** What a backup was told to leave out is not there because of that. Other programs may know patterns that mean nothing here. */
export function leftOutBy(excludes: readonly string[] | undefined): Globs {
  return compileGlobs((excludes ?? []).filter(isPattern));
}

function isPattern(pattern: string): boolean {
  try {
    compileGlobs([pattern]);
    return true;
  } catch {
    return false;
  }
}
