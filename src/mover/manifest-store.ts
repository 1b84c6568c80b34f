import type { Engine, Repository, SnapshotReach } from '../restic/contract.ts';
import { EngineError } from '../restic/errors.ts';
import { StorageError, type ObjectStore } from '../storage/index.ts';
import { exportIndexes, exportsWhole } from './export-indexes.ts';
import { decodeManifest, isSealed, sealManifest, type Manifest, type ManifestContent, type ManifestFile, type ManifestMac } from './manifest.ts';

const MANIFEST_KEY = /^manifests\/([0-9a-f]{64})\/([1-9][0-9]{0,8})\.json$/;

export interface PublishRequest {
  readonly tenant: string;
  readonly generation: number;
  readonly reach: SnapshotReach;
  readonly complete: boolean;
  readonly createdAt: Date;
  readonly expires?: Date;
  /** The snapshot whose exports may serve this one as well: its parent, or itself. */
  readonly like?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Writes what is missing of a snapshot's exports and then its next manifest; the last thing that a writer of a snapshot does.
 * @param repository open, at `g<generation>/`
 */
export async function publishManifest(engine: Pick<Engine, 'exportIndex' | 'manifestMac'>, repository: Repository, request: PublishRequest): Promise<Manifest> {
  const { store } = repository;
  const { reach, signal } = request;
  const mac: ManifestMac = (json) => engine.manifestMac(repository, json);
  const earlier = request.like === undefined || reach.indexes.every(exportsWhole) ? undefined : await readManifest(store, request.like, { mac, signal });
  const indexes = await exportIndexes(engine, repository, { reach, earlier, signal });
  const files = [...(await repositoryFiles(store, signal)), ...indexes, ...reachFiles(reach)];
  const content = {
    tenant: request.tenant,
    generation: request.generation,
    snapshot: reach.snapshot.id,
    createdAt: request.createdAt.toISOString(),
    complete: request.complete,
    ...(request.expires === undefined ? {} : { expires: request.expires.toISOString() }),
    files,
  };
  return writeManifest(store, content, mac, signal);
}

/** Puts the next revision. Somebody who takes its number first makes it the one after. */
export async function writeManifest(
  store: ObjectStore,
  content: Omit<ManifestContent, 'rev'>,
  mac: ManifestMac,
  signal?: AbortSignal,
): Promise<Manifest> {
  let rev = ((await revisions(store, content.snapshot, signal))[0] ?? 0) + 1;
  for (;;) {
    const { manifest, bytes } = sealManifest({ ...content, rev }, mac);
    try {
      await store.put(manifestKey(content.snapshot, rev), bytes, { ifAbsent: true, signal });
      return manifest;
    } catch (error) {
      if (!(error instanceof StorageError) || error.code !== 'AlreadyExists') throw error;
      rev += 1;
    }
  }
}

/**
 * The manifest of a snapshot that stands: the highest revision; with `mac`, the highest that was sealed with the repository's
 * key. `undefined` when there is none.
 * @throws {EngineError} `UnknownVersion`; without `mac` also `Damaged`: a keyless reader cannot tell an older revision that still
 *   holds from one that does not.
 */
export async function readManifest(
  store: ObjectStore,
  snapshot: string,
  options: { readonly mac?: ManifestMac; readonly signal?: AbortSignal | undefined } = {},
): Promise<Manifest | undefined> {
  for (const rev of await revisions(store, snapshot, options.signal)) {
    const manifest = await readRevision(store, snapshot, rev, options);
    if (manifest !== undefined) return manifest;
  }
  return undefined;
}

async function readRevision(
  store: ObjectStore,
  snapshot: string,
  rev: number,
  { mac, signal }: { readonly mac?: ManifestMac; readonly signal?: AbortSignal | undefined },
): Promise<Manifest | undefined> {
  const key = manifestKey(snapshot, rev);
  try {
    const manifest = decodeManifest(await store.get(key, { signal }), key);
    if (manifest.snapshot !== snapshot || manifest.rev !== rev) {
      throw new EngineError('Damaged', `the manifest ${key} says that it is revision ${manifest.rev} of snapshot ${manifest.snapshot}; it lies in the wrong place`);
    }
    return mac === undefined || isSealed(manifest, mac) ? manifest : undefined;
  } catch (error) {
    const gone = error instanceof StorageError && error.code === 'NotFound';
    const skip = mac !== undefined && error instanceof EngineError && error.code === 'Damaged';
    if (gone || skip) return undefined;
    throw error;
  }
}

/** Every snapshot that has a manifest, in order of ids. */
export async function manifestedSnapshots(store: ObjectStore, signal?: AbortSignal): Promise<string[]> {
  const snapshots = new Set<string>();
  for await (const { key } of store.list('manifests/', { signal })) {
    const snapshot = MANIFEST_KEY.exec(key)?.[1];
    if (snapshot !== undefined) snapshots.add(snapshot);
  }
  return [...snapshots];
}

export function manifestKey(snapshot: string, rev: number): string {
  return `manifests/${snapshot}/${rev}.json`;
}

/** Highest first. */
async function revisions(store: ObjectStore, snapshot: string, signal: AbortSignal | undefined): Promise<number[]> {
  const found: number[] = [];
  for await (const { key } of store.list(`manifests/${snapshot}/`, { signal })) {
    const rev = MANIFEST_KEY.exec(key)?.[2];
    if (rev !== undefined) found.push(Number(rev));
  }
  return found.sort((a, b) => b - a);
}

/** What every snapshot of a repository needs: config, key files, wrappings. The marker `first.json` is not content-named and stays. */
async function repositoryFiles(store: ObjectStore, signal: AbortSignal | undefined): Promise<ManifestFile[]> {
  const config = await store.head('config', { signal });
  if (config === undefined) throw new EngineError('NoRepository', `there is no repository in ${store.location}: config is missing`);
  const files = [{ name: 'config', size: config.size }];
  for (const folder of ['keys/', 'wrappings/']) {
    for await (const { key, size } of store.list(folder, { signal })) {
      if (/\/[0-9a-f]{64}(?:\.json)?$/.test(key)) files.push({ name: key, size });
    }
  }
  return files;
}

function reachFiles({ packs, snapshot }: SnapshotReach): ManifestFile[] {
  return [
    { name: `snapshots/${snapshot.id}`, size: snapshot.size },
    ...packs.map(({ id, size }) => ({ name: `data/${id.slice(0, 2)}/${id}`, size })),
  ];
}

/**
 * The manifest of the snapshot that a person means, for keyless readers: an id, the beginning of one, or `latest`.
 * @throws {EngineError} `NoSuchSnapshot`, `AmbiguousSnapshot`.
 */
export async function findManifest(store: ObjectStore, idOrLatest: string, signal?: AbortSignal): Promise<Manifest> {
  const all = await manifestedSnapshots(store, signal);
  const meant = idOrLatest === 'latest' ? all : all.filter((id) => id.startsWith(idOrLatest));
  if (idOrLatest !== 'latest' && meant.length > 1) {
    throw new EngineError('AmbiguousSnapshot', `${meant.length} snapshots begin with "${idOrLatest}"; give more of the id`);
  }
  let found: Manifest | undefined;
  for (const snapshot of meant) {
    const manifest = await readManifest(store, snapshot, { signal });
    if (manifest !== undefined && (found === undefined || manifest.createdAt > found.createdAt)) found = manifest;
  }
  if (found !== undefined) return found;
  throw new EngineError(
    'NoSuchSnapshot',
    `${store.location} has no manifest of ${idOrLatest === 'latest' ? 'any snapshot' : `a snapshot "${idOrLatest}"`}; list them with snapshots, and give one that tenant-backup made`,
  );
}

/**
 * Removes manifests whose snapshot is gone, those of interrupted attempts included. Manifests are listed before snapshots: a
 * manifest is written after its snapshot, so one that is listed has its snapshot in the later listing, unless that was forgotten.
 */
export async function removeStrayManifests(engine: Pick<Engine, 'listSnapshots'>, repository: Repository, signal?: AbortSignal): Promise<void> {
  const manifests: { readonly key: string; readonly snapshot: string }[] = [];
  for await (const { key } of repository.store.list('manifests/', { signal })) {
    const snapshot = key.split('/')[1];
    if (snapshot !== undefined) manifests.push({ key, snapshot });
  }
  if (manifests.length === 0) return;
  const alive = new Set((await engine.listSnapshots(repository, signal)).map(({ id }) => id));
  const stray = manifests.filter(({ snapshot }) => !alive.has(snapshot)).map(({ key }) => key);
  if (stray.length > 0) await repository.store.deleteMany(stray, { signal });
}
