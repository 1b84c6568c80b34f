import type { PathWarning } from '../contract.ts';
import { textOf, type ByteString } from '../format/byte-string.ts';
import type { ExtendedAttribute } from '../format/node.ts';
import type { FileDetails, FileStat } from './contract.ts';
import { errnoCodeOf } from './libc-error.ts';
import type { Libc } from './libc.ts';
import type { OwnerNames } from './owner-names.ts';

interface Described {
  readonly at: number;
  readonly name: ByteString;
  readonly stat: FileStat;
  readonly path: ByteString;
}

/** What a node says beside its stat. What cannot be read is left out, with a `metadata` warning. */
export function readDetails(libc: Libc, names: OwnerNames, entry: Described, warn: (warning: PathWarning) => void): FileDetails {
  const { at, name, stat } = entry;
  const owner = { user: names.user(stat.uid), group: names.group(stat.gid), extendedAttributes: readXattrs(libc, entry, warn) };
  if (stat.type !== 'symlink') return owner;
  return { ...owner, linkTarget: libc.readLinkAt(at, name) };
}

function readXattrs(libc: Libc, { at, name, path }: Described, warn: (warning: PathWarning) => void): readonly ExtendedAttribute[] {
  const attributes: ExtendedAttribute[] = [];
  try {
    for (const attribute of libc.xattrNamesAt(at, name)) {
      const value = libc.xattrAt(at, name, attribute);
      if (value !== undefined) attributes.push({ name: attribute, value });
    }
  } catch (error) {
    const code = errnoCodeOf(error);
    if (code === undefined) throw error;
    const shown = textOf(path);
    warn({ path: shown, kind: 'metadata', message: `The extended attributes of ${shown} cannot be read (${code}); they are missing from this backup` });
  }
  return attributes;
}
