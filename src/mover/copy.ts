import { memoryPlan } from '../restic/memory-plan.ts';
import type { ObjectInfo, ObjectStore, Retention } from '../storage/index.ts';
import { ByteBudget } from './byte-budget.ts';
import { putCopied, verifyCopied } from './copied-object.ts';
import { planCopy } from './copy-plan.ts';
import { inParallel } from './in-parallel.ts';

/** Objects in flight at a time. */
const PARALLEL_COPIES = 16;

export interface CopyProgress {
  readonly objectsDone: number;
  readonly objectsTotal: number;
  readonly bytesDone: number;
  readonly bytesTotal: number;
}

export interface CopyRequest {
  readonly from: ObjectStore;
  readonly to: ObjectStore;
  /** Each object is put with this lock of its own; the target must be a bucket with Object Lock. Objects there keep theirs. */
  readonly lock?: { readonly mode: Retention['mode']; readonly retainForMs: number };
  readonly now?: () => Date;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: (progress: CopyProgress) => void;
}

export interface CopyOutcome {
  readonly copied: number;
  readonly bytesCopied: number;
  /** Objects that were there already. */
  readonly present: number;
}

/**
 * Copies a repository, or what is new in it, without a key, in an order that keeps the target valid at every instant. Every object
 * is verified on its way; a damaged one ends the work before anything that may need it is put. Nothing is ever deleted there.
 * @throws {EngineError} `NoRepository`, `Damaged`, `AlreadyInitialized` when the target is another repository.
 */
export async function copyRepository(request: CopyRequest): Promise<CopyOutcome> {
  const { from, to, signal, onProgress } = request;
  const plan = await planCopy(from, to, signal);
  const budget = new ByteBudget(memoryPlan().copied);
  let objectsDone = 0;
  let bytesDone = 0;
  for (const part of plan.parts) {
    await inParallel(part, PARALLEL_COPIES, (object) =>
      budget.spend(object.size, async () => {
        await copyObject(request, object);
        objectsDone += 1;
        bytesDone += object.size;
        onProgress?.({ objectsDone, objectsTotal: plan.objects, bytesDone, bytesTotal: plan.bytes });
      }),
    );
  }
  return { copied: objectsDone, bytesCopied: bytesDone, present: plan.present };
}

async function copyObject(request: CopyRequest, { key }: ObjectInfo): Promise<void> {
  const { from, to, lock, signal } = request;
  const bytes = await from.get(key, { signal });
  verifyCopied(key, bytes, from.location);
  const now = request.now?.() ?? new Date();
  await putCopied(to, key, key, bytes, { signal, ...(lock === undefined ? {} : { retention: { mode: lock.mode, until: new Date(now.getTime() + lock.retainForMs) } }) });
}
