import type { ByteString } from '../format/byte-string.ts';
import { permissionsOf } from '../format/file-mode.ts';
import type { ExtendedAttribute, Node } from '../format/node.ts';
import { parseTime, type Timespec } from '../format/time.ts';
import { errnoCodeOf, type Libc } from '../fs/index.ts';
import type { Metadata } from './messages.ts';

const zero: Timespec = { seconds: 0, nanoseconds: 0 };
const setuidAndSetgid = 0o6000;

/** What an entry gets from where it is made. */
export interface Surroundings {
  /** A default ACL of the directory, or what was there before. */
  readonly mayHaveOtherXattrs: boolean;
  /** The owner that a new file gets by itself, where that is known. */
  readonly owner: { readonly uid: number; readonly gid: number } | undefined;
}

/** What a node says of its owner, mode, times and attributes. @param isTrusted - false drops setuid, setgid and attributes that grant rights */
export function metadataOf(node: Node, where: Surroundings, isTrusted: boolean): Metadata {
  const permissions = permissionsOf(node.mode);
  const xattrs = node.extendedAttributes ?? [];
  const mtime = parseTime(node.mtime) ?? zero;
  return {
    permissions: isTrusted ? permissions : permissions & ~setuidAndSetgid,
    uid: node.uid,
    gid: node.gid,
    mtime,
    // restic stores the modification time as access time unless told otherwise: most often the texts are the same.
    atime: node.atime === node.mtime ? mtime : (parseTime(node.atime) ?? mtime),
    xattrs: isTrusted ? xattrs : xattrs.filter(grantsNothing),
    mayHaveOtherXattrs: where.mayHaveOtherXattrs,
    isOwnerSet: where.owner !== undefined && where.owner.uid === node.uid && where.owner.gid === node.gid,
  };
}

/** `security.capability` makes a program privileged, `trusted.*` steers overlay file systems. */
function grantsNothing(attribute: ExtendedAttribute): boolean {
  return !attribute.name.startsWith('security.') && !attribute.name.startsWith('trusted.');
}

/** An entry as its directory names it; `descriptor` where a file or directory is open, which also saves path look-ups. */
export interface Place {
  readonly at: number;
  readonly name: ByteString;
  readonly descriptor?: number | undefined;
  readonly isSymlink?: boolean;
  /** It was made with its mode. */
  readonly hasMode?: boolean;
}

/**
 * Owner first (it clears setuid and capabilities), then attributes, then the mode, the times last.
 * @returns what could not be set, in words; an ordinary user may not give files away, for instance
 */
export function applyMetadata(libc: Libc, place: Place, metadata: Metadata): string[] {
  const problems: string[] = [];
  const { at, name, descriptor } = place;
  let permissions = metadata.permissions;
  const hasOwner = metadata.isOwnerSet || attempt(problems, `owner ${String(metadata.uid)}:${String(metadata.gid)}`, () => {
    if (descriptor === undefined) libc.chownAt(at, name, metadata.uid, metadata.gid);
    else libc.chown(descriptor, metadata.uid, metadata.gid);
  });
  if (!hasOwner && (permissions & setuidAndSetgid) !== 0) {
    // A setuid program must not become one of whoever restores it.
    permissions &= ~setuidAndSetgid;
    problems.push('setuid and setgid (left out, for the owner is another)');
  }
  for (const { name: attribute, value } of metadata.xattrs) {
    attempt(problems, `attribute ${attribute}`, () => libc.setXattrAt(at, name, attribute, value));
  }
  if (metadata.mayHaveOtherXattrs) removeOthers(libc, place, metadata, problems);
  if (place.isSymlink !== true && place.hasMode !== true) {
    attempt(problems, `mode ${permissions.toString(8)}`, () => {
      if (descriptor === undefined) libc.chmodAt(at, name, permissions);
      else libc.chmod(descriptor, permissions);
    });
  }
  attempt(problems, 'times', () => {
    if (descriptor === undefined) libc.setTimesAt(at, name, metadata.atime, metadata.mtime);
    else libc.setTimes(descriptor, metadata.atime, metadata.mtime);
  });
  return problems;
}

function removeOthers(libc: Libc, { at, name }: Place, metadata: Metadata, problems: string[]): void {
  const wanted = new Set(metadata.xattrs.map((attribute) => attribute.name));
  attempt(problems, 'removal of attributes', () => {
    for (const attribute of libc.xattrNamesAt(at, name)) {
      // A security module labels every file itself, and lets nobody remove that.
      if (wanted.has(attribute) || attribute === 'security.selinux' || attribute === 'security.SMACK64') continue;
      attempt(problems, `removal of attribute ${attribute}`, () => libc.removeXattrAt(at, name, attribute));
    }
  });
}

/** False, with a note, when the system refused; a mistake of ours still throws. */
function attempt(problems: string[], what: string, action: () => void): boolean {
  try {
    action();
    return true;
  } catch (error) {
    const code = errnoCodeOf(error);
    if (code === undefined) throw error;
    problems.push(`${what} (${code})`);
    return false;
  }
}

/** Whether an entry that was there before has all of it already; then nothing is touched, its change time included. */
export function isAlreadySet(libc: Libc, { at, name }: Place, metadata: Metadata): boolean {
  const stat = libc.statAt(at, name);
  if ((stat.mode & 0o7777) !== metadata.permissions || stat.uid !== metadata.uid || stat.gid !== metadata.gid) return false;
  if (stat.mtime.seconds !== metadata.mtime.seconds || stat.mtime.nanoseconds !== metadata.mtime.nanoseconds) return false;
  const names = libc.xattrNamesAt(at, name);
  if (names.length !== metadata.xattrs.length) return false;
  return metadata.xattrs.every((attribute) => {
    const value = libc.xattrAt(at, name, attribute.name);
    return value !== undefined && Buffer.compare(value, attribute.value) === 0;
  });
}
