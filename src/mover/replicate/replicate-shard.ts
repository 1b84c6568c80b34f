import type { MoverFailure, ReplicaFinding, ReplicatedTenant } from '../../api/index.ts';
import { failureOf } from '../failure.ts';
import { listShard, listTenant, type ShardRange, type TenantListing } from './tenant-listings.ts';
import { shardOf } from './shard.ts';
import type { ReplicationWork, TenantOutcome } from './work.ts';

/** Small tenants cost round trips rather than bytes: several at a time fill the line. */
const PARALLEL_TENANTS = 8;
/** After so many tenants in a row that fail for a passing reason the service is down, and asking for each of thousands helps nobody. */
const FAILURES_IN_A_ROW = 8;

export interface ShardOutcome {
  readonly tenants: readonly ReplicatedTenant[];
  readonly findings: readonly ReplicaFinding[];
  /** Why the shard ended early. */
  readonly failure?: MoverFailure;
}

/**
 * Does `each` with every tenant of a shard, several at a time. What fails with one is that tenant's outcome, and the others go on; a service that does not
 * answer at all, and a listing that breaks, end the shard.
 */
export async function eachTenant(
  work: Pick<ReplicationWork, 'source' | 'replica' | 'signal' | 'mayBegin'>,
  range: ShardRange & { readonly tenants: readonly string[] | undefined },
  each: (listing: TenantListing) => Promise<TenantOutcome>,
): Promise<ShardOutcome> {
  const outcomes: TenantOutcome[] = [];
  const listings = listingsOf(work, range);
  let failure: MoverFailure | undefined;
  let inARow = 0;
  const worker = async (): Promise<void> => {
    while (failure === undefined) {
      const next = await listings.next();
      if (next.done === true) return;
      const { tenant } = next.value;
      if (!work.mayBegin()) {
        outcomes.push({ tenant: { tenant, state: 'waiting', snapshots: [] }, findings: [] });
        continue;
      }
      try {
        outcomes.push(await each(next.value));
        inARow = 0;
      } catch (error) {
        const told = failureOf(error, work.signal);
        outcomes.push({ tenant: { tenant, state: work.signal.aborted ? 'waiting' : 'failed', snapshots: [], failure: told }, findings: [] });
        inARow = told.retryable ? inARow + 1 : 0;
        if (work.signal.aborted || inARow >= FAILURES_IN_A_ROW) failure ??= told;
      }
    }
  };
  const ends = await Promise.allSettled(Array.from({ length: PARALLEL_TENANTS }, worker));
  await listings.return(undefined);
  for (const end of ends) if (end.status === 'rejected') failure ??= failureOf(end.reason, work.signal);
  outcomes.sort((a, b) => (a.tenant.tenant < b.tenant.tenant ? -1 : 1));
  return { tenants: outcomes.map(({ tenant }) => tenant), findings: outcomes.flatMap(({ findings }) => findings), ...(failure === undefined ? {} : { failure }) };
}

async function* listingsOf({ source, replica, signal }: Pick<ReplicationWork, 'source' | 'replica' | 'signal'>, range: ShardRange & { readonly tenants: readonly string[] | undefined }): AsyncGenerator<TenantListing> {
  const places = { source, replica: replica.versions, signal };
  if (range.tenants === undefined) {
    yield* listShard(places, range);
    return;
  }
  for (const tenant of range.tenants.filter((id) => shardOf(id, range.shards) === range.shard).sort()) yield await listTenant(places, tenant);
}
