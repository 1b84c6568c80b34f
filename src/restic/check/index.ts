/**
 * Checking: everything that restoring would need, from the key files to the last bit of a pack. It reads only (a lock apart), and goes on after each
 * problem: whoever reads the list wants to know all of it.
 */
import type { CheckOutcome, CheckRequest, Repository } from '../contract.ts';
import { openedOf, type OpenRepository } from '../repository/index.ts';
import { checkIndex, checkKeys, checkSmallFiles, checkSnapshots } from './check-files.ts';
import { checkPacks } from './check-packs.ts';
import { checkTrees } from './check-trees.ts';
import { Problems } from './problems.ts';

export { choosePacks } from './check-packs.ts';

/**
 * Snapshots are listed before the index and that before the packs, so a backup that ends meanwhile is not taken for damage.
 * @throws {EngineError} `Locked`, when a lock was asked for
 */
export async function check(repository: Repository, request: CheckRequest): Promise<CheckOutcome> {
  const opened = openedOf(repository);
  if (request.lock === undefined || opened.readOnly) return checkAll(opened, request);
  const lock = await opened.lock({ ...request.lock, exclusive: false, signal: request.signal });
  try {
    const signal = request.signal === undefined ? lock.lost : AbortSignal.any([request.signal, lock.lost]);
    return await checkAll(opened, { ...request, signal });
  } finally {
    await lock.release();
  }
}

async function checkAll(opened: OpenRepository, request: CheckRequest): Promise<CheckOutcome> {
  const { signal } = request;
  const problems = new Problems();
  await checkKeys(opened, problems, signal);
  const snapshots = await checkSnapshots(opened, problems, signal);
  const index = await checkIndex(opened, problems, signal);
  await checkTrees(opened, index, snapshots, problems, request);
  const { checked, read } = await checkPacks(opened, index, request, problems);
  await checkSmallFiles(opened, problems, signal);
  return { problems: problems.list, packsChecked: checked, packsRead: read, snapshots: snapshots.size };
}
