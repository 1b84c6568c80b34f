/**
 * Checking: everything that restoring would need, from the key files to the last bit of a pack. It reads only, and goes on after each
 * problem: whoever reads the list wants to know all of it.
 */
import type { CheckOutcome, CheckRequest, Repository } from '../contract.ts';
import { openedOf } from '../repository/index.ts';
import { checkIndex, checkKeys, checkSmallFiles, checkSnapshots } from './check-files.ts';
import { checkPacks } from './check-packs.ts';
import { checkTrees } from './check-trees.ts';
import { Problems } from './problems.ts';

export { choosePacks } from './check-packs.ts';

/** Snapshots are listed before the index and that before the packs, so a backup that ends meanwhile is not taken for damage. */
export async function check(repository: Repository, request: CheckRequest): Promise<CheckOutcome> {
  const opened = openedOf(repository);
  const { signal } = request;
  const problems = new Problems();
  await checkKeys(opened, problems, signal);
  const snapshots = await checkSnapshots(opened, problems, signal);
  const index = await checkIndex(opened, problems, signal);
  await checkTrees(opened, index, snapshots, problems, signal);
  const { checked, read } = await checkPacks(opened, index, request, problems);
  await checkSmallFiles(opened, problems, signal);
  return { problems: problems.list, packsChecked: checked, packsRead: read, snapshots: snapshots.size };
}
