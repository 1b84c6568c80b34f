import { KeyError } from '../../keys/index.ts';
import { EngineError } from '../../restic/errors.ts';
import { StorageError, type ObjectStore } from '../../storage/index.ts';
import { putCopied, verifyCopied } from '../copied-object.ts';
import { inParallel } from '../in-parallel.ts';
import { announceCopies } from './doubts.ts';
import { lockedUntil } from './lock-terms.ts';
import { nameInGeneration, PUT_ORDER, tenantKeyOf, type Part } from './tenant-keys.ts';
import type { Unsound } from './tenant-state.ts';
import type { ReplicationWork } from './work.ts';

/** An object that the replica lacks. */
export interface Lacking {
  readonly key: string;
  readonly size: number;
}

/** What came of copying; everything by keys below the tenant's prefix. */
export interface CopiedTenant {
  /** By when the lock of each ends, milliseconds since the epoch. */
  readonly put: ReadonlyMap<string, number>;
  /** Gone from the source since it was listed: a forget or prune was faster. */
  readonly vanished: readonly string[];
  /** Not what the name says; not copied, and nothing that may need it. */
  readonly altered: readonly string[];
  /** Manifests that name what the replica lacks; not copied. */
  readonly incomplete: readonly string[];
  /** Versions that the service made and that are not what their name says. */
  readonly unsound: ReadonlyMap<string, readonly string[]>;
  /** When the newest copied snapshot was taken, milliseconds since the epoch; 0 for none. */
  readonly upTo: number;
  /** False when the window ended before everything was copied. */
  readonly isWhole: boolean;
}

interface CopyJob {
  readonly work: ReplicationWork;
  readonly tenant: string;
  readonly from: ObjectStore;
  readonly to: ObjectStore;
  /** Keys that the replica has; grows. */
  readonly there: Set<string>;
  /** Keys of which the replica has a version that does not count. */
  readonly unsound: Map<string, string[]>;
}

/** What is known of a tenant before anything is copied. */
export interface CopyGround {
  /** Of the ledger that this run will write. */
  readonly rev: number;
  /** Keys that the replica has; grows. */
  readonly there: Set<string>;
  readonly unsound: Unsound;
}

/**
 * Puts what the replica lacks of one tenant, what refers after what it refers to, each object verified on its way and under a lock of its own. Where one of a
 * generation cannot be copied, nothing of that generation that comes after it is put: what refers to nothing else may be there too early, not too late.
 */
export async function copyTenant(work: ReplicationWork, tenant: string, lacking: readonly Lacking[], { rev, there, unsound }: CopyGround): Promise<CopiedTenant> {
  const job: CopyJob = { work, tenant, from: work.source.within(tenant), to: work.replica.within(tenant), there, unsound: new Map([...unsound].map(([key, versions]) => [key, [...versions]])) };
  const forService = lacking.filter((object) => isForService(job, object)).map(({ key }) => key);
  if (forService.length > 0 && work.mayBegin()) await announceCopies(work, tenant, rev, forService);
  const put = new Map<string, number>();
  const problems = { vanished: [] as string[], altered: [] as string[], incomplete: [] as string[] };
  const stopped = new Set<number | undefined>();
  const byPart = Map.groupBy(lacking, ({ key }) => tenantKeyOf(key)?.part);
  let upTo = 0;
  let left = 0;
  for (const part of PUT_ORDER) {
    // Nothing that refers is put before all that it may refer to.
    if (left > 0) break;
    const due = (byPart.get(part) ?? []).filter(({ key }) => stopped.size === 0 || !stopped.has(tenantKeyOf(key)?.generation));
    await inParallel(due, work.concurrency, async (object) => {
      if (!work.mayBegin()) {
        left += 1;
        return;
      }
      const done = (await copyByService(job, object)) ?? (await work.budget.spend(object.size, () => copyObject(job, object.key)));
      if (done.what === 'put') {
        put.set(object.key, done.until);
        there.add(object.key);
        upTo = Math.max(upTo, done.takenAt);
        return;
      }
      problems[done.what].push(object.key);
      // A snapshot that was forgotten meanwhile takes nothing with it; its manifest is found incomplete.
      if (!isLeaf(part)) stopped.add(tenantKeyOf(object.key)?.generation);
    });
  }
  return { put, ...problems, unsound: job.unsound, upTo, isWhole: left === 0 };
}

/** What nothing else refers to. */
function isLeaf(part: Part): boolean {
  return part === 'trail' || part === 'snapshots' || part === 'manifests' || part === 'exports';
}

type Copied = { readonly what: 'put'; readonly until: number; readonly takenAt: number } | { readonly what: 'vanished' | 'altered' | 'incomplete' };

function isForService({ work, unsound }: CopyJob, object: Lacking): boolean {
  return work.byService?.takes(object) === true && !unsound.has(object.key);
}

/** `undefined` where the worker is to copy it: the service does not, or its copy is not what the name says. */
async function copyByService(job: CopyJob, object: Lacking): Promise<Copied | undefined> {
  const { work, tenant, unsound } = job;
  const { key, size } = object;
  if (work.byService === undefined || !isForService(job, object)) return undefined;
  const until = lockedUntil(key, work.lock, work.now());
  const copied = await work.byService.copy(work.replica.versions, { tenant, key, retention: { mode: work.lock.mode, until }, signal: work.signal });
  if (copied.what === 'unsound') unsound.set(key, [copied.versionId]);
  if (copied.what !== 'sound') return undefined;
  work.tally.objects += 1;
  work.tally.byService += 1;
  work.tally.bytes += size;
  // Nothing is read here; whoever follows the progress is told.
  await work.pace(0);
  return { what: 'put', until: until.getTime(), takenAt: 0 };
}

async function copyObject({ work, from, to, there, unsound }: CopyJob, key: string): Promise<Copied> {
  const { signal, lock, tally } = work;
  const bytes = await from.get(key, { signal }).catch(ignoreAbsent);
  if (bytes === undefined) return { what: 'vanished' };
  await work.pace(bytes.byteLength);
  let takenAt = 0;
  try {
    const manifest = verifyCopied(nameInGeneration(key), bytes, from.location);
    if (manifest !== undefined) {
      const { generation } = tenantKeyOf(key) ?? {};
      const isElsewhere = manifest.generation !== generation || manifest.snapshot !== tenantKeyOf(key)?.snapshot;
      if (isElsewhere) return { what: 'altered' };
      if (manifest.files.some(({ name }) => !there.has(`g${manifest.generation}/${name}`))) return { what: 'incomplete' };
      takenAt = Date.parse(manifest.createdAt);
    }
  } catch (error) {
    if (isDamage(error)) return { what: 'altered' };
    throw error;
  }
  const until = lockedUntil(key, lock, work.now());
  const isNew = await putCopied(to, key, nameInGeneration(key), bytes, { signal, retention: { mode: lock.mode, until }, ifAbsent: !unsound.has(key) });
  if (isNew) {
    tally.objects += 1;
    tally.bytes += bytes.byteLength;
  }
  return { what: 'put', until: until.getTime(), takenAt };
}

function isDamage(error: unknown): boolean {
  return (error instanceof EngineError || error instanceof KeyError) && (error.code === 'Damaged' || error.code === 'UnknownVersion');
}

function ignoreAbsent(error: unknown): undefined {
  if (error instanceof StorageError && error.code === 'NotFound') return undefined;
  throw error;
}
