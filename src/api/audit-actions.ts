/** Every action of a tenant's audit trail. What is planned is recorded before it is done; how it ended, after. */
export const AUDIT_ACTIONS = [
  'backup.started',
  'backup.stored',
  'backup.failed',
  'backup.deleted',
  'restore.started',
  'restore.succeeded',
  'restore.failed',
  'forget.started',
  'verify.started',
  'key.rotated',
  'erasure.ordered',
  'erasure.keys-destroyed',
  'erasure.completed',
] as const;
export type AuditAction = (typeof AUDIT_ACTIONS)[number];
