// Images made of nothing but one folder: an archive in the form of `docker save`, which containerd and Docker both load.
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { run } from './run.ts';

export interface ArchiveOptions {
  readonly reference: string;
  readonly entrypoint?: readonly string[];
  readonly command?: readonly string[];
  readonly user?: string;
}

const ARCHITECTURES: Readonly<Partial<Record<NodeJS.Architecture, string>>> = { x64: 'amd64', arm64: 'arm64' };

/** Writes an image with one layer, the content of `folder` owned as it lies there, to `file`. */
export async function archiveOf(folder: string, file: string, options: ArchiveOptions): Promise<void> {
  const draft = `${file}.parts`;
  await mkdir(draft, { recursive: true });
  const layer = join(draft, 'layer.tar');
  await run('tar', ['--create', '--numeric-owner', '--sort=name', '--file', layer, '--directory', folder, '.']);
  const hash = createHash('sha256');
  await pipeline(createReadStream(layer), hash);
  const config = {
    architecture: ARCHITECTURES[process.arch] ?? process.arch,
    os: 'linux',
    config: { Entrypoint: options.entrypoint ?? null, Cmd: options.command ?? null, User: options.user ?? '', Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'] },
    rootfs: { type: 'layers', diff_ids: [`sha256:${hash.digest('hex')}`] },
  };
  await writeFile(join(draft, 'config.json'), JSON.stringify(config));
  await writeFile(join(draft, 'manifest.json'), JSON.stringify([{ Config: 'config.json', RepoTags: [options.reference], Layers: ['layer.tar'] }]));
  await run('tar', ['--create', '--file', `${file}.new`, '--directory', draft, 'manifest.json', 'config.json', 'layer.tar']);
  await rename(`${file}.new`, file);
  await rm(draft, { recursive: true });
}
