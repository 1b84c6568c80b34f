import { createHash } from 'node:crypto';
import type { Node } from '../format/index.ts';
import type { FileState } from './file-state.ts';

/**
 * The files with several names that were met, so that a further name becomes a link. Device and inode alone do not tell that two names are one file: an
 * inode that was freed and used again while the backup ran, or a file that was written to in between, has two contents in the snapshot, and each name
 * must come back with its own. So content, owner, mode, time and attributes have to agree as well; the change time need not, for each new name alters it.
 */
export class FirstLinks {
  readonly #files = new Map<string, FileState>();

  /** What all names of one file have in common; `undefined` for a file with one name. */
  keyOf(node: Node): string | undefined {
    const { inode, deviceId = 0, links = 1, mtime, mode, uid, gid, content, extendedAttributes = [] } = node;
    if (inode === undefined || Number(links) <= 1) return undefined;
    const all = createHash('sha256').update([inode, deviceId, mtime, mode, uid, gid].join(' '));
    for (const id of content ?? []) all.update(id);
    for (const { name, value } of extendedAttributes) all.update(`\n${name}\n`).update(value);
    return all.digest('base64');
  }

  find(key: string | undefined): FileState | undefined {
    return key === undefined ? undefined : this.#files.get(key);
  }

  add(key: string | undefined, file: FileState): void {
    if (key !== undefined) this.#files.set(key, file);
  }
}
