/** What of a Backup's and a Restore's life is worth an event of the tenant's audit trail. */
import { ANNOTATION_RECOVERED, type AuditAction, type Backup, type BackupStatus, type BackupTenant, type MoverOrders, type Restore, type RestoreStatus } from '../api/index.ts';

/** One event, before it has its place in the trail. */
export interface AuditRecord {
  /** The same for the same step taken again. */
  readonly id: string;
  readonly action: AuditAction;
  /** Who asked, as the resource says; kept as a pseudonym. The operator itself where absent. */
  readonly requestedBy?: string | undefined;
  /** `Kind/namespace/name` */
  readonly object: string;
  readonly details: Readonly<Record<string, string | number | boolean>>;
}

interface Named {
  readonly metadata: { readonly name: string; readonly namespace?: string | undefined; readonly uid: string };
}

export function objectOf(kind: string, { metadata }: Named): string {
  return [kind, metadata.namespace, metadata.name].filter((part) => part !== undefined).join('/');
}

/** A mover is about to be made: what it may write or remove is told before. */
export function moverStarted(orders: MoverOrders, owner: string, requestedBy: string | undefined): AuditRecord {
  const { task, attempt, tenant } = orders;
  return {
    id: `${attempt.name}/started`,
    action: `${task}.started`,
    requestedBy,
    object: owner,
    details: { job: attempt.name, attempt: attempt.number, generation: tenant.generation, ...detailsOf(orders) },
  };
}

/** A list of names fits whatever is in it. */
const MOST_CHARACTERS = 2000;

function detailsOf(orders: MoverOrders): AuditRecord['details'] {
  switch (orders.task) {
    case 'backup':
      return { policy: orders.policy, volumes: joined(orders.volumes.map(({ claim }) => claim)) };
    case 'restore':
      return { snapshot: orders.snapshotId, volumes: joined(orders.volumes.map(({ claim }) => claim)), deleteExtra: orders.deleteExtra };
    case 'forget':
      return { snapshots: joined(orders.snapshots), backups: joined(orders.uids) };
    case 'verify':
      return { part: `${orders.readData.part}/${orders.readData.of}` };
  }
}

function joined(names: readonly string[]): string {
  const all = names.join(' ');
  return all.length <= MOST_CHARACTERS ? all : `${all.slice(0, MOST_CHARACTERS)} … ${names.length} in all`;
}

/** `undefined` where this change of status is not the end of the backup. */
export function backupEnded(backup: Backup, status: BackupStatus): AuditRecord | undefined {
  const { phase } = status;
  if (phase === backup.status?.phase || (phase !== 'Stored' && phase !== 'Failed')) return undefined;
  // Made anew from a bucket: the trail there has it already.
  if (backup.status?.phase === undefined && backup.metadata.annotations?.[ANNOTATION_RECOVERED] !== undefined) return undefined;
  const common = { requestedBy: backup.spec.requestedBy, object: objectOf('Backup', backup) };
  if (phase === 'Stored') {
    const { snapshotId = '', keyGeneration = 1, files = 0, bytesProcessed = 0, bytesAdded = 0 } = status;
    const complete = status.conditions?.find(({ type }) => type === 'Complete')?.status !== 'False';
    return { ...common, id: `${backup.metadata.uid}/stored`, action: 'backup.stored', details: { snapshot: snapshotId, generation: keyGeneration, complete, files, bytesProcessed, bytesAdded } };
  }
  return { ...common, id: `${backup.metadata.uid}/failed`, action: 'backup.failed', details: { reason: reasonOf(status.conditions, 'Stored') } };
}

/** Its resource is about to go, with which nobody could ask for its data any more. */
export function backupDeleted(backup: Backup, abandoned: boolean): AuditRecord {
  const { snapshotId } = backup.status ?? {};
  return {
    id: `${backup.metadata.uid}/deleted`,
    action: 'backup.deleted',
    object: objectOf('Backup', backup),
    details: { ...(snapshotId === undefined ? {} : { snapshot: snapshotId }), abandoned },
  };
}

/** `undefined` where this change of status is not the end of the restore. */
export function restoreEnded(restore: Restore, status: RestoreStatus): AuditRecord | undefined {
  const { phase } = status;
  if (phase === restore.status?.phase || (phase !== 'Succeeded' && phase !== 'Failed')) return undefined;
  const isDone = phase === 'Succeeded';
  return {
    id: `${restore.metadata.uid}/${isDone ? 'succeeded' : 'failed'}`,
    action: isDone ? 'restore.succeeded' : 'restore.failed',
    requestedBy: restore.spec.requestedBy,
    object: objectOf('Restore', restore),
    details: isDone ? {} : { reason: reasonOf(status.conditions, 'Succeeded') },
  };
}

export function keyRotated(tenant: BackupTenant, rotation: { readonly generation: number; readonly because: string }): AuditRecord {
  return {
    id: `key/${rotation.generation}`,
    action: 'key.rotated',
    object: objectOf('BackupTenant', tenant),
    details: { generation: rotation.generation, because: rotation.because },
  };
}

function reasonOf(conditions: BackupStatus['conditions'], type: string): string {
  return conditions?.find((condition) => condition.type === type)?.reason ?? '';
}
