import { randomUUID } from 'node:crypto';
import { MOVER_CONTRACT_VERSION } from '../api/index.ts';
import { canonicalJson, type ObjectStore } from '../storage/index.ts';

/**
 * Leaves word, as a mover's result does, that these snapshots are removed on purpose. Whoever replicates the bucket takes a loss without a word for an attack.
 * It is put before they go: a person who stops the work in between has said so all the same.
 * @param store at `g<generation>/`
 * @returns takes the word back, where nothing was removed
 */
export async function leaveWordOfForget(store: ObjectStore, snapshots: readonly string[], signal?: AbortSignal): Promise<() => Promise<void>> {
  const key = `results/person-${randomUUID()}-1.json`;
  await store.put(key, canonicalJson({ version: MOVER_CONTRACT_VERSION, task: 'forget', forget: { removed: [...snapshots], bytesFreed: 0 } }), { ifAbsent: true, signal });
  // It may be the caller's signal that ended the work.
  return () => store.delete(key).catch(() => undefined);
}
