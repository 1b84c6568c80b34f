import type { Progress, PrunePlan, PruneRequest, Repository, SnapshotReach } from '../contract.ts';
import { openedOf, type ListedFile, type OpenRepository } from '../repository/index.ts';
import { decideDue, loadMarks, saveMark, spentMarks, type Due, type Mark } from './marks.ts';
import { observePacks, type Observed } from './observe.ts';
import { decidePacks, type PackDecision } from './plan.ts';
import { reachIn } from './reach-of.ts';
import { repackPacks } from './repack.ts';
import { rewriteIndex } from './rewrite-index.ts';

/** Nobody writes one object for so long. */
const unfinishedAfterMs = 24 * 60 * 60_000;

/** What a prune would free. Takes no lock and writes nothing. */
export async function planPrune(repository: Repository, signal?: AbortSignal, onProgress?: (progress: Progress) => void): Promise<PrunePlan> {
  const observed = await observePacks(openedOf(repository), signal, onProgress);
  const decision = decidePacks(observed);
  return {
    packsToDelete: [...idsOf(observed, decision.remove), ...observed.unreferenced.map(({ id }) => id)],
    bytesKept: decision.bytesKept,
    bytesFreed: decision.bytesFreed,
    bytesUnused: decision.bytesUnused,
    packsKept: decision.keep.length,
  };
}

/**
 * Two phases (`layout.md`). First the index stops naming packs that nothing needs: new index files, then whatever the caller must write, then
 * the old ones go. The packs themselves are marked, and leave once `graceMs` has passed: readers that loaded the index before still
 * find them. Cut short anywhere, the repository is sound and the next run goes on: a pack that no index names and no mark tells of is
 * marked then.
 * @throws {EngineError} `Locked`, or `Damaged` when something that snapshots need is missing (then nothing is touched)
 */
export async function prune(repository: Repository, request: PruneRequest): Promise<PrunePlan> {
  const opened = openedOf(repository);
  const { hostname, deadHostnames = [], lockWaitMs, signal } = request;
  const started = performance.now();
  const lock = await opened.lock({ hostname, deadHostnames, lockWaitMs, exclusive: true, signal });
  // Whoever lost the lock must not remove anything: another may be writing by now.
  const allowed = signal === undefined ? lock.lost : AbortSignal.any([signal, lock.lost]);
  try {
    const observed = await observePacks(opened, allowed, request.onProgress);
    const decision = decidePacks(observed, request.repackAbove);
    const goes = [...idsOf(observed, decision.remove), ...idsOf(observed, decision.repack), ...observed.absent];
    const saved = await replace(opened, request, { observed, decision, goes, signal: allowed });
    const unreferenced = new Map(observed.unreferenced.map(({ id, size }) => [id, size]));
    for (const index of [...decision.remove, ...decision.repack]) {
      const pack = observed.packs[index];
      if (pack !== undefined) unreferenced.set(pack.id, pack.size);
    }
    const now = new Date(request.now.getTime() + (performance.now() - started));
    const marks = await loadMarks(opened.store, allowed);
    const due = decideDue('packs', unreferenced.keys(), marks, now, request.graceMs);
    const exportsDue = decideDue('exports', (await request.strayExports?.()) ?? [], marks, now, request.graceMs);
    await settle(opened, { packs: due, exports: exportsDue, marks }, now, allowed);
    // By the true clock, for it is the store's times that this is held against.
    await opened.store.removeUnfinished?.('', new Date(Date.now() - unfinishedAfterMs), { signal: allowed });
    return planOf({ observed, decision, due, sizes: unreferenced, saved });
  } finally {
    await lock.release();
  }
}

interface Replacing {
  readonly observed: Observed;
  readonly decision: PackDecision;
  readonly goes: readonly string[];
  readonly signal: AbortSignal;
}

/** Everything new is stored before anything old goes. @returns the packs that were written */
async function replace(repository: OpenRepository, request: PruneRequest, { observed, decision, goes, signal }: Replacing): Promise<readonly ListedFile[]> {
  if (goes.length === 0) return [];
  const savedPacks = decision.repack.length === 0 ? [] : await repackPacks(repository, observed, decision, { signal, onProgress: request.onProgress });
  const gone = new Set(goes);
  const { saved, obsolete } = await rewriteIndex(repository, observed.index, gone, signal);
  const after = await repository.loadIndex({ reload: true, except: new Set(obsolete), signal });
  const reachAfter = (snapshot: string): Promise<SnapshotReach> => reachIn(repository, after, snapshot, signal);
  await request.onReplace?.({ savedPacks, savedIndexes: saved, removedIndexes: obsolete, removedPacks: goes, reachOf: reachAfter });
  signal.throwIfAborted();
  await repository.removeFiles('index', obsolete, signal);
  return savedPacks;
}

interface Settling {
  readonly packs: Due;
  readonly exports: Due;
  readonly marks: readonly Mark[];
}

/** New marks first; then what is due; then marks that have nothing more to say. */
async function settle(repository: OpenRepository, { packs, exports, marks }: Settling, now: Date, signal: AbortSignal): Promise<void> {
  const { store } = repository;
  if (packs.mark.length + exports.mark.length > 0) await saveMark(store, now, { packs: packs.mark, exports: exports.mark }, signal);
  signal.throwIfAborted();
  if (packs.remove.length > 0) await repository.removeFiles('data', packs.remove, signal);
  if (exports.remove.length > 0) await store.deleteMany(exports.remove.map((id) => `exports/${id}`), { signal });
  const spent = spentMarks(marks, packs, exports);
  if (spent.length > 0) await store.deleteMany(spent, { signal });
}

function idsOf(observed: Observed, indexes: readonly number[]): string[] {
  return indexes.flatMap((index) => observed.packs[index]?.id ?? []);
}

interface Outcome {
  readonly observed: Observed;
  readonly decision: PackDecision;
  readonly due: Due;
  readonly sizes: ReadonlyMap<string, number>;
  readonly saved: readonly ListedFile[];
}

function planOf({ decision, due, sizes, saved }: Outcome): PrunePlan {
  const bytesOf = (packs: readonly string[]): number => packs.reduce((sum, pack) => sum + (sizes.get(pack) ?? 0), 0);
  const marked = [...due.mark, ...due.wait];
  return {
    packsToDelete: due.remove,
    packsMarked: marked,
    bytesMarked: bytesOf(marked),
    bytesKept: decision.bytesKept,
    bytesFreed: bytesOf(due.remove),
    bytesUnused: decision.bytesUnused,
    packsKept: decision.keep.length + saved.length,
  };
}
