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

export interface FoundTenant {
  readonly tenantId: string;
  /** The newest that can be read. */
  readonly record: TenantRecord | undefined;
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

export function planRecovery({ tenantId, record, snapshots }: FoundTenant): RecoveryDecision {
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
      problems: missing.map(({ name }) => `Backup ${record.namespace}/${name} is not in this bucket: it was made after the last copy, or was collected`),
    },
  };
}

/** Newer than the record, or of a policy that is gone: it is the customer's all the same. */
function unnamedBackup({ snapshotId, keyGeneration, createdAt, complete }: FoundSnapshot, policy: TenantRecord['policies'][number], taken: ReadonlySet<string>): RecoveryPlan['backups'][number] {
  const short = `recovered-${snapshotId.slice(0, 12)}`;
  const volumes = volumesOf(policy.spec);
  return {
    name: taken.has(short) ? `recovered-${snapshotId}` : short,
    spec: { policy: policy.name, note: 'Made anew from the bucket; its name and policy are not recorded there.' },
    stored: { snapshotId, keyGeneration, completedAt: createdAt, complete, volumes },
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
