import { nodeTypeOf } from '../format/file-mode.ts';
import type { Uint64 } from '../format/node.ts';
import type { Timespec } from '../format/time.ts';
import type { FileStat } from './contract.ts';

/** sizeof(struct statx) */
export const statxSize = 256;

/** Reads the kernel's `struct statx` (linux/stat.h); its layout is the same on every architecture. */
export function decodeStatx(view: DataView): FileStat {
  const mode = view.getUint16(28, true);
  return {
    type: nodeTypeOf(mode),
    mode,
    uid: view.getUint32(20, true),
    gid: view.getUint32(24, true),
    inode: uint64At(view, 32),
    deviceId: deviceNumber(view.getUint32(136, true), view.getUint32(140, true)),
    device: deviceNumber(view.getUint32(128, true), view.getUint32(132, true)),
    links: view.getUint32(16, true),
    size: numberAt(view, 40),
    blocks: numberAt(view, 48),
    atime: timeAt(view, 64),
    ctime: timeAt(view, 96),
    mtime: timeAt(view, 112),
  };
}

/** glibc's `makedev`; below 2^53, for a major number has 12 bits and a minor 20. */
export function deviceNumber(major: number, minor: number): number {
  return (minor & 0xff) + (major & 0xfff) * 0x100 + (minor >>> 8) * 0x10_0000;
}

function uint64At(view: DataView, offset: number): Uint64 {
  const high = view.getUint32(offset + 4, true);
  if (high < 0x20_0000) return high * 0x1_0000_0000 + view.getUint32(offset, true);
  return view.getBigUint64(offset, true);
}

function numberAt(view: DataView, offset: number): number {
  return view.getUint32(offset + 4, true) * 0x1_0000_0000 + view.getUint32(offset, true);
}

function timeAt(view: DataView, offset: number): Timespec {
  return { seconds: view.getInt32(offset + 4, true) * 0x1_0000_0000 + view.getUint32(offset, true), nanoseconds: view.getUint32(offset + 8, true) };
}
