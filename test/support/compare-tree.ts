/**
 * Compares two directory trees in everything that a restore must bring back. It reads through Node's own `fs` (attributes apart), not through
 * the engine's walk, so that a mistake there cannot hide itself. By hand: `node test/support/compare-tree.ts DIR DIR`.
 */
import { closeSync, constants, lstatSync, openSync, readdirSync, readlinkSync, readSync, type BigIntStats } from 'node:fs';
import { byteString, textOf, type ByteString } from '../../src/restic/format/byte-string.ts';
import { openLibc, type Libc } from '../../src/restic/fs/libc.ts';

export interface CompareOptions {
  /** Paths below the trees' roots that are left out, with all below; e.g. sockets where restic restored. */
  readonly ignore?: (path: string) => boolean;
  /** Compare owners; off for what an ordinary user restored. On unless set. */
  readonly owners?: boolean;
  /** Compare the two roots themselves (mode, owner, times); off unless set. */
  readonly roots?: boolean;
  /** Compare extended attributes; on unless set. */
  readonly xattrs?: boolean;
  /** Attributes that are left out, e.g. `trusted.*`, which only a process with CAP_SYS_ADMIN can see. */
  readonly ignoreXattr?: (name: string) => boolean;
  /** Demand that sparse files stay sparse; on unless set. */
  readonly holes?: boolean;
}

/** One line for each difference, `path: what expected → what found`; empty when the trees are the same. At most 100. */
export function compareTrees(expected: string, actual: string, options: CompareOptions = {}): string[] {
  const comparison = new Comparison(options);
  const one = openDirectory(expected);
  const other = openDirectory(actual);
  try {
    if (options.roots === true) comparison.entry(one, other, byteString('.'), '.');
    comparison.directory(one, other, '');
  } finally {
    closeSync(one);
    closeSync(other);
  }
  return comparison.differences;
}

class Comparison {
  readonly differences: string[] = [];
  readonly #options: CompareOptions;
  readonly #libc: Libc = openLibc();
  readonly #buffers = [Buffer.allocUnsafe(1 << 20), Buffer.allocUnsafe(1 << 20)] as const;
  /** First path of each inode, in each tree: hard links must group alike. */
  readonly #firstPaths = [new Map<bigint, string>(), new Map<bigint, string>()] as const;

  constructor(options: CompareOptions) {
    this.#options = options;
  }

  directory(one: number, other: number, path: string): void {
    const names = new Set([...namesIn(one), ...namesIn(other)]);
    for (const name of [...names].sort()) {
      const below = `${path}/${textOf(name)}`;
      if (this.#options.ignore?.(below) === true || this.differences.length >= 100) continue;
      this.entry(one, other, name, below);
    }
  }

  entry(one: number, other: number, name: ByteString, path: string): void {
    const a = statAt(one, name);
    const b = statAt(other, name);
    if (a === undefined || b === undefined) {
      this.#differs(path, 'existence', a === undefined ? 'absent' : 'there', b === undefined ? 'absent' : 'there');
      return;
    }
    const format = BigInt(constants.S_IFMT);
    if ((a.mode & format) !== (b.mode & format)) {
      this.#differs(path, 'type', (a.mode & format).toString(8), (b.mode & format).toString(8));
      return;
    }
    this.#metadata(path, a, b);
    if (this.#options.xattrs !== false) this.#expect(path, 'xattrs', this.#xattrs(one, name), this.#xattrs(other, name));
    if (a.isSymbolicLink()) this.#expect(path, 'link target', linkAt(one, name), linkAt(other, name));
    if (a.isFile()) this.#content(one, other, name, path, a, b);
    if (a.isDirectory() && name !== '.') this.#below(one, other, name, path);
  }

  #below(one: number, other: number, name: ByteString, path: string): void {
    const a = openDirectory(childPath(one, name));
    const b = openDirectory(childPath(other, name));
    try {
      this.directory(a, b, path);
    } finally {
      closeSync(a);
      closeSync(b);
    }
  }

  #metadata(path: string, a: BigIntStats, b: BigIntStats): void {
    this.#expect(path, 'mode', a.mode.toString(8), b.mode.toString(8));
    this.#expect(path, 'mtime', a.mtimeNs, b.mtimeNs);
    if (this.#options.owners !== false) this.#expect(path, 'owner', `${String(a.uid)}:${String(a.gid)}`, `${String(b.uid)}:${String(b.gid)}`);
    if (a.isCharacterDevice() || a.isBlockDevice()) this.#expect(path, 'device', a.rdev, b.rdev);
    if (a.isDirectory()) return;
    this.#expect(path, 'size', a.size, b.size);
    this.#expect(path, 'links', a.nlink, b.nlink);
    if (a.nlink > 1n) this.#expect(path, 'hard link of', this.#first(0, a, path), this.#first(1, b, path));
  }

  #first(tree: 0 | 1, stat: BigIntStats, path: string): string {
    const first = this.#firstPaths[tree].get(stat.ino) ?? path;
    this.#firstPaths[tree].set(stat.ino, first);
    return first;
  }

