/**
 * The one place that calls libc: what Linux offers and Node does not (nanosecond times, extended attributes, device nodes,
 * holes, and every call relative to a directory descriptor, which is what keeps swapped symlinks from leading elsewhere).
 * The library is loaded when `openLibc` is called and not before: the program must start fast.
 */
import { createRequire } from 'node:module';
import { byteString, type ByteString } from '../format/byte-string.ts';
import type { Timespec } from '../format/time.ts';
import * as c from './libc-constants.ts';
import { LibcError } from './libc-error.ts';
import { bindNative, type Native } from './libc-native.ts';
import { decodeStatx, statxSize } from './statx.ts';
import type { FileStat } from './contract.ts';

const longestName = 8192;
const listBufferSize = 256 * 1024;

/** Loads libc. Keep the result: each one has its own scratch memory, and belongs to one thread. */
export function openLibc(): Libc {
  return new Libc(bindNative(createRequire(import.meta.url)));
}

/** System calls, synchronous; each throws `LibcError`. A `name` is relative to its directory descriptor `at`. */
export class Libc {
  readonly #native: Native;
  readonly #name = Buffer.alloc(longestName);
  readonly #otherName = Buffer.alloc(longestName);
  readonly #statx = Buffer.alloc(statxSize);
  readonly #statxView: DataView;
  readonly #times = Buffer.alloc(32);
  #list = Buffer.alloc(64 * 1024 + 1);
  readonly #entries = Buffer.alloc(listBufferSize);
  #hasXattrAt = true;
  #hasOpenat2 = true;

  constructor(native: Native) {
    this.#native = native;
    this.#statxView = new DataView(this.#statx.buffer, this.#statx.byteOffset, statxSize);
  }

  openAt(at: number, name: ByteString, flags: number, mode = 0): number {
    const descriptor = this.#native.openat(at, this.#path(name), flags | c.O_CLOEXEC, mode);
    if (descriptor < 0) this.#fail('openat', name);
    return descriptor;
  }

