// The images that stand in for a registry's: pause, a small Debian for customers' workloads, and the same with Node as the
// base of our own image. Kept in the cache as archives.
import { readFileSync } from 'node:fs';
import { copyFile, mkdir, readFile, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { archiveOf } from './archive.ts';
import { binary } from './binaries.ts';
import { cached, versionOf } from './cache.ts';
import { CHECKOUT, PAUSE_IMAGE, WORKLOAD_IMAGE } from './layout.ts';
import { run } from './run.ts';

/** What Node's binary needs beyond the smallest Debian, and what a TLS client trusts. */
const PACKAGES = 'libatomic1,ca-certificates';
export const SUITE = 'bookworm';
export const NODE_BASE_IMAGE = 'localhost/tenant-backup-node:1';

/** The pause image's archive. */
export async function pauseArchive(): Promise<string> {
  const pause = await binary('pause');
  const folder = await cached(`image-pause-${await versionOf([pause], PAUSE_IMAGE)}`, async (draft) => {
    await mkdir(join(draft, 'root'));
    await copyFile(pause, join(draft, 'root', 'pause'));
    await archiveOf(join(draft, 'root'), join(draft, 'image.tar'), { reference: PAUSE_IMAGE, entrypoint: ['/pause'], user: '65535:65535' });
  });
  return join(folder, 'image.tar');
}

/** The archive of the image that tests run as a customer's workload: a shell, coreutils, sleep. */
export async function workloadArchive(): Promise<string> {
  const folder = await cached(`image-workload-${await versionOf([], PACKAGES, SUITE, WORKLOAD_IMAGE)}`, async (draft) => {
    console.error('making a small Debian for images (once; kept in the cache)');
    const root = join(draft, 'root');
    await run('debootstrap', ['--variant=minbase', `--include=${PACKAGES}`, SUITE, root, ...(await debianMirror())], { log: `${draft}.log` });
    for (const unneeded of ['var/cache/apt', 'var/lib/apt/lists', 'usr/share/doc', 'usr/share/man', 'usr/share/locale', 'var/log']) {
      await rm(join(root, unneeded), { recursive: true, force: true });
      await mkdir(join(root, unneeded), { recursive: true });
    }
    await archiveOf(root, join(draft, 'image.tar'), { reference: WORKLOAD_IMAGE, command: ['sleep', 'infinity'] });
    await rm(`${draft}.log`, { force: true });
  });
  return join(folder, 'image.tar');
}

/** The archive of the base image for our own: that Debian with the Node binary of the checkout's npm package. */
export async function nodeBaseArchive(): Promise<string> {
  const node = join(CHECKOUT, 'node_modules', 'node', 'bin', 'node');
  const { version } = JSON.parse(await readFile(join(CHECKOUT, 'node_modules', 'node', 'package.json'), 'utf8')) as { version: string };
  const folder = await cached(`image-node-${version}-${await versionOf([], PACKAGES, SUITE, NODE_BASE_IMAGE)}`, async (draft) => {
    const workload = join(await workloadArchive(), '..', 'root');
    const root = join(draft, 'root');
    await run('cp', ['--archive', workload, root]);
    await copyFile(node, join(root, 'usr', 'local', 'bin', 'node'));
    await archiveOf(root, join(draft, 'image.tar'), { reference: NODE_BASE_IMAGE, command: ['node'] });
    await rm(root, { recursive: true });
  });
  return join(folder, 'image.tar');
}

/** The mirror that this machine's apt uses, so that the same network reaches it; none where it says none: debootstrap knows one. */
export async function debianMirror(): Promise<readonly string[]> {
  const folder = '/etc/apt/sources.list.d';
  const files = ['/etc/apt/sources.list', ...(await readdir(folder).catch(() => [])).map((name) => join(folder, name))];
  for (const file of files) {
    const text = (() => {
      try {
        return readFileSync(file, 'utf8');
      } catch {
        return '';
      }
    })();
    const found = /^(?:URIs:|deb(?:\s+\[[^\]]*\])?)\s+(https?:\S+\/debian\/?)(?:\s|$)/m.exec(text)?.[1];
    if (found) return [found];
  }
  return [];
}
