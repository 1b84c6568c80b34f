/** Names that users, other programs and later versions rely on. */
export const GROUP = 'backup.dupp.de';
export const VERSION = 'v1alpha1';
export const API_VERSION = `${GROUP}/${VERSION}`;
/** `kubectl get tenant-backup` lists every kind of ours. */
export const CATEGORY = 'tenant-backup';

/** Held by a Backup until its snapshot is forgotten, by a Restore until the workload runs as before. */
export const FINALIZER = `${GROUP}/cleanup`;

export const LABEL_MANAGED_BY = 'app.kubernetes.io/managed-by';
export const LABEL_COMPONENT = 'app.kubernetes.io/component';
export const MANAGED_BY = 'tenant-backup';
export const LABEL_BACKUP = `${GROUP}/backup`;
export const LABEL_BACKUP_UID = `${GROUP}/backup-uid`;
export const LABEL_RESTORE = `${GROUP}/restore`;
export const LABEL_RESTORE_UID = `${GROUP}/restore-uid`;
export const LABEL_POLICY = `${GROUP}/policy`;
export const LABEL_TENANT = `${GROUP}/tenant`;
export const LABEL_TRIGGER = `${GROUP}/trigger`;
/** On what is made outside of a customer's namespace: the namespace that it is for. */
export const LABEL_NAMESPACE = `${GROUP}/namespace`;

/** Begins the label that a customer's claims have while they are snapshotted as a group; the rest tells the Backup. */
export const LABEL_GROUP_PREFIX = `${GROUP}/group-`;

/** `true` on a StorageClass: its driver clones volumes. No API of Kubernetes tells that. */
export const ANNOTATION_CLONES = `${GROUP}/clone`;

/** On an automatic Backup: the time that the schedule named for it, RFC 3339. */
export const ANNOTATION_SCHEDULED_AT = `${GROUP}/scheduled-at`;

/** `true` on a Backup lets its deletion go on that the breaker stopped. */
export const ANNOTATION_CONFIRM_DELETION = `${GROUP}/confirm-deletion`;

/** On an automatic Backup that gave way to newer ones: RFC 3339, when. Its deletion is no mass deletion, however many wait for theirs. */
export const ANNOTATION_ROTATED_AT = `${GROUP}/rotated-at`;

/** `true` on a Backup that is empty or suddenly small: a person says that this is as it should be. */
export const ANNOTATION_ACKNOWLEDGED = `${GROUP}/acknowledged`;

/** On a BackupLocation: any new value begins a replication now, whatever the schedule says. */
export const ANNOTATION_REPLICATE = `${GROUP}/replicate`;

/**
 * On a BackupLocation: ids of tenants, joined by commas, of which a person has looked into what the first data center lost, and says that it is as it
 * should be.
 */
export const ANNOTATION_RELEASED = `${GROUP}/released`;

/** On a Backup that was made anew from a bucket: what is known of it, JSON (`RecoveredBackup`). Only the operator sets it. */
export const ANNOTATION_RECOVERED = `${GROUP}/recovered`;

/** On a BackupTenant: `<rev> <SHA-256>` of what the bucket has under `tenant/<rev>.json`. */
export const ANNOTATION_RECORD = `${GROUP}/record`;

/** Every mover pod's name starts so; admission denies exec, attach and ephemeral containers on it. */
export const MOVER_NAME_PREFIX = 'tbmover-';
