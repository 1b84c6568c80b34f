/** A control group with a limit on memory, of version 1 or 2, whichever is mounted with the memory controller. */
import { accessSync, constants, existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

export interface MemoryGroup {
  /** The command as one that runs below the limit. */
  readonly confine: (command: readonly string[]) => readonly string[];
  /** Bytes that can be given to nobody else: stacks, heaps, buffers; no page cache. */
  readonly anonymousBytes: () => number;
  /** Bytes at the highest, page cache included, which is given up when the limit is near. */
  readonly peakBytes: () => number;
  /** Processes that the kernel killed because the limit was reached. */
  readonly kills: () => number;
  readonly remove: () => Promise<void>;
}

/** The files of one version of control groups. */
export interface Version {
  /** Where groups of ours are made. */
  readonly directory: string;
  readonly limit: string;
  readonly swap: string;
  /** What the swap file gets so that nothing is swapped out, given the limit in bytes. */
  readonly noSwap: (limit: number) => string;
  readonly peak: string;
  readonly anonymous: RegExp;
  readonly events: string;
  /** Of version 2: must have the memory controller handed down in `cgroup.subtree_control`. */
  readonly handsDown: boolean;
}

/** No control group can be made here; the message says what to do. */
export class NoMemoryLimit extends Error {
  override readonly name = 'NoMemoryLimit';
}

/** Tries to remove a group whose last process is still on its way out, and ms between them. */
const removals = 50;
const patience = 100;

/**
 * @param limit - bytes
 * @throws NoMemoryLimit where no memory controller is mounted or may be used
 */
export function makeMemoryGroup(limit: number): MemoryGroup {
  const version = findVersion(readFileSync('/proc/mounts', 'utf8'), readFileSync('/proc/self/cgroup', 'utf8'), existsSync);
  const directory = join(version.directory, `tenant-backup-bench-${process.pid}`);
  const read = (name: string) => readFileSync(join(directory, name), 'utf8');
  try {
    accessSync(version.directory, constants.W_OK);
    if (version.handsDown) writeFileSync(join(version.directory, 'cgroup.subtree_control'), '+memory');
    mkdirSync(directory);
    writeFileSync(join(directory, version.limit), String(limit));
    if (existsSync(join(directory, version.swap))) writeFileSync(join(directory, version.swap), version.noSwap(limit));
  } catch (error) {
    const cause = error instanceof Error ? error.message : String(error);
    throw new NoMemoryLimit(`a limit of memory cannot be set below ${version.directory}: ${cause}. Run this as root on a Linux host, or in a container with a writable control group`, { cause: error });
  }
  return {
    confine: (command) => ['/bin/sh', '-c', 'echo $$ > "$0" && exec "$@"', join(directory, 'cgroup.procs'), ...command],
    anonymousBytes: () => numberOf(version.anonymous, read('memory.stat')),
    peakBytes: () => Number(read(version.peak)),
    kills: () => numberOf(/^oom_kill (\d+)$/m, read(version.events)),
    async remove() {
      for (let left = removals; ; left -= 1) {
        try {
          rmdirSync(directory);
          return;
        } catch (error) {
          if (left === 0) throw error;
          await delay(patience);
        }
      }
    },
  };
}

/**
 * @param mounts - as `/proc/mounts` has them
 * @param groups - as `/proc/self/cgroup` has them
 * @param exists - whether a directory is there
 */
export function findVersion(mounts: string, groups: string, exists: (path: string) => boolean): Version {
  const first = /^\S+ (\S+) cgroup \S*\bmemory\b/m.exec(mounts)?.[1];
  if (first !== undefined) {
    const mine = join(first, /^\d+:[^:]*\bmemory\b[^:]*:(.*)$/m.exec(groups)?.[1] ?? '/');
    return {
      directory: exists(mine) ? mine : first,
      limit: 'memory.limit_in_bytes',
      // Memory and swap together.
      swap: 'memory.memsw.limit_in_bytes',
      noSwap: String,
      peak: 'memory.max_usage_in_bytes',
      anonymous: /^total_rss (\d+)$/m,
      events: 'memory.oom_control',
      handsDown: false,
    };
  }
  const second = /^\S+ (\S+) cgroup2 /m.exec(mounts)?.[1];
  if (second === undefined) throw new NoMemoryLimit('no control groups with a memory controller are mounted here; run this on a Linux host as root');
  // A group with processes cannot hand controllers to groups below it, but its parent can have another child.
  const mine = join(second, /^0::(.*)$/m.exec(groups)?.[1] ?? '/');
  const isRoot = join(mine, '.') === join(second, '.') || !exists(mine);
  return {
    directory: isRoot ? second : dirname(mine),
    limit: 'memory.max',
    swap: 'memory.swap.max',
    noSwap: () => '0',
    peak: 'memory.peak',
    anonymous: /^anon (\d+)$/m,
    events: 'memory.events',
    handsDown: true,
  };
}

function numberOf(pattern: RegExp, text: string): number {
  const found = pattern.exec(text)?.[1];
  if (found === undefined) throw new NoMemoryLimit(`the kernel does not say ${pattern.source} of this control group; use a newer one`);
  return Number(found);
}
