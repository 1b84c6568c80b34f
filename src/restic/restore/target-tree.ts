import { accessSync, constants, existsSync, lstatSync, mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeFolders } from '../../storage/index.ts';
import { EngineError } from '../errors.ts';
import { byteString, byteStringFromText, nodeTypeOf, type ByteString, type Node } from '../format/index.ts';
import { Beneath, dataRanges, errnoCodeOf, LibcError, openLibc, splitPath, type FileStat, type Libc } from '../fs/index.ts';
import * as c from '../fs/libc-constants.ts';
import { copyRanges } from './copy-ranges.ts';
import type { Surroundings } from './metadata.ts';

const setgid = 0o2000;
const defaultAcl = byteString('system.posix_acl_default');
const specialFormats: Readonly<Partial<Record<Node['type'], number>>> = { fifo: c.S_IFIFO, socket: c.S_IFSOCK, dev: c.S_IFBLK, chardev: c.S_IFCHR };

/** The directory that is restored into. Every path is relative to it and stays below it, whatever links lie there. */
export class TargetTree {
  readonly libc: Libc = openLibc();
  readonly beneath: Beneath;
  readonly root: number;
  readonly #device: number;

  /**
   * @param isDry - nothing will be written: a directory that is not there is taken for an empty one
   * @throws {EngineError} `TargetUnwritable`
   */
  constructor(directory: string, isDry = false) {
    try {
      if (!isDry) makeFolders(directory);
      this.root = isDry && !existsSync(directory) ? this.#openNothing() : this.libc.openAt(c.AT_FDCWD, byteStringFromText(directory), c.O_RDONLY | c.O_DIRECTORY);
    } catch (cause) {
      throw unwritable(directory, cause);
    }
    if (!isDry) this.#assertWritable(directory);
    this.beneath = new Beneath(this.libc, this.root);
    this.#device = this.libc.stat(this.root).deviceId;
  }

  close(): void {
    this.beneath.close();
    this.libc.close(this.root);
  }

