/** What is to be made anew of a tenant that a bucket has, on a cluster that knows nothing of it. Pure. */
import { ANNOTATION_RECOVERED, API_VERSION, LABEL_POLICY, type RecoveredBackup, type TenantRecord } from '../api/index.ts';
import { labelValue } from './child-names.ts';
import { newTenant } from './tenant.ts';

/** A snapshot that the bucket has whole, by its manifest. */
export interface FoundSnapshot {
  readonly snapshotId: string;
  readonly keyGeneration: number;
  /** RFC 3339 */
  readonly createdAt: string;
  readonly complete: boolean;
}

/** Whose records are believed. */
export interface RecordTrust {
  /** Public keys, base64. */
  readonly keys: readonly string[];
  /** Digests of single records that a person has looked at. */
  readonly accepted: readonly string[];
}

export interface RefusedRecord {
  /** By its name. */
  readonly rev: number;
  readonly digest: string;
  /** Fingerprint of whose seal it has; `undefined` where none fits. */
  readonly sealedBy: string | undefined;
  /** Whose record it is, and which revision, where the seal is trusted and it lies under another name. */
  readonly belongsTo?: { readonly tenant: string; readonly rev: number };
}

export interface FoundRecord {
  /** The newest that is trusted. */
  readonly record: TenantRecord | undefined;
  /** Newer ones that are not, the newest first. */
  readonly refused: readonly RefusedRecord[];
}

export interface FoundTenant extends FoundRecord {
  readonly tenantId: string;
  readonly snapshots: readonly FoundSnapshot[];
}

export interface RecoveryPlan {
  readonly namespace: string;
  readonly policies: readonly { readonly name: string; readonly spec: Readonly<Record<string, unknown>> }[];
  readonly backups: readonly { readonly name: string; readonly spec: Readonly<Record<string, unknown>>; readonly stored: RecoveredBackup }[];
  /** What cannot be made anew, in words. */
  readonly problems: readonly string[];
}

export type RecoveryDecision = { readonly ok: true; readonly plan: RecoveryPlan } | { readonly ok: false; readonly problem: string };

export function planRecovery({ tenantId, record, refused, snapshots }: FoundTenant): RecoveryDecision {
  const [forged] = refused.map((each) => refusal(tenantId, each));
  if (record === undefined && forged !== undefined) return { ok: false, problem: forged };
  if (record === undefined) {
    if (snapshots.length === 0) return { ok: false, problem: `tenant ${tenantId} has neither a record nor a backup` };
    return { ok: false, problem: `tenant ${tenantId} has ${snapshots.length} backups but no record that names its namespace. Read them with \`tenant-backup restore --from-replica\`.` };
  }
  if (record.tenant !== tenantId) return { ok: false, problem: `the record below tenant ${tenantId} is that of ${record.tenant}: somebody moved objects between tenants` };
  const [first] = record.policies;
  if (first === undefined) return { ok: false, problem: `the record of tenant ${tenantId} (namespace ${record.namespace}) has no policy` };
  const there = new Set(snapshots.map(({ snapshotId }) => snapshotId));
  const named = record.backups.filter(({ stored }) => there.has(stored.snapshotId));
  const missing = record.backups.filter(({ stored }) => !there.has(stored.snapshotId));
  const known = new Set(named.map(({ stored }) => stored.snapshotId));
  const taken = new Set(named.map(({ name }) => name));
  const unnamed = snapshots.filter(({ snapshotId }) => !known.has(snapshotId)).map((snapshot) => unnamedBackup(snapshot, first, taken));
  return {
    ok: true,
    plan: {
      namespace: record.namespace,
      policies: record.policies,
      backups: [...named, ...unnamed],
      problems: [...(forged === undefined ? [] : [`${forged} Revision ${record.rev} was taken in its place.`]), ...missing.map(({ name }) => `Backup ${record.namespace}/${name} is not in this bucket: it was made after the last copy, or was collected`)],
    },
  };
}

