import * as z from 'zod';
import { StorageError, type ObjectInfo, type ObjectStore } from '../../storage/index.ts';
import { inParallel } from '../in-parallel.ts';

const PARALLEL_READS = 8;
const RESULT_KEY = /^g[1-9][0-9]*\/results\/.+\.json$/;
/** The clocks of whoever wrote the ledger and of the source may differ, and a forget may have begun long before it said what it did. */
const EARLIER_MS = 48 * 3_600_000;

/** All that matters of a result here; one of a version that is not known explains nothing. */
const ForgetResult = z.object({ version: z.literal(1), task: z.literal('forget'), forget: z.object({ removed: z.array(z.string()) }) });

/**
 * The snapshots that forgets of ours say they removed since about `since`.
 * @param source at the tenant's prefix
 * @param listed everything below it
 */
export async function forgottenSnapshots(source: ObjectStore, listed: readonly ObjectInfo[], since: Date | undefined, signal: AbortSignal): Promise<Set<string>> {
  const from = since === undefined ? -Infinity : since.getTime() - EARLIER_MS;
  const results = listed.filter(({ key, modifiedAt }) => RESULT_KEY.test(key) && (modifiedAt?.getTime() ?? Infinity) >= from);
  const removed = new Set<string>();
  await inParallel(results, PARALLEL_READS, async ({ key }) => {
    const bytes = await source.get(key, { signal }).catch(ignoreAbsent);
    for (const snapshot of bytes === undefined ? [] : removedBy(bytes)) removed.add(snapshot);
  });
  return removed;
}

function removedBy(bytes: Uint8Array): readonly string[] {
  try {
    return ForgetResult.safeParse(JSON.parse(Buffer.from(bytes).toString())).data?.forget.removed ?? [];
  } catch {
    return [];
  }
}

function ignoreAbsent(error: unknown): undefined {
  if (error instanceof StorageError && error.code === 'NotFound') return undefined;
  throw error;
}
