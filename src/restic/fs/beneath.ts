import { byteString, type ByteString } from '../format/byte-string.ts';
import * as c from './libc-constants.ts';
import type { Libc } from './libc.ts';

const keptOpen = 64;
/** Below PATH_MAX (4096), with the terminating zero. */
const longestPath = 4000;

/**
 * Directories below one root, opened without ever following a symlink and without ever leaving the root, whatever happens to the tree
 * meanwhile. A path is relative, its parts joined by `/`; the root itself is the empty path. Belongs to one thread; the root's descriptor is the caller's.
 */
export class Beneath {
  readonly root: number;
  readonly #libc: Libc;
  /** Least recently used first. */
  readonly #open = new Map<ByteString, number>();

  constructor(libc: Libc, root: number) {
    this.#libc = libc;
    this.root = root;
  }

  /** A descriptor of the directory; valid until 64 others were asked for. */
  directory(path: ByteString): number {
    if (path === '') return this.root;
    const known = this.#open.get(path);
    if (known !== undefined) {
      this.#open.delete(path);
      this.#open.set(path, known);
      return known;
    }
    const descriptor = this.#openDirectory(path);
    this.#open.set(path, descriptor);
    for (const [oldest, old] of this.#open) {
      if (this.#open.size <= keptOpen) break;
      this.#open.delete(oldest);
      this.#libc.close(old);
    }
    return descriptor;
  }

  /** Lets go of a directory and all below it: they are about to be removed. */
  forget(path: ByteString): void {
    for (const [known, descriptor] of this.#open) {
      if (known !== path && !known.startsWith(`${path}/`)) continue;
      this.#open.delete(known);
      this.#libc.close(descriptor);
    }
  }

  close(): void {
    for (const descriptor of this.#open.values()) this.#libc.close(descriptor);
    this.#open.clear();
  }

  #openDirectory(path: ByteString): number {
    if (path.length < longestPath) {
      const descriptor = this.#libc.openBeneath(this.root, path, c.O_RDONLY | c.O_DIRECTORY | c.O_NOFOLLOW);
      if (descriptor !== undefined) return descriptor;
    }
    const { directory, name } = splitPath(path);
    return this.#libc.openAt(this.directory(directory), name, c.O_RDONLY | c.O_DIRECTORY | c.O_NOFOLLOW);
  }
}

/** `a/b/c` → `a/b` and `c`. */
export function splitPath(path: ByteString): { readonly directory: ByteString; readonly name: ByteString } {
  const slash = path.lastIndexOf('/');
  if (slash < 0) return { directory: byteString(''), name: path };
  return { directory: byteString(path.slice(0, slash)), name: byteString(path.slice(slash + 1)) };
}

export function joinPath(directory: ByteString, name: ByteString): ByteString {
  return directory === '' ? name : byteString(`${directory}/${name}`);
}
