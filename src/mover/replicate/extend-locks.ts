import { StorageError } from '../../storage/index.ts';
import { inParallel } from '../in-parallel.ts';
import { lockedUntil } from './lock-terms.ts';
import type { ReplicaState } from './tenant-state.ts';
import type { ReplicationWork } from './work.ts';

/** What was extended, with the new end of each lock, milliseconds since the epoch. */
export interface ExtendedLocks {
  readonly until: ReadonlyMap<string, number>;
  /** False when the window ended before all were extended. */
  readonly isWhole: boolean;
}

/** Extends the locks of these keys of one tenant: of what was put first under each name, not of what somebody laid on top. */
export async function extendLocks(work: ReplicationWork, tenant: string, keys: readonly string[], { objects }: ReplicaState): Promise<ExtendedLocks> {
  const { lock, replica, signal, tally } = work;
  const extended = new Map<string, number>();
  let isWhole = true;
  await inParallel(keys, work.concurrency, async (key) => {
    const version = objects.get(key);
    if (version === undefined) return;
    if (!work.mayBegin()) {
      isWhole = false;
      return;
    }
    const until = lockedUntil(key, lock, work.now());
    const path = `${tenant}/${key}`;
    const longer = await replica.versions.extend(path, version.versionId, { mode: lock.mode, until }, { signal }).then(
      () => undefined,
      (error: unknown) => longerLock(work, path, version.versionId, until, error),
    );
    extended.set(key, (longer ?? until).getTime());
    if (longer === undefined) tally.extended += 1;
  });
  return { until: extended, isWhole };
}

/** What is refused because the lock ends later already, set under earlier terms or by a clock that was ahead, is as good as done. */
async function longerLock({ replica, signal }: ReplicationWork, path: string, versionId: string, until: Date, error: unknown): Promise<Date> {
  if (!(error instanceof StorageError) || error.retryable || error.code === 'Aborted') throw error;
  const there = await replica.versions.retentionOf(path, versionId, { signal });
  if (there === undefined || there.until < until) throw error;
  return there.until;
}