  /** A directory without a name, in which nothing can be found. */
  #openNothing(): number {
    const directory = mkdtempSync(join(tmpdir(), 'tenant-backup-dry-run-'));
    try {
      return this.libc.openAt(c.AT_FDCWD, byteStringFromText(directory), c.O_RDONLY | c.O_DIRECTORY);
    } finally {
      rmdirSync(directory);
    }
  }

  /** Said once, and not again for each of a million files. Where only a mode forbids it, what lies below may still be writable. */
  #assertWritable(directory: string): void {
    try {
      accessSync(directory, constants.W_OK);
    } catch (cause) {
      if (errnoCodeOf(cause) !== 'EROFS') return;
      this.libc.close(this.root);
      throw unwritable(directory, cause);
    }
  }

  inspect(path: ByteString): FileStat | undefined {
    const { directory, name } = splitPath(path);
    try {
      return this.libc.statAt(this.beneath.directory(directory), name);
    } catch (error) {
      if (errnoCodeOf(error) === 'ENOENT') return undefined;
      throw error;
    }
  }

  /** Makes a directory, in place of whatever else has its name. @returns whether it is new, and so empty */
  ensureDirectory(path: ByteString): boolean {
    const { directory, name } = splitPath(path);
    try {
      this.libc.makeDirectoryAt(this.beneath.directory(directory), name, 0o700);
      return true;
    } catch (error) {
      if (errnoCodeOf(error) !== 'EEXIST') throw error;
    }
    if (this.inspect(path)?.type === 'dir') return false;
    this.remove(path);
    this.libc.makeDirectoryAt(this.beneath.directory(directory), name, 0o700);
    return true;
  }

  /**
   * What a file that is made in a directory will get from it. Only of a directory that was just made is the owner known: this file system
   * gives files the owner that it gave the directory (a network share may have ideas of its own), unless setgid says otherwise.
   */
  surroundings(path: ByteString, isNew: boolean, above?: Surroundings): Surroundings {
    const at = this.beneath.directory(path);
    const mayHaveOtherXattrs = isNew && above !== undefined ? above.mayHaveOtherXattrs : this.libc.xattrNamesAt(at, byteString('.')).includes(defaultAcl);
    if (!isNew) return { owner: undefined, mayHaveOtherXattrs };
    const { uid, gid, mode } = this.libc.stat(at);
    return { owner: (mode & setgid) === 0 ? { uid, gid } : undefined, mayHaveOtherXattrs };
  }

  /** Makes a symlink, FIFO, socket or device unless the very same is there. @returns whether it is new */
  ensureSpecial(path: ByteString, node: Node, existing: FileStat | undefined): boolean {
    const { directory, name } = splitPath(path);
    const at = this.beneath.directory(directory);
    const isSameType = existing !== undefined && nodeTypeOf(existing.mode) === node.type;
    const device = Number(node.device ?? 0);
    if (isSameType && (node.type === 'symlink' ? this.libc.readLinkAt(at, name) === node.linkTarget : existing.device === device)) return false;
    if (existing !== undefined) this.remove(path);
    if (node.type === 'symlink') this.libc.makeSymlinkAt(node.linkTarget ?? byteString(''), at, name);
    else this.libc.makeNodeAt(at, name, (specialFormats[node.type] ?? 0) | 0o600, device);
    return true;
  }

  /** Gives a file a second name. @returns false when both are one file already */
  ensureLink(first: ByteString, path: ByteString): boolean {
    const source = this.inspect(first);
    const existing = this.inspect(path);
    if (source === undefined) throw new LibcError('linkat', 2, first);
    if (existing !== undefined && existing.inode === source.inode && existing.deviceId === source.deviceId) return false;
    if (existing !== undefined) this.remove(path);
    const from = splitPath(first);
    const to = splitPath(path);
    const fromAt = this.beneath.directory(from.directory);
    this.libc.linkAt(fromAt, from.name, this.beneath.directory(to.directory), to.name);
    return true;
  }

  /** Gives a file a twin, holes and all. Never over another. @returns the bytes that it holds */
  async copyFile(first: ByteString, path: ByteString, signal: AbortSignal): Promise<number> {
    const from = splitPath(first);
    const source = this.libc.openAt(this.beneath.directory(from.directory), from.name, c.O_RDONLY | c.O_NOFOLLOW | c.O_NONBLOCK);
    try {
      const { size } = this.libc.stat(source);
      this.makeFile(path, size);
      const to = splitPath(path);
      const twin = this.libc.openAt(this.beneath.directory(to.directory), to.name, c.O_WRONLY | c.O_NOFOLLOW | c.O_NONBLOCK);
      try {
        return await copyRanges(source, twin, dataRanges(this.libc, source, size), signal);
      } finally {
        this.libc.close(twin);
      }
    } finally {
      this.libc.close(source);
    }
  }

  /** An empty file of a size: all hole. Never over another. */
  makeFile(path: ByteString, size: number): void {
    const { directory, name } = splitPath(path);
    const descriptor = this.libc.openAt(this.beneath.directory(directory), name, c.O_WRONLY | c.O_CREAT | c.O_EXCL | c.O_NOFOLLOW, 0o600);
    try {
      if (size > 0) this.libc.truncate(descriptor, size);
    } finally {
      this.libc.close(descriptor);
    }
  }

  setSize(path: ByteString, size: number): void {
    const { directory, name } = splitPath(path);
    const descriptor = this.libc.openAt(this.beneath.directory(directory), name, c.O_WRONLY | c.O_NOFOLLOW | c.O_NONBLOCK);
    try {
      this.libc.truncate(descriptor, size);
    } finally {
      this.libc.close(descriptor);
    }
  }

  /** Whether the content of an existing file can be changed in place: not a running program, not read-only for this user. */
  canWrite(path: ByteString): boolean {
    const { directory, name } = splitPath(path);
    try {
      this.libc.close(this.libc.openAt(this.beneath.directory(directory), name, c.O_RDWR | c.O_NOFOLLOW | c.O_NONBLOCK));
      return true;
    } catch {
      return false;
    }
  }

  /** Whether another file system begins with this directory of the target. */
  isMountPoint(path: ByteString): boolean {
    const deviceOf = (each: ByteString): number => this.libc.stat(this.beneath.directory(each)).deviceId;
    return path !== '' && deviceOf(path) !== deviceOf(splitPath(path).directory);
  }

  namesIn(path: ByteString): ByteString[] {
    // Through a descriptor of its own, for listing moves the position.
    const descriptor = this.libc.openAt(this.beneath.directory(path), byteString('.'), c.O_RDONLY | c.O_DIRECTORY);
    try {
      return this.libc.namesIn(descriptor);
    } finally {
      this.libc.close(descriptor);
    }
  }

  /** Removes an entry, directories with all below; another file system that is mounted there is not entered (`EBUSY`). @returns how many entries went */
  remove(path: ByteString): number {
    const { directory, name } = splitPath(path);
    this.beneath.forget(path);
    return this.#remove(this.beneath.directory(directory), name);
  }

  #remove(at: number, name: ByteString): number {
    const stat = this.libc.statAt(at, name);
    if (stat.type !== 'dir') {
      this.libc.unlinkAt(at, name);
      return 1;
    }
    if (stat.deviceId !== this.#device) throw new LibcError('unlinkat', 16, name);
    const descriptor = this.libc.openAt(at, name, c.O_RDONLY | c.O_DIRECTORY | c.O_NOFOLLOW);
    let removed = 1;
    try {
      for (const child of this.libc.namesIn(descriptor)) removed += this.#remove(descriptor, child);
    } finally {
      this.libc.close(descriptor);
    }
    this.libc.removeDirectoryAt(at, name);
    return removed;
  }
}

function unwritable(directory: string, cause: unknown): EngineError {
  const code = errnoCodeOf(cause) ?? 'unknown';
  const advice =
    code === 'EROFS' ? 'its file system is mounted read-only; mount it for writing, or choose another directory'
    : lstatSync(directory, { throwIfNoEntry: false })?.isSymbolicLink() === true && !existsSync(directory) ? 'it is a symbolic link to nothing; make what it points to, or choose another directory'
    : 'choose a directory that this process may write to';
  return new EngineError('TargetUnwritable', `The target ${directory} cannot be made or opened (${code}): ${advice}.`, { context: { path: directory }, cause });
}
