// The real parts around the driver, built from the Go module proxy, with the definitions that they come with: protocols
// and CRDs. One entry of the cache, so that a test needs no Go where they were built before.
import { copyFile, mkdir, readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { z } from 'zod';
import { goBuild } from '../binaries.ts';
import { cached, filesOf, versionOf } from '../cache.ts';
import { run } from '../run.ts';

const MODULE = join(import.meta.dirname, '..', 'go', 'csi');
const LINKER_FLAGS = '-s -w';
const targets = [
  'github.com/kubernetes-csi/csi-test/v5/cmd/csi-sanity',
  'github.com/kubernetes-csi/external-provisioner/v6/cmd/csi-provisioner',
  'github.com/kubernetes-csi/external-snapshotter/v8/cmd/csi-snapshotter',
  'github.com/kubernetes-csi/external-snapshotter/v8/cmd/snapshot-controller',
] as const;

export interface CsiParts {
  readonly sanity: string;
  readonly provisioner: string;
  readonly snapshotter: string;
  readonly snapshotController: string;
  /** The folder of `csi.proto` and `registration.proto`. */
  readonly protocols: string;
  /** The folder of the snapshot kinds' CRDs, one a file. */
  readonly crds: string;
}

/** Builds them when the cache lacks them, which takes minutes. */
export async function csiParts(): Promise<CsiParts> {
  const folder = await cached(`csi-${await versionOf(filesOf(MODULE), ...targets, LINKER_FLAGS)}`, async (draft) => {
    await goBuild({ what: 'the CSI sidecars', module: MODULE, targets, linkerFlags: LINKER_FLAGS, output: `${draft}/`, static: false });
    await copyDefinitions(draft);
  });
  const place = (name: string): string => join(folder, name);
  return {
    sanity: place('csi-sanity'),
    provisioner: place('csi-provisioner'),
    snapshotter: place('csi-snapshotter'),
    snapshotController: place('snapshot-controller'),
    protocols: place('protocols'),
    crds: place('crds'),
  };
}

async function copyDefinitions(draft: string): Promise<void> {
  const [protocols, crds] = [join(draft, 'protocols'), join(draft, 'crds')];
  for (const folder of [protocols, crds]) await mkdir(folder);
  await copyFile(join(await sourceOf('github.com/container-storage-interface/spec'), 'csi.proto'), join(protocols, 'csi.proto'));
  const registration = join(await sourceOf('k8s.io/kubelet'), 'pkg/apis/pluginregistration/v1/api.proto');
  await copyFile(registration, join(protocols, 'registration.proto'));
  const definitions = join(await sourceOf('github.com/kubernetes-csi/external-snapshotter/client/v8'), 'config/crd');
  for (const name of await readdir(definitions)) {
    if (name.startsWith('groupsnapshot.') || name.startsWith('snapshot.')) await copyFile(join(definitions, name), join(crds, basename(name)));
  }
}

/** Where Go keeps the source of a module, at the version that our module asks for. */
async function sourceOf(module: string): Promise<string> {
  const told = await run('go', ['mod', 'download', '-json', module], { cwd: MODULE, env: { ...process.env, GOWORK: 'off' } });
  return z.object({ Dir: z.string() }).parse(JSON.parse(told)).Dir;
}
