/**
 * What controllers need of object storage and key management. `cmd/` wires these to `storage/` and `keys/`; controllers never import them.
 */
import type { BackupLocation, MoverCredentials, ReplicationOrders, ReplicationResult, TenantRecord } from '../api/index.ts';
import type { AuditRecord, ErasureProgress } from '../decide/index.ts';
import type { FoundTenant, NamespaceClaim, RecordTrust } from '../decide/recovery.ts';

export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
}

/** Secrets of the operator's own namespace, decoded; `undefined` when there is none of that name. */
export type SecretLookup = (name: string) => Readonly<Record<string, string>> | undefined;

/** One thing that was tried. */
export type Finding = { readonly ok: true; readonly message: string } | { readonly ok: false; readonly reason: string; readonly message: string };

export interface LocationFindings {
  /** The bucket answers to the location's credentials. */
  readonly storageReachable: Finding;
  /** An object can be put, read and deleted below `probe/`. */
  readonly storageWritable: Finding;
  /** A random value can be wrapped under the first data center's key. */
  readonly keyUsable: Finding;
  /** The same under the second data center's key; absent where the location names none. */
  readonly replicaKeyUsable?: Finding;
  /** A mover's S3 credentials reach its own tenant only. */
  readonly storageIsolated: Finding;
  /** The operator cannot unwrap, and a mover can unwrap its own tenant's keys only. */
  readonly keysIsolated: Finding;
  /** Whether workers that keep the second data center hold sessions; absent where this installation copies nothing. */
  readonly workersIsolated?: Finding | undefined;
}

/** Tries what a backup needs. Resolves whatever it finds; never rejects but when aborted. */
export interface LocationProbe {
  probe(location: BackupLocation, signal: AbortSignal): Promise<LocationFindings>;
}

/** `unknown`: it could not be tried now, which says nothing of the bucket. */
export type LockFinding = { readonly kind: 'proven' | 'refuted' | 'unknown'; readonly reason: string; readonly message: string };

/** Proves that a version under a lock in the second data center's bucket cannot be deleted. Never rejects but when aborted. */
export interface LockProver {
  /** @returns `undefined` for a location that has no such bucket */
  prove(location: BackupLocation, signal: AbortSignal): Promise<LockFinding | undefined>;
}

/** What workers of a location that copy or collect are given, and what they leave. */
export interface WorkerCredentials {
  /** By the name that the orders give the file. */
  readonly files: Readonly<Record<string, MoverCredentials>>;
  /** Milliseconds since the epoch; `undefined` for credentials that do not expire. */
  readonly expiresAt: number | undefined;
  /** Which of them are no sessions, and why, in words. */
  readonly shared: readonly string[];
}

export interface ReplicationAccess {
  /**
   * Sessions that reach what the task takes, or, where there are none to be had, the buckets' own credentials.
   * @throws {PortError}
   */
  credentials(location: BackupLocation, task: ReplicationOrders['task'], signal: AbortSignal): Promise<WorkerCredentials>;
  /**
   * The results of a run, by shard; `undefined` for one that left none, or where another one than it left is there.
   * @throws {PortError} also for a result that is none
   */
  results(location: BackupLocation, run: ResultsOfRun, signal: AbortSignal): Promise<readonly (ReplicationResult | undefined)[]>;
}

export interface ResultsOfRun {
  readonly task: ReplicationOrders['task'];
  readonly runId: string;
  readonly shards: number;
  /** The SHA-256 of each in hex, by shard, as far as the workers themselves told it. */
  readonly told: ReadonlyMap<number, string>;
}

/** Revisions of what the bucket says of each tenant. */
export interface TenantRecords {
  /**
   * @returns false where that revision is taken
   * @throws {PortError}
   */
  put(location: BackupLocation, record: TenantRecord, signal: AbortSignal): Promise<boolean>;
  /**
   * The highest revision that is there, and what it says where this installation wrote it; `undefined` where there is none.
   * @throws {PortError}
   */
  latest(location: BackupLocation, tenantId: string, signal: AbortSignal): Promise<{ readonly rev: number; readonly record: TenantRecord | undefined } | undefined>;
}

/** Reads what a bucket has of each tenant, past delete markers and whatever was put on top. */
export interface RecoverySource {
  /**
   * Ids of all tenants, and, where the location names no key, the public key that sealed the oldest of their records.
   * @throws {PortError}
   */
  tenants(location: BackupLocation, signal: AbortSignal): Promise<{ readonly tenants: readonly string[]; readonly oldestKey: string | undefined }>;
  /**
   * What each of these tenants' records says of its namespace.
   * @throws {PortError}
   */
  claims(location: BackupLocation, tenants: readonly string[], trust: RecordTrust, signal: AbortSignal): Promise<readonly NamespaceClaim[]>;
  /** @throws {PortError} */
  tenant(location: BackupLocation, tenantId: string, trust: RecordTrust, signal: AbortSignal): Promise<FoundTenant>;
}

export interface MintedCredentials {
  readonly credentials: MoverCredentials;
  /** Milliseconds since the epoch; `undefined` for credentials that do not expire. */
  readonly expiresAt: number | undefined;
}

/** Makes a mover's credentials: a session for one tenant's prefix where the location's endpoint has STS. */
export interface CredentialMinter {
  /** @throws {PortError} */
  mint(location: BackupLocation, tenantId: string, signal: AbortSignal): Promise<MintedCredentials>;
}

/** Reads what a mover left in the bucket when its pod cannot say it any more. */
export interface ResultReader {
  /**
   * @returns the parsed JSON, not yet validated; `undefined` when there is no such object
   * @throws {PortError}
   */
  read(location: BackupLocation, tenantId: string, key: string, signal: AbortSignal): Promise<unknown>;
}

/** Writes a tenant's audit trail. */
export interface AuditRecorder {
  /**
   * Resolves once the event is durable: what it tells of is done only then. The same event again is recorded once.
   * @throws {PortError}
   */
  record(location: BackupLocation, tenantId: string, record: AuditRecord, signal: AbortSignal): Promise<void>;
}

/** Removes what a tenant has in the buckets, for good. */
export interface TenantEraser {
  /**
   * One step, of bounded length: the wrapped keys, or everything but the audit trail. What is gone already is no error.
   * @throws {PortError}
   */
  step(location: BackupLocation, tenantId: string, what: 'destroyKeys' | 'removeAll', signal: AbortSignal): Promise<ErasureProgress>;
}

/** A refusal of storage or keys, in words for a condition. */
export class PortError extends Error {
  /** CamelCase, e.g. `BadCredentials`. */
  readonly reason: string;
  readonly retryable: boolean;

  constructor(reason: string, message: string, options: { retryable: boolean; cause?: unknown }) {
    super(message, { cause: options.cause });
    this.name = 'PortError';
    this.reason = reason;
    this.retryable = options.retryable;
  }
}

export interface Ports {
  readonly clock: Clock;
  readonly locationProbe: LocationProbe;
  readonly lockProver: LockProver;
  readonly replication: ReplicationAccess;
  readonly tenantRecords: TenantRecords;
  readonly recovery: RecoverySource;
  readonly credentialMinter: CredentialMinter;
  readonly resultReader: ResultReader;
  readonly audit: AuditRecorder;
  readonly eraser: TenantEraser;
}
