import { randomBytes } from 'node:crypto';
import { closeSync, openSync, statfsSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { openLibc, type Libc } from './libc.ts';
import { RAMFS_MAGIC, TMPFS_MAGIC } from './libc-constants.ts';
import { LibcError } from './libc-error.ts';

/** Where a mapping lies in this process: every thread can have it by its address. */
export interface Mapping {
  readonly address: number;
  readonly bytes: number;
}

/**
 * Memory that lies in files without a name. The kernel keeps of it what is used and there is room for (it counts as page cache, below a cgroup's limit
 * too), and the disk has the rest. It goes with the process, or when the thread that made it has no buffer of it left.
 */
export class MappedFiles {
  readonly #libc: Libc = openLibc();
  readonly #left = new FinalizationRegistry(({ address, bytes }: Mapping) => {
    this.#libc.unmap(address, bytes);
  });

  /**
   * All bytes are zero, and on disk there is room for all of them.
   * @param directory - of a file system that is no memory itself
   * @throws {LibcError | Error} with a `code`, such as `ENOSPC`; `ENOTSUP` for memory
   */
  make(directory: string, bytes: number): Mapping & { readonly buffer: ArrayBuffer } {
    const descriptor = openUnnamed(directory);
    try {
      this.#libc.allocate(descriptor, bytes);
      const mapping = { address: this.#libc.map(descriptor, bytes), bytes };
      this.advise(mapping, 'random');
      const buffer = this.open(mapping);
      this.#left.register(buffer, mapping);
      return { ...mapping, buffer };
    } finally {
      closeSync(descriptor);
    }
  }

  /** For another thread, while the one that made it has it. */
  open({ address, bytes }: Mapping): ArrayBuffer {
    return this.#libc.view(address, bytes);
  }

  /** How it will be read: at random, as from the start, or all of it from the front. */
  advise({ address, bytes }: Mapping, pattern: 'random' | 'scan'): void {
    this.#libc.advise(address, bytes, pattern);
  }
}

/**
 * A file for reading and writing that has no name any more. The caller closes it.
 * @throws {LibcError | Error} with a `code`
 */
export function openUnnamed(directory: string): number {
  const { type } = statfsSync(directory);
  if (type === TMPFS_MAGIC || type === RAMFS_MAGIC) throw new LibcError('open', 95, directory);
  const path = join(directory, `.tenant-backup-${randomBytes(8).toString('hex')}`);
  const descriptor = openSync(path, 'wx+', 0o600);
  unlinkSync(path);
  return descriptor;
}
