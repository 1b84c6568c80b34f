import type { ForgetOrders } from '../api/index.ts';
import type { Repository, SnapshotSummary } from '../restic/contract.ts';
import { openGenerationIfAny } from './generation-repository.ts';
import { removeStrayManifests } from './manifest-store.ts';
import { lockOptions, type MoverWork, type TaskOutcome } from './mover-work.ts';
import { removeOldResults } from './old-results.ts';
import { reviseManifests } from './revise-manifests.ts';
import { strayExports } from './stray-exports.ts';
import { uidTag } from './snapshot-names.ts';

/** What nothing needs any more stays this long for readers and downloads in flight (`docs/layout.md`). */
const PRUNE_GRACE_MS = 48 * 3_600_000;

/**
 * Forgets snapshots by id and by the uid of their Backup, prunes, and removes the manifests of what is gone and old results. Each step may
 * find that an earlier attempt did it already. A tenant that never stored anything has nothing to forget: that is success.
 */
export async function forgetTask(work: MoverWork<ForgetOrders>): Promise<TaskOutcome> {
  const repository = await openGenerationIfAny(work);
  if (repository === undefined) return { forget: { removed: [], bytesFreed: 0 }, warnings: [], warningCount: 0 };
  try {
    const removed = await forgetSnapshots(work, repository);
    const bytesFreed = work.orders.prune ? await prune(work, repository) : 0;
    await removeStrayManifests(work.engine, repository, work.signal);
    await removeOldResults(repository.store, 'results/', work.now(), work.signal);
    return { forget: { removed, bytesFreed }, warnings: [], warningCount: 0 };
  } finally {
    await repository.close();
  }
}

async function forgetSnapshots({ orders, engine, signal }: MoverWork<ForgetOrders>, repository: Repository): Promise<string[]> {
  const doomed = chooseSnapshots(await engine.listSnapshots(repository, signal), orders);
  if (doomed.length === 0) return [];
  const { removed } = await engine.forget(repository, { ...lockOptions(orders), snapshots: doomed, signal });
  return [...removed];
}

/** The ids that are there of those that the orders name, by id or by uid. */
export function chooseSnapshots(snapshots: readonly SnapshotSummary[], orders: Pick<ForgetOrders, 'snapshots' | 'uids'>): string[] {
  const ids = new Set(orders.snapshots);
  const tags = new Set(orders.uids.map(uidTag));
  return snapshots.filter((snapshot) => ids.has(snapshot.id) || snapshot.tags.some((tag) => tags.has(tag))).map((snapshot) => snapshot.id);
}

async function prune({ orders, engine, signal, now }: MoverWork<ForgetOrders>, repository: Repository): Promise<number> {
  const { bytesFreed } = await engine.prune(repository, {
    ...lockOptions(orders), graceMs: PRUNE_GRACE_MS, now: now(), signal,
    onReplace: (replacement) => reviseManifests(engine, repository, replacement, signal),
    strayExports: () => strayExports(engine, repository, signal),
  });
  return bytesFreed;
}
