import type { FileDetails, FileStat } from '../fs/index.ts';
import { goModeOf, type ByteString, type Id, type Node, type TimeFormatter } from '../format/index.ts';

/** The node of a file system entry, as restic fills it; `content` and `subtree` come later. The access time is not kept, for it would make every tree new. */
export function nodeOf(name: ByteString, stat: FileStat, details: Pick<FileDetails, 'user' | 'group' | 'linkTarget'> & Partial<FileDetails>, times: TimeFormatter): Node {
  const mtime = times.format(stat.mtime);
  const isLinkable = stat.type === 'file' || stat.type === 'symlink' || stat.type === 'dev' || stat.type === 'chardev';
  return {
    name,
    type: stat.type,
    mode: goModeOf(stat.mode),
    mtime,
    atime: mtime,
    ctime: times.format(stat.ctime),
    uid: stat.uid,
    gid: stat.gid,
    user: details.user,
    group: details.group,
    inode: stat.inode,
    deviceId: isLinkable && stat.links > 1 ? stat.deviceId : undefined,
    size: stat.type === 'file' ? stat.size : undefined,
    links: isLinkable ? stat.links : undefined,
    linkTarget: details.linkTarget,
    extendedAttributes: details.extendedAttributes,
    device: stat.type === 'dev' || stat.type === 'chardev' ? stat.device : undefined,
    content: null,
  };
}

/** A directory that exists in the snapshot's paths only, such as `/volumes`; as old as the source below it, so that it stays the same. */
export function virtualDirectory(name: ByteString, source: Pick<FileStat, 'mtime'>, times: TimeFormatter): Node {
  const mtime = times.format(source.mtime);
  return { name, type: 'dir', mode: goModeOf(0o040755), mtime, atime: mtime, ctime: mtime, uid: 0, gid: 0, content: null };
}

/** A file that never lay in a file system: as old as the backup, readable for root alone, for nobody knows who may read it. */
export function streamFile(name: ByteString, at: FileStat['mtime'], content: readonly Id[], size: number, times: TimeFormatter): Node {
  const mtime = times.format(at);
  return { name, type: 'file', mode: goModeOf(0o100600), mtime, atime: mtime, ctime: mtime, uid: 0, gid: 0, size, links: 1, content };
}
