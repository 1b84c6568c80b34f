import * as z from 'zod';
import { Conditions } from './condition.ts';
import { Duration, ObjectName, SnapshotId } from './fields.ts';
import { HookRun } from './hooks.ts';
import { defineKind, immutable, listMap, type KubernetesResource } from './kind.ts';

export const BACKUP_PHASES = ['Pending', 'Queued', 'Snapshotting', 'Transferring', 'Stored', 'Rejected', 'Failed', 'Cancelled', 'Deleting'] as const;
export type BackupPhase = (typeof BACKUP_PHASES)[number];

export const BackupSpec = z.object({
  policy: immutable(ObjectName.meta({ description: 'Name of the BackupPolicy in the same namespace.' }), 'spec.policy'),
  trigger: immutable(
    z.enum(['Manual', 'Automatic', 'Safety']).default('Manual').meta({
      description:
        '`Manual`: a person asked. `Automatic`: made by the operator on the policy\'s schedule; it holds no slot and rotates. `Safety`: taken by the operator before a restore in place; it holds no slot and expires.',
    }),
    'spec.trigger',
  ),
  requestedBy: z.string().max(256).optional().meta({ description: 'Who asked for it, as a pseudonym or a subject.' }),
  note: z.string().max(1024).optional().meta({ description: 'A note for people.' }),
  hold: z.boolean().default(false).meta({ description: 'Keeps the backup from every deletion while it is true.' }),
  cancel: z.boolean().default(false).meta({ description: 'Set it to true to stop a backup that is not stored yet.' }),
  ttl: Duration.optional().meta({ description: 'How long the backup is kept after it was stored. Leave out to keep it until it is deleted.' }),
});
export type BackupSpec = z.infer<typeof BackupSpec>;

/** How far a mover is. Best effort: a line may be missing. */
export const TransferProgress = z
  .object({
    percent: z.int().min(0).max(100).optional().meta({ description: 'Share of the bytes that are done.' }),
    filesDone: z.int().min(0).meta({ description: 'Files done.' }),
    filesTotal: z.int().min(0).optional().meta({ description: 'Files to do, once counted.' }),
    bytesDone: z.int().min(0).meta({ description: 'Bytes done.' }),
    bytesTotal: z.int().min(0).optional().meta({ description: 'Bytes to do, once counted.' }),
    bytesAdded: z.int().min(0).meta({ description: 'Bytes that were new: sent after compression (backup) or written (restore).' }),
    etaSeconds: z.int().min(0).optional().meta({ description: 'Estimated seconds to the end.' }),
    updatedAt: z.string().meta({ format: 'date-time', description: 'When the mover said so.' }),
  })
  .meta({ description: 'How far the mover is.' });
export type TransferProgress = z.infer<typeof TransferProgress>;

/** How one volume is read. */
export const VolumeCopy = z.object({
  claim: z.string().meta({ description: 'The PersistentVolumeClaim.' }),
  method: z.enum(['Snapshot', 'Clone', 'Direct']).meta({ description: 'How it is read.' }),
  className: z.string().optional().meta({ description: 'The VolumeSnapshotClass of a snapshot, the StorageClass of a clone.' }),
  because: z.string().meta({ description: 'Why so.' }),
});
export type VolumeCopy = z.infer<typeof VolumeCopy>;

/** Volumes of one backup, where the policy names none and so means all. */
export const MOST_VOLUMES = 256;