/** What a tenant's record says of whose the namespace is. */
export interface NamespaceClaim {
  readonly tenantId: string;
  /** Until when the tenant is known to have had it, milliseconds since the epoch; 0 where nothing tells. */
  readonly until: number;
}

/** By what is sealed, not by when it was stored: that is another time in each bucket. */
export function namespaceClaim(tenantId: string, record: TenantRecord | undefined): NamespaceClaim {
  const times = [record?.since, ...(record?.backups ?? []).map(({ stored }) => stored.completedAt)].map((time) => Date.parse(time ?? ''));
  return { tenantId, until: Math.max(0, ...times.filter((time) => !Number.isNaN(time))) };
}

/**
 * A tenant outlives its namespace, and one made later under the same name is another tenant's, whose pods must not be given the data of the one before. So those
 * that had theirs last come first: the first one takes the name.
 */
export function recoveryOrder(claims: readonly NamespaceClaim[]): string[] {
  return [...claims].sort((a, b) => b.until - a.until || (a.tenantId < b.tenantId ? -1 : 1)).map(({ tenantId }) => tenantId);
}

function refusal(tenantId: string, { rev, digest, sealedBy, belongsTo }: RefusedRecord): string {
  const where = `revision ${rev} of the record of tenant ${tenantId}`;
  const accept = `if you have looked at this record, its digest ${digest} in spec.recovery.acceptedRecords.`;
  if (belongsTo !== undefined) {
    const isOld = belongsTo.tenant === tenantId;
    return `${where} is revision ${belongsTo.rev} of ${isOld ? 'it' : `tenant ${belongsTo.tenant}`}: somebody who can write into a bucket put it there once more.${isOld ? ` To go back to it, name, ${accept}` : ''}`;
  }
  const why = sealedBy === undefined ? 'has no seal that fits it' : `is sealed by the key ${sealedBy}, which is not trusted`;
  return `${where} ${why}: whoever can write into the first bucket could have put it there, with hooks that run in the customer's pods. Name the first installation's public key in spec.recovery.trustedKeys, or, ${accept}`;
}

/** Newer than the record, or of a policy that is gone: it is the customer's all the same. */
function unnamedBackup({ snapshotId, keyGeneration, createdAt, complete }: FoundSnapshot, policy: TenantRecord['policies'][number], taken: ReadonlySet<string>): RecoveryPlan['backups'][number] {
  const short = `recovered-${snapshotId.slice(0, 12)}`;
  const volumes = volumesOf(policy.spec);
  return {
    name: taken.has(short) ? `recovered-${snapshotId}` : short,
    spec: { policy: policy.name, note: 'Made anew from the bucket; its name and policy are not recorded there.' },
    stored: { snapshotId, keyGeneration, completedAt: createdAt, complete, volumes, unrecorded: true },
  };
}

function volumesOf(spec: Readonly<Record<string, unknown>>): string[] {
  const { volumes } = spec;
  return Array.isArray(volumes) ? volumes.filter((name): name is string => typeof name === 'string') : [];
}

/** The objects of a plan, as they are sent to the API server. */
export function tenantObject(plan: RecoveryPlan, tenantId: string, namespaceUid: string, location: string) {
  return newTenant({ name: plan.namespace, uid: namespaceUid }, location, tenantId);
}

export function policyObject({ namespace }: RecoveryPlan, { name, spec }: RecoveryPlan['policies'][number], location: string) {
  return { apiVersion: API_VERSION, kind: 'BackupPolicy', metadata: { name, namespace }, spec: { ...spec, location } };
}

export function backupObject({ namespace }: RecoveryPlan, { name, spec, stored }: RecoveryPlan['backups'][number]) {
  const policy = typeof spec['policy'] === 'string' ? spec['policy'] : '';
  return {
    apiVersion: API_VERSION,
    kind: 'Backup',
    metadata: { name, namespace, labels: { [LABEL_POLICY]: labelValue(policy) }, annotations: { [ANNOTATION_RECOVERED]: JSON.stringify(stored) } },
    spec,
  };
}