  #xattrs(at: number, name: ByteString): string {
    const names = this.#libc.xattrNamesAt(at, name).filter((attribute) => this.#options.ignoreXattr?.(textOf(attribute)) !== true);
    const found = names.map((attribute) => {
      const value = this.#libc.xattrAt(at, name, attribute);
      return `${textOf(attribute)}=${Buffer.from(value ?? []).toString('hex')}`;
    });
    return found.sort().join(' ');
  }

  #content(one: number, other: number, name: ByteString, path: string, a: BigIntStats, b: BigIntStats): void {
    const offset = firstDifference(childPath(one, name), childPath(other, name), this.#buffers);
    if (offset !== undefined) this.#differs(path, 'content', 'the same', `different from byte ${String(offset)}`);
    // Holes come back by content, not by the map of the source: the restored file may take a little more, never the whole size.
    if (this.#options.holes === false) return;
    const isSparse = a.blocks * 512n + 65_536n < a.size;
    if (isSparse && b.blocks > a.blocks + 2048n) this.#differs(path, 'blocks', String(a.blocks), String(b.blocks));
  }

  #expect(path: string, what: string, expected: string | bigint, actual: string | bigint): void {
    if (expected !== actual) this.#differs(path, what, String(expected), String(actual));
  }

  #differs(path: string, what: string, expected: string, actual: string): void {
    if (this.differences.length < 100) this.differences.push(`${path}: ${what} ${expected.slice(0, 300)} → ${actual.slice(0, 300)}`);
  }
}

/** Read in pieces of 1 MiB; the buffers are the caller's. */
function firstDifference(one: Buffer, other: Buffer, [bytesA, bytesB]: readonly [Buffer, Buffer]): number | undefined {
  const a = openSync(one, 'r');
  const b = openSync(other, 'r');
  try {
    for (let position = 0; ; ) {
      const lengthA = readSync(a, bytesA, 0, bytesA.length, position);
      const lengthB = readSync(b, bytesB, 0, bytesB.length, position);
      if (lengthA !== lengthB || bytesA.compare(bytesB, 0, lengthB, 0, lengthA) !== 0) {
        let same = 0;
        while (same < Math.min(lengthA, lengthB) && bytesA[same] === bytesB[same]) same++;
        return position + same;
      }
      if (lengthA === 0) return undefined;
      position += lengthA;
    }
  } finally {
    closeSync(a);
    closeSync(b);
  }
}

function openDirectory(path: string | Buffer): number {
  return openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
}

/** By way of the open directory, so that no path grows longer than PATH_MAX. */
function childPath(at: number, name: ByteString): Buffer {
  return Buffer.from(`/proc/self/fd/${String(at)}/${name}`, 'latin1');
}

function namesIn(at: number): ByteString[] {
  return readdirSync(`/proc/self/fd/${String(at)}`, { encoding: 'latin1' }).map(byteString);
}

function statAt(at: number, name: ByteString): BigIntStats | undefined {
  return lstatSync(childPath(at, name), { bigint: true, throwIfNoEntry: false });
}

function linkAt(at: number, name: ByteString): string {
  return readlinkSync(childPath(at, name), { encoding: 'latin1' });
}

if (import.meta.main) {
  const [expected, actual] = process.argv.slice(2);
  if (expected === undefined || actual === undefined) {
    process.stderr.write('usage: node test/support/compare-tree.ts EXPECTED ACTUAL\n');
    process.exit(2);
  }
  const differences = compareTrees(expected, actual);
  process.stdout.write(differences.length === 0 ? 'the trees are the same\n' : `${differences.join('\n')}\n`);
  process.exit(differences.length === 0 ? 0 : 1);
}