export const BackupStatus = z.object({
  observedGeneration: z.int().min(0).optional().meta({ description: 'The generation that this status was decided for.' }),
  phase: z.enum(BACKUP_PHASES).optional().meta({ description: 'For people: how far the backup is. Programs read the conditions.' }),
  tenant: z.string().optional().meta({ description: 'Name of the BackupTenant.' }),
  keyGeneration: z.int().min(1).optional().meta({ description: 'Generation of the secret key that it is encrypted with.' }),
  snapshotId: SnapshotId.optional().meta({ description: "The snapshot's id in the repository." }),
  copyMethod: z.string().optional().meta({ description: 'How the volumes were read: `Snapshot`, `Clone`, `Direct`, or `Mixed`.' }),
  copies: listMap(z.array(VolumeCopy).max(MOST_VOLUMES).meta({ description: 'How each volume is read.' }), 'claim').optional(),
  groupSnapshotClass: z.string().optional().meta({ description: 'The VolumeGroupSnapshotClass, where all volumes are snapshotted at one moment.' }),
  cutsAbandoned: z.int().min(1).optional().meta({ description: 'How often the workload had to be let go before every volume was cut, and all were cut anew.' }),
  copiedAt: z.string().optional().meta({ format: 'date-time', description: 'When every snapshot or clone was cut; what is written later is not in the backup.' }),
  moverNamespace: z.string().optional().meta({ description: "Where the mover runs, when it is not the customer's namespace." }),
  volumes: z.array(z.string()).optional().meta({ description: 'The claims that the backup holds.' }),
  streams: z.array(z.string()).optional().meta({ description: 'The streams that the backup holds.' }),
  hooks: z.array(HookRun).max(16).optional().meta({ description: "The policy's hooks in the last attempt, in their order." }),
  node: z.string().optional().meta({ description: 'The node that the mover runs or ran on.' }),
  attempt: z.int().min(0).optional().meta({ description: 'Number of the current or last attempt, from 1.' }),
  jobName: z.string().optional().meta({ description: "The current attempt's Job." }),
  queuedAt: z.string().optional().meta({ format: 'date-time', description: 'When it was queued.' }),
  hinderedSince: z.string().optional().meta({ format: 'date-time', description: 'Since when something is missing that it needs while it is queued; half an hour later it is given up.' }),
  startedAt: z.string().optional().meta({ format: 'date-time', description: 'When the first attempt began.' }),
  nextAttemptAt: z.string().optional().meta({ format: 'date-time', description: 'When the next attempt begins.' }),
  completedAt: z.string().optional().meta({ format: 'date-time', description: 'When it was stored or ended otherwise.' }),
  expiresAt: z.string().optional().meta({ format: 'date-time', description: 'When it goes by itself.' }),
  duration: z.string().optional().meta({ description: 'How long it took, for people.' }),
  progress: TransferProgress.optional(),
  files: z.int().min(0).optional().meta({ description: 'Files in the backup.' }),
  bytesProcessed: z.int().min(0).optional().meta({ description: 'Size of the files, bytes.' }),
  bytesAdded: z.int().min(0).optional().meta({ description: 'Bytes that were new, after compression.' }),
  size: z.string().optional().meta({ description: 'Size of the files, for people.' }),
  unreadable: z.array(z.string()).max(20).optional().meta({ description: 'The first paths that could not be read.' }),
  conditions: Conditions.optional(),
});
export type BackupStatus = z.infer<typeof BackupStatus>;
export type Backup = KubernetesResource<BackupSpec, BackupStatus>;

export const backup = defineKind({
  kind: 'Backup',
  plural: 'backups',
  singular: 'backup',
  shortNames: ['bk'],
  scope: 'Namespaced',
  description: "One backup of a customer's volumes.",
  spec: BackupSpec,
  status: BackupStatus,
  rules: [],
  columns: [
    { name: 'Phase', type: 'string', jsonPath: '.status.phase', description: 'How far it is.' },
    { name: 'Complete', type: 'string', jsonPath: '.status.conditions[?(@.type=="Complete")].status', description: 'Whether every file could be read.' },
    { name: 'Policy', type: 'string', jsonPath: '.spec.policy', description: 'Its policy.' },
    { name: 'Trigger', type: 'string', jsonPath: '.spec.trigger', description: 'Why it was made.' },
    { name: 'Size', type: 'string', jsonPath: '.status.size', description: 'Size of the files.' },
    { name: 'Duration', type: 'string', jsonPath: '.status.duration', description: 'How long it took.' },
    { name: 'Reason', type: 'string', jsonPath: '.status.conditions[?(@.type=="Stored")].reason', description: 'Why it is as it is.' },
    { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp', description: 'Since when it exists.' },
    { name: 'Copy', type: 'string', jsonPath: '.status.copyMethod', description: 'How the volumes were read.', priority: 1 },
    { name: 'Replicated', type: 'string', jsonPath: '.status.conditions[?(@.type=="Replicated")].status', description: 'Whether the second data center has it whole.', priority: 1 },
    { name: 'Percent', type: 'integer', jsonPath: '.status.progress.percent', description: 'How far the mover is.', priority: 1 },
    { name: 'Snapshot', type: 'string', jsonPath: '.status.snapshotId', description: 'Id in the repository.', priority: 1 },
    { name: 'Message', type: 'string', jsonPath: '.status.conditions[?(@.type=="Stored")].message', description: 'Why, in words.', priority: 1 },
  ],
});
