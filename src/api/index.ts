/**
 * The custom resources and the mover's contract: zod schemas, the types inferred from them, and names that others rely on.
 * No logic, no client. `make generate` writes the CRDs and the reference from what is exported here.
 */
import { backup } from './backup.ts';
import { backupLocation } from './backup-location.ts';
import { backupPolicy } from './backup-policy.ts';
import { backupTenant } from './backup-tenant.ts';
import { restore } from './restore.ts';

export * from './backup.ts';
export * from './backup-location.ts';
export * from './backup-policy.ts';
export * from './backup-tenant.ts';
export * from './condition.ts';
export * from './fields.ts';
export * from './hooks.ts';
export * from './kind.ts';
export * from './location-replica.ts';
export * from './location-replication-status.ts';
export * from './location-storage.ts';
export * from './meta.ts';
export * from './mover-contract.ts';
export * from './audit-actions.ts';
export * from './recovery-contract.ts';
export * from './replication-contract.ts';
export * from './restore.ts';

/** Every kind, in the order in which people meet them. */
export const kinds = [backupLocation, backupTenant, backupPolicy, backup, restore] as const;
