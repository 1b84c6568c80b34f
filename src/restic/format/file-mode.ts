import type { NodeType } from './node.ts';

// Go's fs.FileMode bits, which restic stores; the permission bits are Unix's.
const goDirectory = 2 ** 31;
const goSymlink = 1 << 27;
const goDevice = 1 << 26;
const goNamedPipe = 1 << 25;
const goSocket = 1 << 24;
const goSetuid = 1 << 23;
const goSetgid = 1 << 22;
const goCharDevice = 1 << 21;
const goSticky = 1 << 20;
const goIrregular = 1 << 19;

const unixFormat = 0o170000;
const unixSetuid = 0o4000;
const unixSetgid = 0o2000;
const unixSticky = 0o1000;

const typeOfFormat: Readonly<Record<number, NodeType>> = {
  0o100000: 'file',
  0o040000: 'dir',
  0o120000: 'symlink',
  0o060000: 'dev',
  0o020000: 'chardev',
  0o010000: 'fifo',
  0o140000: 'socket',
};

const typeBits: Readonly<Record<NodeType, number>> = {
  file: 0,
  dir: goDirectory,
  symlink: goSymlink,
  dev: goDevice,
  chardev: goDevice + goCharDevice,
  fifo: goNamedPipe,
  socket: goSocket,
  irregular: goIrregular,
};

/** What kind of entry a `st_mode` tells of. */
export function nodeTypeOf(stMode: number): NodeType {
  return typeOfFormat[stMode & unixFormat] ?? 'irregular';
}

/** `st_mode` as Go's `fs.FileMode`. */
export function goModeOf(stMode: number): number {
  let mode = (stMode & 0o777) + typeBits[nodeTypeOf(stMode)];
  if ((stMode & unixSetuid) !== 0) mode += goSetuid;
  if ((stMode & unixSetgid) !== 0) mode += goSetgid;
  if ((stMode & unixSticky) !== 0) mode += goSticky;
  return mode;
}

/** The lowest twelve bits of `st_mode` (what `chmod` takes) of a Go mode. */
export function permissionsOf(goMode: number): number {
  let mode = goMode & 0o777;
  if ((goMode & goSetuid) !== 0) mode |= unixSetuid;
  if ((goMode & goSetgid) !== 0) mode |= unixSetgid;
  if ((goMode & goSticky) !== 0) mode |= unixSticky;
  return mode;
}
