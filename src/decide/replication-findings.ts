/**
 * What a copy found that no work of ours explains, as the status tells it: what the workers say, what is known from before and was not looked at this time, and what
 * the cluster knows and the buckets do not. Pure.
 */
import { ReplicationEnding, type Backup, type BackupTenant, type ReplicationResult, type ReplicationStatus } from '../api/index.ts';
import { timeOf } from './backup-status.ts';
import { displayList } from './display.ts';
import { storedAt } from './good.ts';
import type { MoverPodFact } from './observed.ts';

const MAX_LISTED = 20;
const MAX_NAMES = 5;
/** Nodes and operators may differ in time: what was stored about when the copy began is judged the next night. */
const CLOCKS_APART_MS = 15 * 60_000;
const OF_TENANT = /^tenant ([0-9a-f]{32}): /;

/** A backup that the first data center must have, as the cluster knows it. */
export interface ExpectedSnapshot {
  readonly tenantId: string;
  readonly snapshot: string;
  /** `namespace/name` of the Backup. */
  readonly backup: string;
  /** Milliseconds since the epoch. */
  readonly storedAt: number;
}

export interface ReplicationFindings {
  readonly diverged: readonly string[];
  readonly tenantsDiverged: number;
  /** Something is missing that the replica counts as given up, so nothing is to be collected. */
  readonly isGivenUp: boolean;
}

/** The snapshots of a tenant's backups that are stored and that nobody deletes. */
export function expectedSnapshots({ metadata: { name }, spec: { tenantId } }: BackupTenant, ofNamespace: readonly Backup[]): ExpectedSnapshot[] {
  return ofNamespace.flatMap((backup) => {
    const { metadata, status } = backup;
    if (status?.phase !== 'Stored' || status.tenant !== name || status.snapshotId === undefined || metadata.deletionTimestamp !== undefined) return [];
    return [{ tenantId, snapshot: status.snapshotId, backup: `${metadata.namespace ?? ''}/${metadata.name}`, storedAt: storedAt(backup) }];
  });
}

/** The SHA-256 of the results that workers left, by shard, as their pods tell. A pod's word comes from the kubelet; what lies in the bucket may be anybody's. */
export function resultsTold(pods: readonly Pick<MoverPodFact, 'shard' | 'terminated'>[]): ReadonlyMap<number, string> {
  return new Map(
    pods.flatMap(({ shard, terminated }): [number, string][] => {
      const sha256 = terminated === undefined ? undefined : sha256In(terminated.message);
      return shard === undefined || sha256 === undefined ? [] : [[shard, sha256]];
    }),
  );
}

function sha256In(message: string): string | undefined {
  try {
    return ReplicationEnding.safeParse(JSON.parse(message)).data?.sha256;
  } catch {
    return undefined;
  }
}

/** Adds to what is known that somebody replaced or removed results of this attempt. */
export function withReplaced(status: ReplicationStatus, replaced: readonly number[]): ReplicationStatus {
  if (replaced.length === 0) return status;
  const lines = replaced.map((shard) => `${ofRun(status)}the result of worker ${shard} is not the one that it left in the bucket, or is gone: somebody who can write there wants something not to be seen`);
  return { ...status, diverged: [...new Set([...lines, ...(status.diverged ?? [])])].slice(0, MAX_LISTED) };
}

/** What such a line begins with: it stands until the next run has ended. */
function ofRun({ scheduledAt = '' }: ReplicationStatus): string {
  return `copy of ${scheduledAt}: `;
}

/** @param letGo - ids of tenants whose losses a person has confirmed */
export function findingsAfter(status: ReplicationStatus, shards: readonly (ReplicationResult | undefined)[], expected: readonly ExpectedSnapshot[], letGo: ReadonlySet<string>): ReplicationFindings {
  const tenants = shards.flatMap((result) => result?.tenants ?? []);
  const found = shards.flatMap((result) => result?.findings ?? []).map(({ tenant, kind, message }) => `tenant ${tenant}: ${kind}: ${message}`);
  const isWhole = shards.every((result) => result !== undefined && result.failure === undefined && result.counts.waiting + result.counts.failed === 0);
  const given = givenUp(tenants, expected.filter((each) => !letGo.has(each.tenantId) && each.storedAt < (timeOf(status.attemptedAt) ?? 0) - CLOCKS_APART_MS), isWhole);
  const looked = new Set(tenants.filter(({ state }) => state === 'done' || state === 'diverged').map(({ tenant }) => tenant));
  // What nobody looked at this time is as it was.
  const kept = (status.diverged ?? []).filter((line) => line.startsWith(ofRun(status)) || (!isWhole && !looked.has(tenantIn(line))));
  const counted = shards.reduce((total, result) => total + (result?.counts.diverged ?? 0), 0);
  return {
    diverged: [...found, ...given, ...kept].slice(0, MAX_LISTED),
    tenantsDiverged: counted + given.length + new Set(kept.map(tenantIn).filter((tenant) => tenant !== '')).size,
    isGivenUp: given.length > 0,
  };
}

/**
 * Backups that are stored here and that the first data center has not, though neither it nor the replica's ledger tells of a loss: both lie in buckets, and whoever holds their
 * credentials can write there that something was forgotten. The cluster's word is none of theirs.
 */
function givenUp(tenants: ReplicationResult['tenants'], expected: readonly ExpectedSnapshot[], isWhole: boolean): readonly string[] {
  const has = new Map(tenants.map((tenant) => [tenant.tenant, tenant]));
  const missing = expected.filter(({ tenantId, snapshot }) => {
    const tenant = has.get(tenantId);
    return tenant === undefined ? isWhole : tenant.state === 'done' && !tenant.snapshots.includes(snapshot);
  });
  return [...Map.groupBy(missing, ({ tenantId }) => tenantId)].map(([tenantId, lost]) => {
    const names = displayList(lost.map(({ backup }) => backup).sort(), MAX_NAMES);
    return `tenant ${tenantId}: Missing: ${lost.length} backups that are stored here and that nobody deletes are gone from the first data center, where it looks as if they were forgotten: ${names}. Until their locks end they can be restored from the second (from: Replica). Delete those Backups if this was meant`;
  });
}

function tenantIn(line: string): string {
  return OF_TENANT.exec(line)?.[1] ?? '';
}