  /**
   * Opens a path of several parts below a directory; symlinks in it, the last part included, are refused (`ELOOP`).
   * @returns `undefined` where the kernel, or its seccomp filter, has no `openat2`: walk part by part instead.
   */
  openBeneath(at: number, path: ByteString, flags: number, mode = 0): number | undefined {
    if (!this.#hasOpenat2) return undefined;
    const how = this.#times;
    how.writeBigUInt64LE(BigInt(flags | c.O_CLOEXEC), 0);
    how.writeBigUInt64LE(BigInt(mode), 8);
    how.writeBigUInt64LE(BigInt(c.RESOLVE_BENEATH | c.RESOLVE_NO_SYMLINKS | c.RESOLVE_NO_MAGICLINKS), 16);
    const descriptor = this.#native.openat2(c.SYS_OPENAT2, at, this.#path(path), how, 24);
    if (descriptor >= 0) return descriptor;
    const error = this.#error('openat2', path);
    if (error.code !== 'ENOSYS' && error.code !== 'EPERM') throw error;
    this.#hasOpenat2 = false;
    return undefined;
  }

  close(descriptor: number): void {
    this.#native.close(descriptor);
  }

  statAt(at: number, name: ByteString): FileStat {
    if (this.#native.statx(at, this.#path(name), c.AT_SYMLINK_NOFOLLOW, c.STATX_BASIC_STATS, this.#statx) < 0) this.#fail('statx', name);
    return decodeStatx(this.#statxView);
  }

  /** @param isAsked - the server of a network file system is asked, however fresh the kernel's own knowledge is */
  stat(descriptor: number, isAsked = false): FileStat {
    this.#name[0] = 0;
    const flags = c.AT_EMPTY_PATH | (isAsked ? c.AT_STATX_FORCE_SYNC : 0);
    if (this.#native.statx(descriptor, this.#name, flags, c.STATX_BASIC_STATS, this.#statx) < 0) this.#failOn('statx', descriptor);
    return decodeStatx(this.#statxView);
  }

  /** The names in a directory, as the kernel gives them: in no order, without `.` and `..`. */
  namesIn(descriptor: number): ByteString[] {
    const names: ByteString[] = [];
    for (;;) {
      const length = this.#native.getdents64(descriptor, this.#entries, listBufferSize);
      if (length < 0) this.#failOn('getdents64', descriptor);
      if (length === 0) return names;
      for (let at = 0; at < length; ) {
        const size = this.#entries.readUInt16LE(at + 16);
        const end = this.#entries.indexOf(0, at + 19);
        const name = this.#entries.toString('latin1', at + 19, end);
        if (name !== '.' && name !== '..') names.push(byteString(name));
        at += size;
      }
    }
  }

  readLinkAt(at: number, name: ByteString): ByteString {
    const length = this.#native.readlinkat(at, this.#path(name), this.#list, this.#list.length);
    if (length < 0) this.#fail('readlinkat', name);
    return byteString(this.#list.toString('latin1', 0, length));
  }

  makeDirectoryAt(at: number, name: ByteString, mode: number): void {
    if (this.#native.mkdirat(at, this.#path(name), mode) < 0) this.#fail('mkdirat', name);
  }

  makeSymlinkAt(linkTarget: ByteString, at: number, name: ByteString): void {
    const path = this.#path(name);
    if (this.#native.symlinkat(this.#path(linkTarget, this.#otherName), at, path) < 0) this.#fail('symlinkat', name);
  }

  /** FIFOs, sockets, devices. `mode` has the type bits; `device` is in glibc's encoding. */
  makeNodeAt(at: number, name: ByteString, mode: number, device: number): void {
    if (this.#native.mknodat(at, this.#path(name), mode, device) < 0) this.#fail('mknodat', name);
  }

  linkAt(fromAt: number, from: ByteString, at: number, name: ByteString): void {
    const path = this.#path(name);
    if (this.#native.linkat(fromAt, this.#path(from, this.#otherName), at, path, 0) < 0) this.#fail('linkat', name);
  }

  unlinkAt(at: number, name: ByteString): void {
    if (this.#native.unlinkat(at, this.#path(name), 0) < 0) this.#fail('unlinkat', name);
  }

  removeDirectoryAt(at: number, name: ByteString): void {
    if (this.#native.unlinkat(at, this.#path(name), c.AT_REMOVEDIR) < 0) this.#fail('unlinkat', name);
  }

  chownAt(at: number, name: ByteString, uid: number, gid: number): void {
    if (this.#native.fchownat(at, this.#path(name), uid, gid, c.AT_SYMLINK_NOFOLLOW) < 0) this.#fail('fchownat', name);
  }

  chown(descriptor: number, uid: number, gid: number): void {
    if (this.#native.fchown(descriptor, uid, gid) < 0) this.#failOn('fchown', descriptor);
  }

  chmod(descriptor: number, mode: number): void {
    if (this.#native.fchmod(descriptor, mode) < 0) this.#failOn('fchmod', descriptor);
  }

  /** For what cannot be opened without effect (devices, FIFOs, sockets); a symlink put in its place is refused. */
  chmodAt(at: number, name: ByteString, mode: number): void {
    const descriptor = this.openAt(at, name, c.O_PATH | c.O_NOFOLLOW);
    try {
      if ((this.stat(descriptor).mode & c.S_IFMT) === c.S_IFLNK) throw new LibcError('chmod', 40, name);
      const path = byteString(`/proc/self/fd/${String(descriptor)}`);
      if (this.#native.chmod(this.#path(path), mode) < 0) this.#fail('chmod', name);
    } finally {
      this.close(descriptor);
    }
  }

  setTimesAt(at: number, name: ByteString, atime: Timespec, mtime: Timespec): void {
    this.#putTimes(atime, mtime);
    if (this.#native.utimensat(at, this.#path(name), this.#times, c.AT_SYMLINK_NOFOLLOW) < 0) this.#fail('utimensat', name);
  }

  setTimes(descriptor: number, atime: Timespec, mtime: Timespec): void {
    this.#putTimes(atime, mtime);
    if (this.#native.futimens(descriptor, this.#times) < 0) this.#failOn('futimens', descriptor);
  }

  truncate(descriptor: number, size: number): void {
    if (this.#native.ftruncate(descriptor, size) < 0) this.#failOn('ftruncate', descriptor);
  }

  /** One `pwrite`; may write less than asked. */
  write(descriptor: number, bytes: Uint8Array, position: number): number {
    const written = this.#native.pwrite(descriptor, bytes, bytes.length, position);
    if (written < 0) this.#failOn('pwrite', descriptor);
    return written;
  }

  /** Where data (or a hole) starts at or after `offset`; `undefined` past the last. */
  seek(descriptor: number, offset: number, whence: number): number | undefined {
    const position = this.#native.lseek(descriptor, offset, whence);
    if (position >= 0) return position;
    const error = this.#error('lseek', `descriptor ${String(descriptor)}`);
    if (error.code === 'ENXIO') return undefined;
    throw error;
  }

  /** Gives a file its blocks now, so that writing to its mapping cannot fail for want of room (`SIGBUS`). */
  allocate(descriptor: number, bytes: number): void {
    const errno = this.#native.posixFallocate(descriptor, 0, bytes);
    if (errno !== 0) throw new LibcError('posix_fallocate', errno, `descriptor ${String(descriptor)}`);
  }

  /** Maps a file, shared and for writing; it stays mapped when the descriptor is closed. @returns the address */
  map(descriptor: number, bytes: number): number {
    const address = Number(this.#native.mmap(0, bytes, c.PROT_READ | c.PROT_WRITE, c.MAP_SHARED, descriptor, 0));
    if (address === -1) this.#failOn('mmap', descriptor);
    return address;
  }

  unmap(address: number, bytes: number): void {
    this.#native.munmap(address, bytes);
  }

  /** How a mapping will be read: `scan` reads ahead, `random` does not. Only a hint. */
  advise(address: number, bytes: number, pattern: 'random' | 'scan'): void {
    this.#native.madvise(address, bytes, pattern === 'scan' ? c.MADV_SEQUENTIAL : c.MADV_RANDOM);
  }

  /** A mapping as bytes; whoever has them after `unmap` crashes the process. */
  view(address: number, bytes: number): ArrayBuffer {
    return this.#native.view(BigInt(address), bytes);
  }

  /** Names of extended attributes; none where the file system has none. */
  xattrNamesAt(at: number, name: ByteString): ByteString[] {
    const length = this.#growing('listxattr', name, (list) => this.#listXattr(at, name, list));
    if (length <= 0) return [];
    return this.#list.toString('latin1', 0, length - 1).split('\0').map(byteString);
  }

  /** `undefined` where there is no such attribute (any more). */
  xattrAt(at: number, name: ByteString, attribute: ByteString): Uint8Array | undefined {
    const path = this.#procPath(at, name);
    const length = this.#growing('lgetxattr', name, (list) =>
      this.#native.lgetxattr(this.#path(path), this.#path(attribute, this.#otherName), list, list.length),
    );
    return length < 0 ? undefined : Uint8Array.prototype.slice.call(this.#list, 0, length);
  }

  setXattrAt(at: number, name: ByteString, attribute: ByteString, value: Uint8Array): void {
    const path = this.#path(this.#procPath(at, name));
    if (this.#native.lsetxattr(path, this.#path(attribute, this.#otherName), value, value.length, 0) < 0) {
      this.#fail('lsetxattr', `${name}: ${attribute}`);
    }
  }

  removeXattrAt(at: number, name: ByteString, attribute: ByteString): void {
    const path = this.#path(this.#procPath(at, name));
    if (this.#native.lremovexattr(path, this.#path(attribute, this.#otherName)) < 0) this.#fail('lremovexattr', `${name}: ${attribute}`);
  }

  /** Linux ≥ 6.13 lists attributes relative to a descriptor, in less than half the time that the way through /proc takes. */
  #listXattr(at: number, name: ByteString, list: Buffer): number {
    if (this.#hasXattrAt) {
      const length = this.#native.listxattrat(c.SYS_LISTXATTRAT, at, this.#path(name), c.AT_SYMLINK_NOFOLLOW, list, list.length);
      if (length >= 0) return length;
      const { code } = this.#error('listxattrat', name);
      if (code !== 'ENOSYS' && code !== 'EPERM') return length;
      this.#hasXattrAt = false;
    }
    return this.#native.llistxattr(this.#path(this.#procPath(at, name)), list, list.length);
  }

  /** @returns -1 where the attribute, or any attribute, does not exist. */
  #growing(syscall: string, name: ByteString, call: (list: Buffer) => number): number {
    const length = call(this.#list);
    if (length >= 0) return length;
    const error = this.#error(syscall, name);
    if (error.code === 'ENODATA' || error.code === 'ENOTSUP' || error.code === 'EOPNOTSUPP') return -1;
    if (error.code !== 'ERANGE' || this.#list.length > 2 ** 24) throw error;
    this.#list = Buffer.alloc(this.#list.length * 8);
    return this.#growing(syscall, name, call);
  }

  /** The magic link of /proc leads to the open directory itself, so no other directory can be slipped in; the last part is not followed. */
  #procPath(at: number, name: ByteString): ByteString {
    if (at === c.AT_FDCWD) return name;
    return byteString(`/proc/self/fd/${String(at)}/${name === '' ? '.' : name}`);
  }

  #path(name: ByteString, into = this.#name): Buffer {
    // A NUL inside would silently cut the name and so name another file.
    if (name.length >= longestName || name.includes('\0')) throw new LibcError('path', 36, `${name.slice(0, 64)}…`);
    into[into.write(name, 0, 'latin1')] = 0;
    return into;
  }

  #putTimes(atime: Timespec, mtime: Timespec): void {
    this.#times.writeBigInt64LE(BigInt(atime.seconds), 0);
    this.#times.writeBigInt64LE(BigInt(atime.nanoseconds), 8);
    this.#times.writeBigInt64LE(BigInt(mtime.seconds), 16);
    this.#times.writeBigInt64LE(BigInt(mtime.nanoseconds), 24);
  }

  #error(syscall: string, what: string): LibcError {
    return new LibcError(syscall, this.#native.errno(), what);
  }

  #fail(syscall: string, what: string): never {
    throw this.#error(syscall, what);
  }

  #failOn(syscall: string, descriptor: number): never {
    throw this.#error(syscall, `descriptor ${String(descriptor)}`);
  }
}
