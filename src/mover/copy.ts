import { decodeFirstWrappings } from '../keys/index.ts';
import { memoryPlan } from '../restic/memory-plan.ts';
import { StorageError, type ObjectInfo, type ObjectStore, type Retention } from '../storage/index.ts';
import { ByteBudget } from './byte-budget.ts';
import { promisedHash, verifyContent } from './content-name.ts';
import { planCopy } from './copy-plan.ts';
import { inParallel } from './in-parallel.ts';
import { decodeManifest } from './manifest.ts';

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
  verify(key, bytes, from);
  const promised = promisedHash(key);
  const now = request.now?.() ?? new Date();
  try {
    await to.put(key, bytes, {
      ifAbsent: true,
      signal,
      ...(promised === undefined ? {} : { sha256: Buffer.from(promised, 'hex') }),
      ...(lock === undefined ? {} : { retention: { mode: lock.mode, until: new Date(now.getTime() + lock.retainForMs) } }),
    });
  } catch (error) {
    // Another copy of the same source was faster; it put the same bytes.
    if (!(error instanceof StorageError) || error.code !== 'AlreadyExists') throw error;
  }
}

/** What is not named by its content must at least read as what it is. */
function verify(key: string, bytes: Uint8Array, from: ObjectStore): void {
  verifyContent(key, bytes, from.location);
  if (key.startsWith('manifests/')) decodeManifest(bytes, `${key} in ${from.location}`);
  if (key === 'wrappings/first.json') decodeFirstWrappings(bytes);
}
