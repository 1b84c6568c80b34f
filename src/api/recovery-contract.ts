/**
 * What the operator leaves of a tenant in the bucket, so that an empty cluster can make it anew: `tenant/<rev>.json` (docs/layout.md), and what a Backup
 * that was made anew carries. Neither holds a secret.
 */
import * as z from 'zod';
import { ObjectName, SnapshotId, TenantId } from './fields.ts';

/** Records of version 1 had no seal. */
export const TENANT_RECORD_VERSION = 2;

/** A stored backup, as far as it cannot be read from the repository without its key. */
export const RecoveredBackup = z.object({
  snapshotId: SnapshotId,
  keyGeneration: z.int().min(1),
  /** RFC 3339 */
  completedAt: z.string(),
  complete: z.boolean(),
  volumes: z.array(z.string()),
  streams: z.array(z.string()).optional(),
  copyMethod: z.string().optional(),
  files: z.int().min(0).optional(),
  bytesProcessed: z.int().min(0).optional(),
  bytesAdded: z.int().min(0).optional(),
  size: z.string().optional(),
  /** Only its manifest tells of it, which whoever can write into the bucket could have put there: no sealed record does. */
  unrecorded: z.boolean().optional(),
});
export type RecoveredBackup = z.infer<typeof RecoveredBackup>;

export const TenantRecord = z.object({
  version: z.union([z.literal(1), z.literal(TENANT_RECORD_VERSION)]),
  rev: z.int().min(1),
  tenant: TenantId,
  namespace: ObjectName,
  /** RFC 3339, when the tenant was made: of two that had a namespace of one name the later one has it. Earlier records say nothing of it. */
  since: z.string().optional(),
  keyGeneration: z.int().min(1),
  /** Specs as they were; the API server judges them again. */
  policies: z.array(z.object({ name: ObjectName, spec: z.record(z.string(), z.unknown()) })),
  backups: z.array(z.object({ name: ObjectName, spec: z.record(z.string(), z.unknown()), stored: RecoveredBackup })),
});
export type TenantRecord = z.infer<typeof TenantRecord>;

/** Key of a revision, relative to the tenant's prefix. */
export function tenantRecordKey(rev: number): string {
  return `tenant/${rev}.json`;
}
