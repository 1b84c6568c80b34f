/** What the bucket is to say of a tenant, and whether it says it already. Pure. */
import { createHash } from 'node:crypto';
import { ANNOTATION_RECORD, TENANT_RECORD_VERSION, type Backup, type BackupLocation, type BackupPolicy, type BackupTenant, type RecoveredBackup, type TenantRecord } from '../api/index.ts';
import { findCondition } from './conditions.ts';
import { isErasureOrdered } from './erasure.ts';

export interface RecordFacts {
  readonly tenant: BackupTenant;
  readonly location: BackupLocation | undefined;
  /** UID of the namespace of that name now. */
  readonly namespaceUid: string | undefined;
  readonly terminating: boolean;
  readonly policies: readonly BackupPolicy[];
  readonly backups: readonly Backup[];
}

/** `later`: the location cannot be written now. */
export type RecordDecision = { readonly do: 'nothing' | 'later' } | { readonly do: 'write'; readonly record: TenantRecord; readonly hash: string };

export function decideRecord(facts: RecordFacts): RecordDecision {
  const { tenant, location, namespaceUid, terminating, policies } = facts;
  // What is going or gone leaves the last thing that was said of it: that is what a recovery wants.
  if (namespaceUid !== tenant.spec.namespaceUID || terminating || policies.length === 0) return { do: 'nothing' };
  // An erased tenant is not written of anew.
  if (location === undefined || isReadOnly(location) || isErasureOrdered(tenant)) return { do: 'nothing' };
  const content = recordOf(facts);
  const hash = hashOf(content);
  const written = writtenRecord(tenant);
  if (written?.hash === hash) return { do: 'nothing' };
  if (findCondition(location.status?.conditions, 'Ready')?.status !== 'True') return { do: 'later' };
  return { do: 'write', record: { ...content, rev: (written?.rev ?? 0) + 1 }, hash };
}

/** Nothing is backed up there: it is a copy. */
export function isReadOnly({ spec }: Pick<BackupLocation, 'spec'>): boolean {
  return spec.recover || spec.pull !== undefined;
}

/** Of everything but the revision. */
export function hashOf(record: TenantRecord): string {
  return createHash('sha256').update(JSON.stringify(sorted({ ...record, rev: undefined }))).digest('hex');
}

export function writtenRecord({ metadata }: Pick<BackupTenant, 'metadata'>): { readonly rev: number; readonly hash: string } | undefined {
  const found = /^([1-9][0-9]{0,8}) ([0-9a-f]{64})$/.exec(metadata.annotations?.[ANNOTATION_RECORD] ?? '');
  return found === null ? undefined : { rev: Number(found[1]), hash: found[2] ?? '' };
}

function recordOf({ tenant, policies, backups }: RecordFacts): TenantRecord {
  const byName = <T extends { readonly metadata: { readonly name: string } }>(objects: readonly T[]) => [...objects].sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
  return {
    version: TENANT_RECORD_VERSION,
    rev: 0,
    tenant: tenant.spec.tenantId,
    namespace: tenant.spec.namespace,
    ...defined({ since: tenant.metadata.creationTimestamp }),
    keyGeneration: tenant.status?.keyGeneration ?? 1,
    policies: byName(policies).map(({ metadata, spec }) => ({ name: metadata.name, spec: { ...spec } })),
    backups: byName(backups).flatMap((backup) => {
      const stored = storedOf(backup);
      return stored === undefined || backup.metadata.deletionTimestamp !== undefined ? [] : [{ name: backup.metadata.name, spec: { ...backup.spec }, stored }];
    }),
  };
}

function storedOf({ status }: Backup): RecoveredBackup | undefined {
  if (status?.phase !== 'Stored' || status.snapshotId === undefined) return undefined;
  const { snapshotId, keyGeneration = 1, completedAt = '', volumes = [], streams, copyMethod, files, bytesProcessed, bytesAdded, size } = status;
  const complete = findCondition(status.conditions, 'Complete')?.status !== 'False';
  return { snapshotId, keyGeneration, completedAt, complete, volumes: [...volumes], ...defined({ streams, copyMethod, files, bytesProcessed, bytesAdded, size }) };
}

function defined<T extends Record<string, unknown>>(fields: T): { [Field in keyof T]?: Exclude<T[Field], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as { [Field in keyof T]?: Exclude<T[Field], undefined> };
}

/** The API server gives keys back in an order of its own. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).filter(([, inner]) => inner !== undefined).sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, inner]) => [key, sorted(inner)]));
}
