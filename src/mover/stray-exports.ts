import type { Engine, Repository } from '../restic/contract.ts';
import { manifestedSnapshots, readManifest } from './manifest-store.ts';

const EXPORT_KEY = /^exports\/([0-9a-f]{64})$/;

/**
 * The ids of the exports that no standing manifest of a living snapshot names. Asked while nobody writes: exports are listed before manifests
 * are read all the same, so that one that is written meanwhile is not among them.
 * @throws {EngineError} `UnknownVersion`: what a newer program needs is not guessed at
 */
export async function strayExports(engine: Pick<Engine, 'listSnapshots' | 'manifestMac'>, repository: Repository, signal?: AbortSignal): Promise<string[]> {
  const { store } = repository;
  const strays = new Set<string>();
  for await (const { key } of store.list('exports/', { signal })) {
    const id = EXPORT_KEY.exec(key)?.[1];
    if (id !== undefined) strays.add(id);
  }
  if (strays.size === 0) return [];
  const alive = new Set((await engine.listSnapshots(repository, signal)).map(({ id }) => id));
  for (const snapshot of await manifestedSnapshots(store, signal)) {
    if (!alive.has(snapshot)) continue;
    const manifest = await readManifest(store, snapshot, { mac: (json) => engine.manifestMac(repository, json), signal });
    for (const { name } of manifest?.files ?? []) strays.delete(EXPORT_KEY.exec(name)?.[1] ?? '');
  }
  return [...strays];
}
