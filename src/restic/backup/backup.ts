import type { BackupOutcome, BackupRequest, Repository } from '../contract.ts';
import { EngineError } from '../errors.ts';
import type { HeldLock } from '../repository/index.ts';
import { openedOf } from '../repository/index.ts';
import { BackupRun } from './backup-run.ts';
import { sourceTreeOf } from './source-tree.ts';

/** How long a backup waits for a prune to end before it gives up as `Locked`, ms. */
const lockWait = 10_000;

/**
 * Makes one snapshot of the sources (see the contract). Killed at any moment it leaves a valid repository, and what it stored is found again.
 * @throws {EngineError} `SourceMissing`, `Locked`, `Aborted`, `Damaged`; {StorageError} what the store says
 */
export async function backup(repository: Repository, request: BackupRequest): Promise<BackupOutcome> {
  const opened = openedOf(repository);
  const sources = sourceTreeOf(request.sources, request.streams);
  const { hostname, deadHostnames = [], lockWaitMs = lockWait } = request;
  const lock = await opened.lock({ hostname, deadHostnames, exclusive: false, lockWaitMs, signal: request.signal });
  const stop = new AbortController();
  const signal = AbortSignal.any([stop.signal, lock.lost, ...(request.signal === undefined ? [] : [request.signal])]);
  try {
    return await new BackupRun(opened, request, signal).run(sources);
  } catch (error) {
    stop.abort(error);
    throw reasonOf(error, lock, request.signal);
  } finally {
    await lock.release();
  }
}

/** What ended the backup: the lost lock, the caller, or the failure itself. */
function reasonOf(error: unknown, lock: HeldLock, signal: AbortSignal | undefined): unknown {
  if (lock.lost.aborted) return lock.lost.reason;
  if (signal?.aborted !== true) return error;
  return new EngineError('Aborted', 'The backup was stopped. What it had stored is kept and will be used by the next one.', { retryable: true, cause: error });
}
