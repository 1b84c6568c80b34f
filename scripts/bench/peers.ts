import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** A program under test. Each command works in `place`, a directory of its own, with its repository in `place/repository`. */
export interface Peer {
  readonly name: string;
  readonly env: (place: string) => Readonly<Record<string, string>>;
  /** Run before the clock starts. */
  readonly prepare: (place: string) => readonly (readonly string[])[];
  readonly backup: (place: string, source: string) => readonly string[];
  /** The command and where the files come to lie. */
  readonly restore?: (place: string, source: string, target: string) => readonly string[];
}

const password = 'the-password-of-a-benchmark';

function isOnPath(program: string): boolean {
  try {
    execFileSync('/bin/sh', ['-c', `command -v ${program}`], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

function ours(program: string): Peer {
  const repository = (place: string) => ['--repository', `file://${place}/repository`, '--secret-key-file', `${place}/key`];
  return {
    name: 'tenant-backup',
    env: () => ({}),
    prepare: (place) => {
      mkdirSync(place, { recursive: true });
      writeFileSync(join(place, 'key'), password);
      return [[program, 'init', ...repository(place)]];
    },
    backup: (place, source) => [program, 'backup', ...repository(place), '--source', source],
    restore: (place, _source, target) => [program, 'restore', ...repository(place), '--snapshot', 'latest', '--target', target],
  };
}

const restic: Peer = {
  name: 'restic',
  env: (place) => ({ RESTIC_PASSWORD: password, RESTIC_REPOSITORY: join(place, 'repository') }),
  prepare: () => [['restic', 'init', '--quiet', '--repository-version', '2']],
  backup: (_place, source) => ['restic', 'backup', '--quiet', '--no-cache', source],
  restore: (_place, _source, target) => ['restic', 'restore', '--quiet', '--no-cache', 'latest', '--target', target],
};

const rustic: Peer = {
  name: 'rustic',
  env: (place) => ({ RUSTIC_PASSWORD: password, RUSTIC_REPOSITORY: join(place, 'repository'), RUSTIC_NO_CACHE: 'true', RUSTIC_NO_PROGRESS: 'true' }),
  prepare: () => [['rustic', 'init']],
  backup: (_place, source) => ['rustic', 'backup', source],
  restore: (_place, _source, target) => ['rustic', 'restore', 'latest', target],
};

const kopia: Peer = {
  name: 'kopia',
  env: (place) => ({ KOPIA_PASSWORD: password, KOPIA_CONFIG_PATH: join(place, 'kopia.config'), KOPIA_CACHE_DIRECTORY: join(place, 'cache'), KOPIA_CHECK_FOR_UPDATES: 'false' }),
  prepare: (place) => [
    ['kopia', 'repository', 'create', 'filesystem', '--path', join(place, 'repository')],
    ['kopia', 'policy', 'set', '--global', '--compression', 'zstd'],
  ],
  backup: (_place, source) => ['kopia', 'snapshot', 'create', '--no-progress', source],
};

const tarZstdAge: Peer = {
  name: 'tar|zstd|age',
  env: () => ({}),
  prepare: (place) => [['/bin/sh', '-c', `mkdir -p ${place}/repository && age-keygen -o ${place}/age.key`]],
  backup: (place, source) => ['/bin/sh', '-c', `tar cf - ${source} | zstd -q -3 -T2 | age -r "$(age-keygen -y ${place}/age.key)" > ${place}/repository/backup.tar.zst.age`],
};

/** Ours, and every peer that is found. */
export function findPeers(checkout: string): Peer[] {
  const program = join(checkout, 'dist', 'tenant-backup');
  if (!existsSync(program)) throw new Error('dist/tenant-backup is missing; run `make build` first');
  const found = [restic, rustic, kopia].filter(({ name }) => isOnPath(name));
  const canPipe = ['tar', 'zstd', 'age', 'age-keygen'].every(isOnPath);
  return [ours(program), ...found, ...(canPipe ? [tarZstdAge] : [])];
}
