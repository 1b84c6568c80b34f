import type { Engine, PruneReplacement, Repository } from '../restic/contract.ts';
import { manifestedSnapshots, publishManifest, readManifest } from './manifest-store.ts';

/**
 * Before a prune removes what it has replaced: the next revision of each manifest that names any of it, so that whoever reads the newest one
 * (replication, downloads) never looks for what is gone (`docs/layout.md`). A manifest of a snapshot that was forgotten is left: it goes too.
 */
export async function reviseManifests(engine: Engine, repository: Repository, replacement: PruneReplacement, signal?: AbortSignal): Promise<void> {
  const { store } = repository;
  const gone = new Set([...replacement.removedIndexes.map((id) => `index/${id}`), ...replacement.removedPacks.map((id) => `data/${id.slice(0, 2)}/${id}`)]);
  const alive = new Set((await engine.listSnapshots(repository, signal)).map(({ id }) => id));
  for (const snapshot of await manifestedSnapshots(store, signal)) {
    if (!alive.has(snapshot)) continue;
    const manifest = await readManifest(store, snapshot, { mac: (json) => engine.manifestMac(repository, json), signal });
    if (manifest?.files.some(({ name }) => gone.has(name)) !== true) continue;
    const { tenant, generation, complete, createdAt, expires } = manifest;
    const reach = await replacement.reachOf(snapshot);
    await publishManifest(engine, repository, {
      tenant, generation, complete, reach, signal,
      like: snapshot,
      createdAt: new Date(createdAt),
      ...(expires === undefined ? {} : { expires: new Date(expires) }),
    });
  }
}
