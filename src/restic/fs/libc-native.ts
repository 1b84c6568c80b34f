/** The raw functions: C types in, errno out. Only `libc.ts` uses them. */
export interface Native {
  openat(at: number, path: Uint8Array, flags: number, mode: number): number;
  openat2(number: number, at: number, path: Uint8Array, how: Uint8Array, size: number): number;
  close(descriptor: number): number;
  statx(at: number, path: Uint8Array, flags: number, mask: number, result: Uint8Array): number;
  getdents64(descriptor: number, entries: Uint8Array, size: number): number;
  readlinkat(at: number, path: Uint8Array, result: Uint8Array, size: number): number;
  mkdirat(at: number, path: Uint8Array, mode: number): number;
  symlinkat(target: Uint8Array, at: number, path: Uint8Array): number;
  mknodat(at: number, path: Uint8Array, mode: number, device: number): number;
  linkat(fromAt: number, from: Uint8Array, at: number, path: Uint8Array, flags: number): number;
  unlinkat(at: number, path: Uint8Array, flags: number): number;
  fchownat(at: number, path: Uint8Array, uid: number, gid: number, flags: number): number;
  fchown(descriptor: number, uid: number, gid: number): number;
  fchmod(descriptor: number, mode: number): number;
  chmod(path: Uint8Array, mode: number): number;
  utimensat(at: number, path: Uint8Array, times: Uint8Array, flags: number): number;
  futimens(descriptor: number, times: Uint8Array): number;
  ftruncate(descriptor: number, size: number): number;
  pwrite(descriptor: number, bytes: Uint8Array, length: number, position: number): number;
  lseek(descriptor: number, offset: number, whence: number): number;
  listxattrat(number: number, at: number, path: Uint8Array, flags: number, list: Uint8Array, size: number): number;
  llistxattr(path: Uint8Array, list: Uint8Array, size: number): number;
  lgetxattr(path: Uint8Array, name: Uint8Array, value: Uint8Array, size: number): number;
  lsetxattr(path: Uint8Array, name: Uint8Array, value: Uint8Array, size: number, flags: number): number;
  lremovexattr(path: Uint8Array, name: Uint8Array): number;
  mmap(address: number, length: number, protection: number, flags: number, descriptor: number, offset: number): number | bigint;
  munmap(address: number, length: number): number;
  madvise(address: number, length: number, advice: number): number;
  /** Returns the errno instead of setting it. */
  posixFallocate(descriptor: number, offset: number, length: number): number;
  /** The memory itself, no copy: it must stay mapped while anyone has the buffer. */
  view(address: bigint, length: number): ArrayBuffer;
  errno(): number;
}

/** `[C name, result, arguments]`. `syscall` is declared once for each shape; on 64-bit Linux its arguments pass like any function's. */
const prototypes = {
  openat: ['openat', 'int', ['int', 'void *', 'int', 'uint']],
  openat2: ['syscall', 'long', ['long', 'int', 'void *', 'void *', 'size_t']],
  close: ['close', 'int', ['int']],
  statx: ['statx', 'int', ['int', 'void *', 'int', 'uint', 'void *']],
  getdents64: ['getdents64', 'long', ['int', 'void *', 'size_t']],
  readlinkat: ['readlinkat', 'long', ['int', 'void *', 'void *', 'size_t']],
  mkdirat: ['mkdirat', 'int', ['int', 'void *', 'uint']],
  symlinkat: ['symlinkat', 'int', ['void *', 'int', 'void *']],
  mknodat: ['mknodat', 'int', ['int', 'void *', 'uint', 'uint64_t']],
  linkat: ['linkat', 'int', ['int', 'void *', 'int', 'void *', 'int']],
  unlinkat: ['unlinkat', 'int', ['int', 'void *', 'int']],
  fchownat: ['fchownat', 'int', ['int', 'void *', 'uint', 'uint', 'int']],
  fchown: ['fchown', 'int', ['int', 'uint', 'uint']],
  fchmod: ['fchmod', 'int', ['int', 'uint']],
  chmod: ['chmod', 'int', ['void *', 'uint']],
  utimensat: ['utimensat', 'int', ['int', 'void *', 'void *', 'int']],
  futimens: ['futimens', 'int', ['int', 'void *']],
  ftruncate: ['ftruncate', 'int', ['int', 'int64_t']],
  pwrite: ['pwrite', 'long', ['int', 'void *', 'size_t', 'int64_t']],
  lseek: ['lseek', 'int64_t', ['int', 'int64_t', 'int']],
  listxattrat: ['syscall', 'long', ['long', 'int', 'void *', 'uint', 'void *', 'size_t']],
  llistxattr: ['llistxattr', 'long', ['void *', 'void *', 'size_t']],
  lgetxattr: ['lgetxattr', 'long', ['void *', 'void *', 'void *', 'size_t']],
  lsetxattr: ['lsetxattr', 'int', ['void *', 'void *', 'void *', 'size_t', 'int']],
  lremovexattr: ['lremovexattr', 'int', ['void *', 'void *']],
  mmap: ['mmap', 'intptr_t', ['intptr_t', 'size_t', 'int', 'int', 'int', 'int64_t']],
  munmap: ['munmap', 'int', ['intptr_t', 'size_t']],
  madvise: ['madvise', 'int', ['intptr_t', 'size_t', 'int']],
  posixFallocate: ['posix_fallocate', 'int', ['int', 'int64_t', 'int64_t']],
} satisfies Record<Exclude<keyof Native, 'errno' | 'view'>, [string, string, string[]]>;

/** @param require loads the binding when it is first needed. */
export function bindNative(require: NodeJS.Require): Native {
  const koffi = require('koffi') as typeof import('koffi');
  // The running program's own libc, whichever it is (glibc or musl).
  const library = koffi.load(null);
  const functions: Record<string, unknown> = { errno: () => koffi.errno(), view: (address: bigint, length: number) => koffi.view(address, length) };
  for (const [name, [symbol, result, parameters]] of Object.entries(prototypes)) functions[name] = library.func(symbol, result, parameters);
  return functions as unknown as Native;
}
