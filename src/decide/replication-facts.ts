import type { BackupLocation, ConditionInput, ReplicationOrders, ReplicationResult, ReplicationStatus } from '../api/index.ts';
import type { ScheduleParser } from './cron.ts';
import type { LockFinding } from './location.ts';
import type { MoverJobInput } from './mover-job.ts';
import type { AttemptFacts } from './observed.ts';
import type { ExpectedSnapshot } from './replication-findings.ts';
import type { ReplicationSetup } from './replication-setup.ts';

/** What the workers of a run left in the bucket, by shard; one that left nothing is `undefined`. */
export type ShardResults =
  | { readonly state: 'notLooked' }
  | { readonly state: 'unreachable'; readonly message: string }
  /** `replaced`: shards of which another result is there than their worker left, or none. */
  | { readonly state: 'found'; readonly shards: readonly (ReplicationResult | undefined)[]; readonly replaced?: readonly number[] };

/** `lately`: what its log holds of late, read only when nothing was heard for long. */
export type WorkerSaid = Pick<AttemptFacts, 'spoken' | 'lately'>;

/** All that a decision about the copy into the second data center is made of. */
export interface ReplicationFacts {
  readonly location: BackupLocation;
  readonly setup: ReplicationSetup;
  /** The last proof of the lock; nothing is copied before the first. */
  readonly lock: LockFinding | undefined;
  /** Of the current attempt; `spoken` is what all its workers said together. */
  readonly attempt: AttemptFacts;
  /** What each worker said, by the name of its pod. */
  readonly workers: ReadonlyMap<string, WorkerSaid>;
  /** Looked at once the Job has ended. */
  readonly results: ShardResults;
  /** Jobs of the location, other than the current attempt's. */
  readonly leftovers: readonly string[];
  /** Ids of tenants whose erasure is ordered: that they are gone from the source is meant. */
  readonly erased?: readonly string[];
  /** What the first data center must have of every tenant; asked for once, when a copy has ended. */
  readonly expected?: () => readonly ExpectedSnapshot[];
  readonly moverNamespace: string;
  readonly defaultImage: string;
  readonly parse?: ScheduleParser | undefined;
}

export interface WorkersStart {
  readonly orders: ReplicationOrders;
  readonly job: MoverJobInput;
  readonly completions: number;
  readonly deadlineSeconds: number;
}

export type ReplicationStep =
  | { readonly do: 'startWorkers'; readonly start: WorkersStart }
  | { readonly do: 'renewWorkers'; readonly name: string; readonly task: ReplicationOrders['task'] }
  | { readonly do: 'clearWorkers'; readonly name: string };

export interface ReplicationPlan {
  readonly status: ReplicationStatus | undefined;
  readonly replicatedUpTo: string | undefined;
  readonly conditions: readonly ConditionInput[];
  /** Pods whose logs are wanted, which is then decided upon again. */
  readonly needsLogs?: readonly string[];
  /** Whether the workers' results are wanted, which is then decided upon again. */
  readonly needsResults?: boolean;
  /** Done before the status is written … */
  readonly before?: readonly ReplicationStep[];
  /** … and after. */
  readonly after?: readonly ReplicationStep[];
  readonly wakeAt?: number | undefined;
  readonly again?: boolean;
}
