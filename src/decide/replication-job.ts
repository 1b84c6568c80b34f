/** The orders and the Indexed Job of one attempt: a pod for each shard of the tenants, none with a key, none with a volume. */
import { ANNOTATION_RELEASED, API_VERSION, durationToMs, MOVER_CONTRACT_VERSION, TenantId, type ReplicationOrders, type ReplicationPlace, type ReplicationStatus, type S3Settings } from '../api/index.ts';
import { timeOf } from './backup-status.ts';
import { moverJob, type MoverJobInput } from './mover-job.ts';
import { bucketOrders } from './orders.ts';
import type { ReplicationFacts, WorkersStart } from './replication-facts.ts';
import { bytesOfQuantity } from './storage-size.ts';

/** Files of credentials beside the orders. */
export const SOURCE_CREDENTIALS = 'source.json';
export const REPLICA_CREDENTIALS = 'replica.json';
/** After the window a worker ends what is under way and leaves its result. */
const GRACE_MS = 15 * 60_000;

export function workersStart(facts: ReplicationFacts, status: ReplicationStatus, attempt: { readonly name: string; readonly number: number; readonly runId: string }, now: number): WorkersStart {
  const { location, setup } = facts;
  const { uid, name: locationName } = location.metadata;
  const { name, number, runId } = attempt;
  const shards = status.shards ?? setup.replication.shards;
  const task = status.stage === 'Collecting' ? 'collect' : 'replicate';
  const windowEnd = timeOf(status.windowEndsAt) ?? now;
  const common = {
    version: MOVER_CONTRACT_VERSION,
    attempt: { name, number, uid },
    runId,
    replica: place(setup.replica, REPLICA_CREDENTIALS),
    lock: { mode: setup.objectLock.mode === 'Compliance' ? 'COMPLIANCE' : 'GOVERNANCE', retainForMs: durationToMs(setup.objectLock.retainFor) },
    shards,
    windowEnd: status.windowEndsAt,
    released: letGoOf(facts),
  } as const;
  const orders: ReplicationOrders =
    task === 'collect'
      ? { ...common, task, dryRun: false }
      : {
          ...common,
          task,
          mode: setup.mode,
          source: place(setup.source, SOURCE_CREDENTIALS),
          concurrency: setup.replication.concurrency,
          ...paced(setup.replication.bandwidth),
          ...(setup.replication.serverSideCopy ? { byService: true } : {}),
        };
  const job: MoverJobInput = {
    name,
    namespace: facts.moverNamespace,
    task,
    owners: [{ apiVersion: API_VERSION, kind: 'BackupLocation', name: locationName, uid, controller: true, blockOwnerDeletion: false }],
    tenant: undefined,
    policy: undefined,
    backup: undefined,
    restore: undefined,
    locationName,
    location: location.spec,
    defaultImage: facts.defaultImage,
    claims: [],
    node: undefined,
    labels: {},
    annotations: {},
    jobAnnotations: {},
  };
  return { orders, job, completions: shards, deadlineSeconds: Math.max(60, Math.ceil((windowEnd + GRACE_MS - now) / 1000)) };
}

/** One that fails keeps no other from its work. */
export function workersJob({ job, completions, deadlineSeconds }: WorkersStart) {
  const made = moverJob(job);
  return {
    ...made,
    spec: {
      completions,
      parallelism: completions,
      completionMode: 'Indexed',
      // The operator makes the next attempt, under another name.
      backoffLimitPerIndex: 0,
      activeDeadlineSeconds: deadlineSeconds,
      template: made.spec.template,
    },
  };
}

/** Ids of tenants whose losses a person has confirmed, or whose erasure is ordered. */
export function letGoOf({ location, erased = [] }: Pick<ReplicationFacts, 'location' | 'erased'>): string[] {
  return [...new Set([...released(location.metadata.annotations?.[ANNOTATION_RELEASED]), ...erased])];
}

function paced(bandwidth: string | undefined): { readonly bytesPerSecond?: number } {
  const bytesPerSecond = bytesOfQuantity(bandwidth);
  return bytesPerSecond === undefined ? {} : { bytesPerSecond: Math.max(1, Math.round(bytesPerSecond)) };
}

function released(annotation: string | undefined): string[] {
  return (annotation ?? '').split(',').map((id) => id.trim()).filter((id) => TenantId.safeParse(id).success);
}

function place(s3: S3Settings, credentialsFile: string): ReplicationPlace {
  return { ...bucketOrders(s3), credentialsFile };
}
