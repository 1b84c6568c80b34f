// Our own image, truly built from the Dockerfile, and the way of images onto the node without a registry.
import { existsSync, readdirSync, statSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { nodeBaseArchive, NODE_BASE_IMAGE } from './base-images.ts';
import { cacheDirectory, cached, filesOf, versionOf } from './cache.ts';
import { withDocker } from './docker.ts';
import { CHECKOUT, PROGRAM_IMAGE, paths } from './layout.ts';
import { run } from './run.ts';

const KEPT_IMAGES = 3;

export interface ProgramImage {
  /** Its tag is made of its content, so that a changed program is another image to Kubernetes too. */
  readonly reference: string;
  readonly archive: string;
}

/** Builds the image from `dist/` and the Dockerfile, unless the cache has it. */
export async function programImage(): Promise<ProgramImage> {
  const dist = join(CHECKOUT, 'dist');
  if (!existsSync(join(dist, 'tenant-backup'))) throw new Error('there is no dist/tenant-backup to make an image of: run `make build` first');
  const base = await nodeBaseArchive();
  const version = await versionOf([...filesOf(dist), join(CHECKOUT, 'Dockerfile')], base);
  const reference = `${PROGRAM_IMAGE}:${version}`;
  const folder = await cached(`image-program-${version}`, async (draft) => {
    await withDocker(join(cacheDirectory(), 'docker'), async (docker) => {
      if ((await docker(['images', '--quiet', NODE_BASE_IMAGE])) === '') await docker(['load', '--input', base]);
      // No network: whatever the build needs is in its context.
      await docker(['build', '--network=none', '--build-arg', `NODE_IMAGE=${NODE_BASE_IMAGE}`, '--tag', reference, CHECKOUT]);
      await docker(['save', '--output', join(draft, 'image.tar'), reference]);
      await docker(['image', 'rm', '--no-prune', reference]); // Its layers stay: they are the next build's cache.
      await docker(['image', 'prune', '--force', '--filter', 'until=24h']);
    });
  });
  await forgetOldImages(folder);
  return { reference, archive: join(folder, 'image.tar') };
}

/** Every changed program is another archive; the newest few are enough. */
async function forgetOldImages(current: string): Promise<void> {
  const archives = readdirSync(cacheDirectory())
    .filter((name) => name.startsWith('image-program-') && !name.endsWith('.tmp'))
    .map((name) => join(cacheDirectory(), name))
    .filter((folder) => folder !== current)
    .sort((one, other) => statSync(other).mtimeMs - statSync(one).mtimeMs);
  for (const folder of archives.slice(KEPT_IMAGES)) await rm(folder, { recursive: true, force: true });
}

/** Puts an image onto the node. */
export async function importImage(archive: string): Promise<void> {
  await run('ctr', ['--address', paths.containerdSocket, '--namespace', 'k8s.io', 'images', 'import', archive]);
}

/** `make image`: builds it, and puts it onto the node where a ground is up. */
if (import.meta.main) {
  const { reference, archive } = await programImage();
  if (existsSync(paths.containerdSocket)) await importImage(archive);
  console.log(reference);
}
