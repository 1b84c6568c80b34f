// A customer's database: the small Debian of the workloads with PostgreSQL from its packages, for tests of hooks and streams.
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { archiveOf } from './archive.ts';
import { debianMirror, SUITE, workloadArchive } from './base-images.ts';
import { cached, versionOf } from './cache.ts';
import { run } from './run.ts';

export const POSTGRES_IMAGE = 'localhost/tenant-backup-postgres:1';
/** `procps` has `pkill`. */
const PACKAGES = 'postgresql,procps';

/** The archive of an image with PostgreSQL's programs on PATH and a user `postgres`; who runs it makes the data directory. */
export async function postgresArchive(): Promise<string> {
  const folder = await cached(`image-postgres-${await versionOf([], PACKAGES, SUITE, POSTGRES_IMAGE)}`, async (draft) => {
    console.error('making an image with PostgreSQL (once; kept in the cache)');
    await workloadArchive(); // What this one needs of the machine, that one says first.
    const root = join(draft, 'root');
    await run('debootstrap', ['--variant=minbase', `--include=${PACKAGES}`, SUITE, root, ...(await debianMirror())], { log: `${draft}.log` });
    // The cluster that the package makes is not the customer's.
    for (const unneeded of ['var/lib/postgresql', 'var/cache/apt', 'var/lib/apt/lists', 'usr/share/doc', 'usr/share/man', 'usr/share/locale', 'var/log']) {
      await rm(join(root, unneeded), { recursive: true, force: true });
      await mkdir(join(root, unneeded), { recursive: true });
    }
    await run('sh', ['-euc', 'for program in "$1"/usr/lib/postgresql/*/bin/*; do ln -sf "${program#"$1"}" "$1/usr/local/bin/${program##*/}"; done', 'sh', root]);
    await archiveOf(root, join(draft, 'image.tar'), { reference: POSTGRES_IMAGE, command: ['sleep', 'infinity'] });
    await rm(root, { recursive: true });
    await rm(`${draft}.log`, { force: true });
  });
  return join(folder, 'image.tar');
}
