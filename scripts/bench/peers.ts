/** The programs that are compared, each with the commands of `docs/benchmarks.md`. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from './measure.ts';
import { ours } from './results.ts';

/** A program under test. Each command works in `place`, a directory of its own, with its repository in `place/repository`. */
export interface Peer {
  readonly name: string;
  readonly version: Command;
  readonly env: (place: string) => Readonly<Record<string, string>>;
  /** Run before the clock starts. */
  readonly prepare: (place: string) => readonly Command[];
  readonly backup: (place: string, source: string) => Command;
  /** Of the newest snapshot. */
  readonly restore: (place: string, target: string, newest: string) => Command;
  /** What takes several snapshots can also tell and remove them; a plain archive cannot. */
  readonly snapshots?: {
    readonly list: (place: string) => Command;
    /** Oldest first. */
    readonly ids: (output: string) => readonly string[];
    /** Removes one and what only it needed, at once. */
    readonly forget: (place: string, id: string) => readonly Command[];
    /** Structure and index, not every byte. */
    readonly check: (place: string) => Command;
  };
}

const password = 'the-password-of-a-benchmark';

export function isOnPath(program: string): boolean {
  try {
    execFileSync('/bin/sh', ['-c', `command -v ${program}`], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** Ids in JSON that has one object a snapshot, in the order in which they stand. */
function idsIn(output: string): string[] {
  return [...output.matchAll(/"id":\s*"([0-9a-f]+)"/g)].map(([, id]) => id!);
}

/** Ours, from the bundle of the checkout. @throws Error where it is not built */
export function findOurs(checkout: string): Peer & Required<Pick<Peer, 'snapshots'>> {
  const program = join(checkout, 'dist', 'tenant-backup');
  if (!existsSync(program)) throw new Error('dist/tenant-backup is missing; run `make build` first');
  const repository = (place: string) => ['--repository', `file://${place}/repository`, '--secret-key-file', `${place}/key`];
  return {
    name: ours,
    version: [program, '--version'],
    env: () => ({}),
    prepare: (place) => {
      mkdirSync(place, { recursive: true });
      writeFileSync(join(place, 'key'), password);
      return [[program, 'init', ...repository(place)]];
    },
    backup: (place, source) => [program, 'backup', ...repository(place), '--source', source],
    restore: (place, target) => [program, 'restore', ...repository(place), '--snapshot', 'latest', '--target', target],
    snapshots: {
      list: (place) => [program, 'snapshots', ...repository(place), '--json'],
      ids: idsIn,
      // Peers delete at once what ours would mark first and delete 48 hours later.
      forget: (place, id) => [
        [program, 'forget', ...repository(place), id],
        [program, 'prune', ...repository(place), '--now'],
      ],
      check: (place) => [program, 'check', ...repository(place)],
    },
  };
}

const restic: Peer = {
  name: 'restic',
  version: ['restic', 'version'],
  env: (place) => ({ RESTIC_PASSWORD: password, RESTIC_REPOSITORY: join(place, 'repository') }),
  prepare: () => [['restic', 'init', '--quiet', '--repository-version', '2']],
  backup: (_place, source) => ['restic', 'backup', '--quiet', '--no-cache', source],
  restore: (_place, target) => ['restic', 'restore', '--quiet', '--no-cache', 'latest', '--target', target],
  snapshots: {
    list: () => ['restic', 'snapshots', '--no-cache', '--json'],
    ids: idsIn,
    forget: (_place, id) => [['restic', 'forget', '--quiet', '--no-cache', '--prune', id]],
    check: () => ['restic', 'check', '--quiet', '--no-cache'],
  },
};

const rustic: Peer = {
  name: 'rustic',
  version: ['rustic', '--version'],
  env: (place) => ({ RUSTIC_PASSWORD: password, RUSTIC_REPOSITORY: join(place, 'repository'), RUSTIC_NO_CACHE: 'true', RUSTIC_NO_PROGRESS: 'true' }),
  prepare: () => [['rustic', 'init']],
  backup: (_place, source) => ['rustic', 'backup', source],
  restore: (_place, target) => ['rustic', 'restore', 'latest', target],
  snapshots: {
    list: () => ['rustic', 'snapshots', '--json'],
    ids: idsIn,
    forget: (_place, id) => [['rustic', 'forget', id, '--prune', '--instant-delete']],
    check: () => ['rustic', 'check'],
  },
};

const kopia: Peer = {
  name: 'kopia',
  version: ['kopia', '--version'],
  env: (place) => ({
    KOPIA_PASSWORD: password,
    KOPIA_CONFIG_PATH: join(place, 'kopia.config'),
    KOPIA_CACHE_DIRECTORY: join(place, 'cache'),
    KOPIA_LOG_DIR: join(place, 'log'),
    KOPIA_CHECK_FOR_UPDATES: 'false',
  }),
  prepare: (place) => [
    ['kopia', 'repository', 'create', 'filesystem', '--path', join(place, 'repository')],
    ['kopia', 'policy', 'set', '--global', '--compression', 'zstd'],
  ],
  backup: (_place, source) => ['kopia', 'snapshot', 'create', '--no-progress', source],
  restore: (_place, target, newest) => ['kopia', 'snapshot', 'restore', '--no-progress', newest, target],
  snapshots: {
    list: () => ['kopia', 'snapshot', 'list', '--json', '--show-identical'],
    ids: (output) => [...output.matchAll(/"id":\s*"([0-9a-f]+)",\s*"source"/g)].map(([, id]) => id!),
    forget: (_place, id) => [
      ['kopia', 'snapshot', 'delete', id, '--delete'],
      ['kopia', 'maintenance', 'run', '--full', '--safety=none'],
    ],
    check: () => ['kopia', 'snapshot', 'verify', '--no-progress'],
  },
};

const borg: Peer = {
  name: 'borg',
  version: ['borg', '--version'],
  env: (place) => ({ BORG_PASSPHRASE: password, BORG_REPO: join(place, 'repository'), BORG_BASE_DIR: join(place, 'base') }),
  prepare: () => [['borg', 'init', '--encryption', 'repokey']],
  backup: (_place, source) => ['borg', 'create', '--compression', 'zstd,3', '::{utcnow:%Y%m%dT%H%M%S.%f}', source],
  restore: (_place, target, newest) => ['/bin/sh', '-c', 'mkdir -p "$0" && cd "$0" && borg extract "::$1"', target, newest],
  snapshots: {
    list: () => ['borg', 'list', '--short'],
    ids: (output) => output.trim().split('\n'),
    forget: (_place, id) => [
      ['borg', 'delete', `::${id}`],
      ['borg', 'compact'],
    ],
    check: () => ['borg', 'check'],
  },
};

const tarZstdAge: Peer = {
  name: 'tar|zstd|age',
  version: ['/bin/sh', '-c', 'tar --version | head -1; zstd --version; age --version'],
  env: () => ({}),
  prepare: (place) => [['/bin/sh', '-c', 'mkdir -p "$0/repository" && age-keygen -o "$0/age.key" && age-keygen -y "$0/age.key" > "$0/age.pub"', place]],
  backup: (place, source) => [
    '/bin/bash', '-o', 'pipefail', '-c', 'tar -cf - -C "$1" . | zstd -q -3 -T2 | age -R "$0/age.pub" > "$0/repository/backup.tar.zst.age"', place, source,
  ],
  restore: (place, target) => [
    '/bin/bash', '-o', 'pipefail', '-c', 'mkdir -p "$1" && age -d -i "$0/age.key" "$0/repository/backup.tar.zst.age" | zstd -qdc | tar -xf - -C "$1"', place, target,
  ],
};

/** Every peer that is on PATH. */
export function findPeers(): Peer[] {
  const found = [restic, rustic, kopia, borg].filter(({ name }) => isOnPath(name));
  const canPipe = ['tar', 'zstd', 'age', 'age-keygen'].every(isOnPath);
  return canPipe ? [...found, tarZstdAge] : found;
}
