import { writeSync } from 'node:fs';
import { byteString, type ByteString } from '../../src/restic/format/byte-string.ts';
import type { Timespec } from '../../src/restic/format/time.ts';
import * as c from '../../src/restic/fs/libc-constants.ts';
import { errnoCodeOf } from '../../src/restic/fs/libc-error.ts';
import type { Libc } from '../../src/restic/fs/libc.ts';
import type { SeededRandom } from './seeded-random.ts';

/** Writes files relative to directory descriptors, and counts them. Replaces nothing: a name that exists is an error. */
export class TreeWriter {
  files = 0;
  bytes = 0;
  readonly libc: Libc;
  readonly isRoot: boolean;

  constructor(libc: Libc, isRoot: boolean) {
    this.libc = libc;
    this.isRoot = isRoot;
  }

  /** Makes a directory and opens it. */
  directory(at: number, name: ByteString): number {
    this.libc.makeDirectoryAt(at, name, 0o755);
    return this.libc.openAt(at, name, c.O_DIRECTORY | c.O_NOFOLLOW);
  }

  file(at: number, name: ByteString, content: Uint8Array, position = 0, size = position + content.length): void {
    const descriptor = this.libc.openAt(at, name, c.O_WRONLY | c.O_CREAT | c.O_EXCL, 0o644);
    try {
      if (size > position + content.length) this.libc.truncate(descriptor, size);
      for (let written = 0; written < content.length; ) {
        written += writeSync(descriptor, content, written, content.length - written, position + written);
      }
    } finally {
      this.libc.close(descriptor);
    }
    this.files++;
    this.bytes += size;
  }

  /** Adds data to a file that exists, e.g. behind a hole. */
  append(at: number, name: ByteString, content: Uint8Array, position: number): void {
    const descriptor = this.libc.openAt(at, name, c.O_WRONLY);
    writeSync(descriptor, content, 0, content.length, position);
    this.libc.close(descriptor);
  }

  /** Gives an entry owner, mode and times from the seed. */
  dress(at: number, name: ByteString, random: SeededRandom): void {
    if (this.isRoot) this.libc.chownAt(at, name, random.pick([0, 0, 1000, 33, 4_000_000]), random.pick([0, 1000, 33, 70_000]));
    const descriptor = this.libc.openAt(at, name, c.O_RDONLY | c.O_NOFOLLOW);
    this.libc.chmod(descriptor, random.pick([0o644, 0o600, 0o755, 0o400, 0o640]));
    this.libc.close(descriptor);
    if (random.below(20) === 0) this.xattr(at, name, 'user.origin', random.bytes(20));
    this.times(at, name, seededTime(random));
  }

  /** Closes a directory and gives it its times: its entries are complete. */
  seal(at: number, name: ByteString, descriptor: number, random: SeededRandom): void {
    this.libc.close(descriptor);
    this.times(at, name, seededTime(random));
  }

  times(at: number, name: ByteString, mtime: Timespec): void {
    this.libc.setTimesAt(at, name, mtime, mtime);
  }

  /** What this file system or this user may not have is left out. */
  xattr(at: number, name: ByteString, attribute: string, value: Uint8Array): void {
    this.orNot(() => this.libc.setXattrAt(at, name, byteString(attribute), value));
  }

  /** Does what may be refused to this user or by this file system. */
  orNot(action: () => void): void {
    try {
      action();
    } catch (error) {
      const code = errnoCodeOf(error);
      if (code !== 'EPERM' && code !== 'EACCES' && code !== 'ENOTSUP' && code !== 'EOPNOTSUPP' && code !== 'EINVAL') throw error;
    }
  }
}

/** Between 2001 and 2030, with nanoseconds. */
function seededTime(random: SeededRandom): Timespec {
  return { seconds: 1_000_000_000 + random.below(900_000_000), nanoseconds: random.below(1_000_000_000) };
}
