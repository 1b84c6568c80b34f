import type { ReplicaFinding, ReplicatedTenant, ReplicationLock } from '../../api/index.ts';
import type { ObjectStore, ObjectVersions } from '../../storage/index.ts';
import type { ByteBudget } from '../byte-budget.ts';
import type { ServiceCopier } from './service-copier.ts';

/** A bucket that keeps versions. */
export interface VersionedStore extends ObjectStore {
  readonly versions: ObjectVersions;
}

/** What a pod that replicates works with; every tenant of its shard shares it. */
export interface ReplicationWork {
  /** At `<prefix>/tenants/`. */
  readonly source: ObjectStore;
  /** The same in the other bucket, which keeps versions. */
  readonly replica: VersionedStore;
  readonly lock: ReplicationLock;
  /** Tenants whose losses a person has confirmed. */
  readonly released: ReadonlySet<string>;
  /** Objects in flight. */
  readonly concurrency: number;
  /** Bytes in flight, of all tenants together. */
  readonly budget: ByteBudget;
  /** Waits until so many bytes may be read. */
  readonly pace: (bytes: number) => Promise<void>;
  /** False once the window has ended: what is under way ends, nothing is begun. */
  readonly mayBegin: () => boolean;
  /** Where one service has both buckets and is to copy between them. */
  readonly byService?: ServiceCopier | undefined;
  readonly tally: ReplicationTally;
  readonly signal: AbortSignal;
  readonly now: () => Date;
}

/** Counts that grow while work goes on. */
export interface ReplicationTally {
  objects: number;
  bytes: number;
  /** Of those objects, the ones that the service copied by itself. */
  byService: number;
  extended: number;
}

/** What became of one tenant. */
export interface TenantOutcome {
  readonly tenant: ReplicatedTenant;
  readonly findings: readonly ReplicaFinding[];
}

