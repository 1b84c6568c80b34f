import type { Engine, NeededIndex, Repository, SnapshotReach } from '../restic/contract.ts';
import { EngineError } from '../restic/errors.ts';
import { StorageError, type ObjectStore } from '../storage/index.ts';
import type { Manifest, ManifestFile } from './manifest.ts';

export interface ExportRequest {
  readonly reach: SnapshotReach;
  /** May name exports that serve this snapshot as well. */
  readonly earlier: Manifest | undefined;
  readonly signal: AbortSignal | undefined;
}

/** True for an index file that names packs of the snapshot only. */
export function exportsWhole({ others }: NeededIndex): boolean {
  return others.length === 0;
}

/**
 * The index files that a snapshot needs, and what the downloaded file takes in their place. One that names packs of this snapshot only goes
 * as it is; for any other an export is written that lists just the packs that are needed, unless `earlier` names one that does.
 * @returns what the manifest names of `index/` and `exports/`
 * @throws {EngineError} `Damaged` when no index file names one of the packs
 */
export async function exportIndexes(engine: Pick<Engine, 'exportIndex'>, repository: Repository, { reach, earlier, signal }: ExportRequest): Promise<ManifestFile[]> {
  const files: ManifestFile[] = [];
  const indexed = new Set(reach.indexes.flatMap(({ needed }) => needed));
  const lost = reach.packs.find(({ id }) => !indexed.has(id));
  if (lost !== undefined) throw new EngineError('Damaged', `No index file names pack ${lost.id}, so it cannot be exported. Run \`check\`.`, { context: { pack: lost.id } });
  const standing = earlierExports(earlier?.files ?? []);
  for (const index of reach.indexes) {
    const name = `index/${index.id}`;
    if (exportsWhole(index)) {
      files.push({ name, size: index.size, exported: true });
      continue;
    }
    const known = standing(index);
    // A later prune may have removed an earlier manifest's exports.
    const found = known !== undefined && (await repository.store.head(known.name, { signal })) !== undefined;
    files.push({ name, size: index.size }, found ? known : { ...(await putExport(repository.store, await engine.exportIndex(repository, index.needed), signal)), of: index.id });
  }
  return files;
}

/** Finds the export that an earlier manifest had for an index file, if that snapshot needed the same packs of it. */
function earlierExports(files: readonly ManifestFile[]): (index: NeededIndex) => ManifestFile | undefined {
  const exportOf = new Map(files.flatMap((file) => (file.of === undefined ? [] : [[file.of, file]])));
  const packs = new Set(files.filter(({ name }) => name.startsWith('data/')).map(({ name }) => name.slice('data/xx/'.length)));
  return ({ id, needed, others }) => {
    const file = exportOf.get(id);
    return file !== undefined && needed.every((pack) => packs.has(pack)) && !others.some((pack) => packs.has(pack)) ? file : undefined;
  };
}

/** Puts the bytes of an export under their name. */
async function putExport(store: ObjectStore, { parts, size, sha256 }: Awaited<ReturnType<Engine['exportIndex']>>, signal?: AbortSignal): Promise<Pick<ManifestFile, 'name' | 'size'>> {
  const name = `exports/${Buffer.from(sha256).toString('hex')}`;
  try {
    await store.put(name, parts, { ifAbsent: true, sha256, signal });
  } catch (error) {
    // Content-named: whoever put it put the same.
    if (!(error instanceof StorageError) || error.code !== 'AlreadyExists') throw error;
  }
  return { name, size };
}
