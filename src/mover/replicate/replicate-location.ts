import type { ReplicationLock } from '../../api/index.ts';
import { memoryPlan } from '../../restic/memory-plan.ts';
import { MemoryStore, StorageError, type ObjectStore } from '../../storage/index.ts';
import { ByteBudget } from '../byte-budget.ts';
import { collectTenant } from './collect-tenant.ts';
import { paceOf } from './pace.ts';
import { eachTenant, type ShardOutcome } from './replicate-shard.ts';
import { replicateTenant } from './replicate-tenant.ts';
import type { ServiceCopier } from './service-copier.ts';
import type { ShardRange } from './tenant-listings.ts';
import type { ReplicationTally, ReplicationWork, VersionedStore } from './work.ts';

export interface LocationRequest extends ShardRange {
  /** The second data center's, at the location's prefix. */
  readonly replica: ObjectStore;
  readonly lock: ReplicationLock;
  readonly tenants: readonly string[] | undefined;
  readonly released: readonly string[];
  /** RFC 3339 */
  readonly windowEnd?: string | undefined;
  readonly signal: AbortSignal;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly onProgress: (tally: LocationTally) => void;
}

export interface ReplicateRequest extends LocationRequest {
  /** The first data center's, at the location's prefix. */
  readonly source: ObjectStore;
  readonly concurrency: number;
  readonly bytesPerSecond?: number | undefined;
  /** Where one service has both buckets and is to copy between them. */
  readonly byService?: ServiceCopier | undefined;
}

export type LocationTally = ReplicationTally & { collected: number };
export function newTally(): LocationTally {
  return { objects: 0, bytes: 0, byService: 0, extended: 0, collected: 0 };
}

export interface LocationOutcome extends ShardOutcome {
  readonly tally: LocationTally;
  /** Why the service that has both buckets did not copy by itself. */
  readonly notByService?: string;
}

/** Brings the replicas of a shard's tenants up to date. */
export async function replicateLocation(request: ReplicateRequest): Promise<LocationOutcome> {
  const { now, signal } = request;
  const tally = newTally();
  const pace = paceOf(request.bytesPerSecond, now, signal);
  const work: ReplicationWork = {
    source: request.source.within('tenants'),
    replica: versioned(request.replica.within('tenants')),
    lock: request.lock,
    released: new Set(request.released),
    concurrency: request.concurrency,
    byService: request.byService,
    budget: new ByteBudget(memoryPlan().copied),
    pace: async (bytes) => {
      request.onProgress(tally);
      await pace(bytes);
    },
    mayBegin: windowOf(request),
    tally,
    signal,
    now: () => new Date(now()),
  };
  const outcome = await eachTenant(work, request, (listing) => replicateTenant(work, listing));
  const notByService = request.byService?.refusal;
  return { ...outcome, tally, ...(notByService === undefined ? {} : { notByService }) };
}

/** Removes what nothing needs any more from the replicas of a shard's tenants, after its locks. */
export async function collectLocation(request: LocationRequest & { readonly dryRun: boolean }): Promise<LocationOutcome> {
  const { signal } = request;
  const tally = newTally();
  const replica = versioned(request.replica.within('tenants'));
  const mayBegin = windowOf(request);
  // The replica alone is read; the other side of its listing is empty.
  const outcome = await eachTenant({ source: new MemoryStore('nothing'), replica, signal, mayBegin }, request, async (listing) => {
    const { removed, stillLocked } = await collectTenant(replica, listing, request, { now: new Date(request.now()), signal, mayBegin });
    tally.collected += removed;
    request.onProgress(tally);
    return { tenant: { tenant: listing.tenant, state: stillLocked > 0 ? 'waiting' : 'done', snapshots: [] }, findings: [] };
  });
  return { ...outcome, tally };
}

/** The replica must be a bucket that keeps versions; only such a one has locks. */
export function versioned(store: ObjectStore): VersionedStore {
  if (keepsVersions(store)) return store;
  throw new StorageError('Unsupported', `${store.location} keeps no versions; a replica needs a bucket with Object Lock`, { retryable: false });
}

function keepsVersions(store: ObjectStore): store is VersionedStore {
  return store.versions !== undefined;
}

function windowOf({ windowEnd, now, signal }: LocationRequest): () => boolean {
  const end = windowEnd === undefined ? Infinity : Date.parse(windowEnd);
  return () => !signal.aborted && now() < end;
}
