import type { LockOptions, Repository } from '../contract.ts';
import { openedOf, resolveSnapshot } from '../repository/index.ts';

/**
 * Removes snapshots; what only they needed goes with the next prune. Takes a shared lock: backups may go on meanwhile.
 * @throws {EngineError} `Locked`; `NoSuchSnapshot` before anything was removed
 */
export async function forget(
  repository: Repository,
  request: LockOptions & { readonly snapshots: readonly string[]; readonly signal?: AbortSignal | undefined },
): Promise<{ removed: readonly string[] }> {
  const opened = openedOf(repository);
  const { hostname, deadHostnames = [], lockWaitMs, signal } = request;
  const lock = await opened.lock({ hostname, deadHostnames, lockWaitMs, exclusive: false, signal });
  try {
    const ids: string[] = [];
    for (const snapshot of new Set(request.snapshots)) ids.push((await resolveSnapshot(opened, snapshot)).id);
    const removed = [...new Set(ids)];
    if (removed.length > 0) await opened.removeFiles('snapshots', removed, signal);
    return { removed };
  } finally {
    await lock.release();
  }
}
