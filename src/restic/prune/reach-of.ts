import { Reach } from '../backup/reach.ts';
import type { Repository, SnapshotReach } from '../contract.ts';
import { EngineError } from '../errors.ts';
import { keyOf, openedOf, resolveSnapshot, type OpenRepository, type TableIndex } from '../repository/index.ts';
import { findUsedBlobs } from './used-blobs.ts';

/** See `Engine.reachOf`. */
export async function reachOf(repository: Repository, snapshot: string, signal?: AbortSignal): Promise<SnapshotReach> {
  const opened = openedOf(repository);
  return reachIn(opened, await opened.loadIndex({ signal }), snapshot, signal);
}

/** @throws {EngineError} `Damaged` when something that the snapshot needs is in no index */
export async function reachIn(repository: OpenRepository, index: TableIndex, snapshot: string, signal?: AbortSignal): Promise<SnapshotReach> {
  const { id, tree } = await resolveSnapshot(repository, snapshot);
  const reach = new Reach(index);
  await findUsedBlobs(repository, index, [tree], {
    signal,
    onBlob(type, blob) {
      if (reach.markBlob(type, blob)) return;
      throw new EngineError('Damaged', `Snapshot ${id} needs ${type} blob ${blob}, which is in no index file. Run \`check\`.`, { context: { snapshot: id } });
    },
  });
  const size = (await repository.store.head(keyOf('snapshots', id), { signal }))?.size ?? 0;
  return reach.describe([], repository.indexFiles, { id, size });
}
