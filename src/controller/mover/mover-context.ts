import type { BackupLocation, BackupTenant } from '../../api/index.ts';
import type { ExecEnd, KubeConnection, PodContainer } from '../../kube/index.ts';
import type { Cache } from '../caches.ts';
import type { AuditRecorder, Clock, CredentialMinter, ResultReader } from '../ports.ts';
import type { RawClaim, RawEvent, RawGroupContent, RawGroupSnapshot, RawJob, RawNamespace, RawNode, RawPod, RawSnapshot, RawSnapshotClass, RawSnapshotContent, RawStorageClass, RawVolume } from '../raw-objects.ts';
import type { Backup, BackupPolicy, Restore } from '../../api/index.ts';
import type { MoverLine, ReplicaStanding } from '../../decide/index.ts';
import type { Listener } from './spoken-lines.ts';

/** What the backup and the restore controller share: the caches they look into and the ports through which they act. */
export interface MoverContext {
  readonly connection: KubeConnection;
  readonly caches: MoverCaches;
  readonly clock: Clock;
  readonly minter: CredentialMinter;
  readonly results: ResultReader;
  readonly audit: AuditRecorder;
  /** Lines of movers that run. */
  readonly listener: Listener;
  /** The queue of a location as it stands; undefined for one that does not exist. */
  readonly queueOf: (location: string) => MoverLine | undefined;
  /** Decisions that take a place in the queue are made one at a time. */
  readonly admission: AdmissionLock;
  /** Runs a command in a customer's pod. */
  readonly exec: ExecCommand;
  /** What the second data center has of each tenant; absent where nobody looks. */
  readonly standings?: Standings | undefined;
  readonly defaultImage: string;
  /** Where movers run that need nothing of a customer's namespace. */
  readonly moverNamespace: string;
}

/** As the last copy left them. */
export interface Standings {
  of(location: string, tenantId: string): ReplicaStanding | undefined;
  listen(listener: (location: string) => void): void;
}

/** @throws {KubeError} when it cannot be run or was cut off */
export type ExecCommand = (at: PodContainer, command: readonly string[], signal: AbortSignal) => Promise<ExecEnd & { readonly output: string }>;

export interface MoverCaches {
  readonly namespaces: Cache<RawNamespace>;
  readonly claims: Cache<RawClaim>;
  readonly volumes: Cache<RawVolume>;
  readonly storageClasses: Cache<RawStorageClass>;
  readonly snapshotClasses: Cache<RawSnapshotClass>;
  readonly snapshots: Cache<RawSnapshot>;
  readonly snapshotContents: Cache<RawSnapshotContent>;
  readonly groupClasses: Cache<RawSnapshotClass>;
  readonly groups: Cache<RawGroupSnapshot>;
  readonly groupContents: Cache<RawGroupContent>;
  readonly locations: Cache<BackupLocation>;
  readonly tenants: Cache<BackupTenant>;
  readonly policies: Cache<BackupPolicy>;
  readonly backups: Cache<Backup>;
  readonly restores: Cache<Restore>;
  readonly jobs: Cache<RawJob>;
  readonly moverPods: Cache<RawPod>;
  readonly nodes: Cache<RawNode>;
  readonly warnings: readonly Cache<RawEvent>[];
}

/** One at a time, in the order of asking. */
export class AdmissionLock {
  #tail: Promise<unknown> = Promise.resolve();

  async run<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#tail.then(work);
    this.#tail = result.catch(() => undefined);
    return result;
  }
}
