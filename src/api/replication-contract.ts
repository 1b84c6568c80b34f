/**
 * Orders and results of the workers that keep the second data center's bucket: `replicate` copies and extends locks, `collect` removes what nothing needs
 * after its locks. They are movers without a tenant of their own and without a key; a run is one Indexed Job, a pod works on one shard of the tenants.
 */
import * as z from 'zod';
import { Sha256, SnapshotId, TenantId } from './fields.ts';
import { MOVER_CONTRACT_VERSION, MoverFailure } from './mover-contract.ts';

/** The environment variable in which an Indexed Job tells a pod its shard, from 0. */
export const SHARD_VARIABLE = 'JOB_COMPLETION_INDEX';

/** Names a run, and with its shard a result: each attempt is a run of its own, since nothing is ever put twice under one name. */
export const ReplicationRunId = z.string().regex(/^[0-9a-z][0-9a-z-]{0,62}$/, 'lower-case letters, digits and hyphens, 63 at most');

/** A bucket and what opens it. */
export const ReplicationPlace = z.object({
  endpoint: z.string().optional(),
  region: z.string(),
  bucket: z.string(),
  /** Without slashes at its ends; tenants lie below `<prefix>/tenants/`. */
  prefix: z.string(),
  forcePathStyle: z.boolean(),
  caBundle: z.string().optional(),
  /** A `MoverCredentials` file beside the orders, of which only `s3` is read; re-read before it expires. */
  credentialsFile: z.string().regex(/^[a-z0-9][a-z0-9.-]*\.json$/, 'a file name such as source.json'),
});
export type ReplicationPlace = z.infer<typeof ReplicationPlace>;

export const ReplicationLock = z.object({
  mode: z.enum(['COMPLIANCE', 'GOVERNANCE']),
  /** How long each object is locked from when it is put or extended, milliseconds. */
  retainForMs: z.int().min(1000),
});
export type ReplicationLock = z.infer<typeof ReplicationLock>;

const common = {
  version: z.literal(MOVER_CONTRACT_VERSION),
  /** `uid`: the BackupLocation's. */
  attempt: z.object({ name: z.string().min(1), number: z.int().min(1), uid: z.string().min(1) }),
  runId: ReplicationRunId,
  replica: ReplicationPlace,
  lock: ReplicationLock,
  /** Pods of the run; each takes an equal range of the tenant ids, which are random. */
  shards: z.int().min(1).max(256),
  /** RFC 3339: nothing is begun after it; what is under way is left `waiting` and goes on in the next run. */
  windowEnd: z.string().optional(),
  /** These tenants alone; all of them where absent. */
  tenants: z.array(TenantId).optional(),
  /** Tenants whose shrinking or disappearance in the source a person has confirmed (erasure, a move, a disaster that was looked into). */
  released: z.array(TenantId),
};

export const ReplicateOrders = z.object({
  ...common,
  task: z.literal('replicate'),
  /** Who writes: the first data center, or an installation of the second's own. Says where the result is left: in the bucket of whoever works. */
  mode: z.enum(['Push', 'Pull']),
  source: ReplicationPlace,
  /** Objects in flight at a time. */
  concurrency: z.int().min(1).max(256),
  /** The service that has both buckets copies between them what is named by its content; the replica's credentials can read the source. */
  byService: z.boolean().optional(),
  /** Upper bound of what a pod reads from the source. */
  bytesPerSecond: z.int().min(1).optional(),
});
export type ReplicateOrders = z.infer<typeof ReplicateOrders>;

export const CollectOrders = z.object({
  ...common,
  task: z.literal('collect'),
  /** Say what would go, and remove nothing. */
  dryRun: z.boolean(),
});
export type CollectOrders = z.infer<typeof CollectOrders>;

export const ReplicationOrders = z.discriminatedUnion('task', [ReplicateOrders, CollectOrders]);
export type ReplicationOrders = z.infer<typeof ReplicationOrders>;

/**
 * Something in the source or the replica that no work of ours explains. It is never propagated: what the replica has stays, and stays locked.
 * - `Missing`: the source lost snapshots, manifests, keys, configuration or revisions that no forget explains.
 * - `Shrunk`: the source lost more at once than a night's work explains: all of a tenant, or more than half of it.
 * - `Altered`: an object of the source does not have the content that its name says, or config is another one.
 * - `Incomplete`: a manifest of the source names what the source does not have.
 * - `Tampered`: the replica has delete markers or versions that nobody of ours put.
 */
export const ReplicaFinding = z.object({
  tenant: TenantId,
  kind: z.enum(['Missing', 'Shrunk', 'Altered', 'Incomplete', 'Tampered']),
  message: z.string(),
  /** How many objects it is about. */
  count: z.int().min(1),
  /** The first of them, by their keys below the tenant's prefix. */
  names: z.array(z.string()),
});
export type ReplicaFinding = z.infer<typeof ReplicaFinding>;

export const ReplicatedTenant = z.object({
  tenant: TenantId,
  /** `diverged`: the source is not what it was; what is sound in it was copied, and nothing of the replica was given up. */
  state: z.enum(['done', 'waiting', 'failed', 'diverged']),
  /** Snapshots of the source that the replica has whole, manifest included. */
  snapshots: z.array(SnapshotId),
  /** When the newest of them was taken, RFC 3339. */
  replicatedUpTo: z.string().optional(),
  failure: MoverFailure.optional(),
});
export type ReplicatedTenant = z.infer<typeof ReplicatedTenant>;

/** What a worker's termination message says beside the counts: the SHA-256 of the result that it left in the bucket, in hex; absent where it could leave none. */
export const ReplicationEnding = z.object({ sha256: Sha256.optional() });

/** Left at `replication/<runId>-<shard>.json` below the location's prefix; without `tenants` and `findings` as the termination message. */
export const ReplicationResult = z.object({
  version: z.literal(MOVER_CONTRACT_VERSION),
  task: z.enum(['replicate', 'collect']),
  attempt: z.string(),
  uid: z.string(),
  runId: z.string(),
  shard: z.int().min(0),
  /** `failed`: the run as a whole could not work, and `failure` says why. A tenant's failure is in `tenants`. */
  outcome: z.enum(['succeeded', 'failed']),
  failure: MoverFailure.optional(),
  startedAt: z.string(),
  finishedAt: z.string(),
  counts: z.object({
    done: z.int().min(0),
    waiting: z.int().min(0),
    failed: z.int().min(0),
    diverged: z.int().min(0),
    /** Objects put, and their bytes. */
    objects: z.int().min(0),
    bytes: z.int().min(0),
    /** Of those objects, the ones that the service copied by itself. */
    byService: z.int().min(0).optional(),
    /** Locks extended. */
    extended: z.int().min(0),
    /** `collect`: versions removed. */
    collected: z.int().min(0),
  }),
  tenants: z.array(ReplicatedTenant),
  findings: z.array(ReplicaFinding),
  /** Why the service did not copy by itself, though it was to. */
  notByService: z.string().optional(),
  /** Peak resident memory, bytes. */
  peakMemory: z.int().min(0).optional(),
});
export type ReplicationResult = z.infer<typeof ReplicationResult>;

/** Where results lie, relative to the location's prefix. */
export const RESULTS_FOLDER = 'replication/';

/** Key of a result, relative to the location's prefix. */
export function replicationResultKey(runId: string, shard: number): string {
  return `${RESULTS_FOLDER}${runId}-${shard}.json`;
}
