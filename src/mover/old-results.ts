import type { ObjectStore } from '../storage/index.ts';

/** The operator reads a result within minutes, and whoever replicates the bucket the next night. */
export const RESULTS_KEPT_MS = 30 * 24 * 3_600_000;

/**
 * Removes what was left as results more than thirty days ago (`docs/layout.md`); some hundred a year would come together otherwise.
 * @param folder that holds nothing but results, with a slash at its end
 */
export async function removeOldResults(store: ObjectStore, folder: string, now: Date, signal?: AbortSignal): Promise<void> {
  const old: string[] = [];
  for await (const { key, modifiedAt } of store.list(folder, { signal })) {
    // One whose age the store does not tell stays.
    if (modifiedAt !== undefined && modifiedAt.getTime() < now.getTime() - RESULTS_KEPT_MS) old.push(key);
  }
  if (old.length > 0) await store.deleteMany(old, { signal });
}
