import { createHash } from 'node:crypto';
import type { Node } from '../format/index.ts';

/**
 * What all names of one file have in common, so that a further name becomes a link; `undefined` for a file with one name. Device and inode alone do not tell that two names are one file: an
 * inode that was freed and used again while the backup ran, or a file that was written to in between, has two contents in the snapshot, and each name
 * must come back with its own. So content, owner, mode, time and attributes have to agree as well; the change time need not, for each new name alters it.
 */
export function linkKeyOf(node: Node): string | undefined {
  const { inode, deviceId = 0, links = 1, mtime, mode, uid, gid, content, extendedAttributes = [] } = node;
  if (inode === undefined || Number(links) <= 1) return undefined;
  const all = createHash('sha256').update([inode, deviceId, mtime, mode, uid, gid].join(' '));
  for (const id of content ?? []) all.update(id);
  for (const { name, value } of extendedAttributes) all.update(`\n${name}\n`).update(value);
  return all.digest('base64');
}
