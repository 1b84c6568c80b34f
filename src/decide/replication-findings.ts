/**
 * What a copy found that no work of ours explains, as the status tells it: what the workers say, what is known from before and was not looked at this time, and what
 * the cluster knows and the buckets do not. Pure.
 */
import type { Backup, BackupTenant, ReplicationResult, ReplicationStatus } from '../api/index.ts';
import { timeOf } from './backup-status.ts';
import { displayList } from './display.ts';
import { storedAt } from './good.ts';

const MAX_LISTED = 20;
const MAX_NAMES = 5;
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

/** @param letGo - ids of tenants whose losses a person has confirmed */
export function findingsAfter(status: ReplicationStatus, shards: readonly (ReplicationResult | undefined)[], expected: readonly ExpectedSnapshot[], letGo: ReadonlySet<string>): ReplicationFindings {
  const tenants = shards.flatMap((result) => result?.tenants ?? []);
  const found = shards.flatMap((result) => result?.findings ?? []).map(({ tenant, kind, message }) => `tenant ${tenant}: ${kind}: ${message}`);
  const isWhole = shards.every((result) => result !== undefined && result.failure === undefined && result.counts.waiting + result.counts.failed === 0);
  const given = givenUp(tenants, expected.filter((each) => !letGo.has(each.tenantId) && each.storedAt < (timeOf(status.attemptedAt) ?? 0)), isWhole);
  const looked = new Set(tenants.filter(({ state }) => state === 'done' || state === 'diverged').map(({ tenant }) => tenant));
  // What nobody looked at this time is as it was.
  const kept = isWhole ? [] : (status.diverged ?? []).filter((line) => !looked.has(tenantIn(line)));
  const counted = shards.reduce((total, result) => total + (result?.counts.diverged ?? 0), 0);
  return {
    diverged: [...found, ...given.map(({ line }) => line), ...kept].slice(0, MAX_LISTED),
    tenantsDiverged: counted + given.length + new Set(kept.map(tenantIn)).size,
    isGivenUp: given.length > 0,
  };
}

/**
 * Backups that are stored here and that the first data center has not, though neither it nor the replica's ledger tells of a loss: both lie in buckets, and whoever holds their
 * credentials can write there that something was forgotten. The cluster's word is none of theirs.
 */
function givenUp(tenants: ReplicationResult['tenants'], expected: readonly ExpectedSnapshot[], isWhole: boolean): readonly { readonly line: string }[] {
  const has = new Map(tenants.map((tenant) => [tenant.tenant, tenant]));
  const missing = expected.filter(({ tenantId, snapshot }) => {
    const tenant = has.get(tenantId);
    return tenant === undefined ? isWhole : tenant.state === 'done' && !tenant.snapshots.includes(snapshot);
  });
  return [...Map.groupBy(missing, ({ tenantId }) => tenantId)].map(([tenantId, lost]) => {
    const names = displayList(lost.map(({ backup }) => backup).sort(), MAX_NAMES);
    return { line: `tenant ${tenantId}: Missing: ${lost.length} backups that are stored here and that nobody deletes are gone from the first data center, where it looks as if they were forgotten: ${names}. Until their locks end they can be restored from the second (from: Replica). Delete those Backups if this was meant` };
  });
}

function tenantIn(line: string): string {
  return OF_TENANT.exec(line)?.[1] ?? '';
}
