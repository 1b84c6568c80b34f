import * as z from 'zod';
import { TransferProgress } from './backup.ts';
import { Conditions } from './condition.ts';
import { ObjectName } from './fields.ts';
import { defineKind, immutable, type KubernetesResource } from './kind.ts';

export const RESTORE_PHASES = [
  'Pending',
  'Queued',
  'ScalingDown',
  'SafetyBackup',
  'Restoring',
  'ScalingUp',
  'Succeeded',
  'Failed',
  'Cancelled',
] as const;
export type RestorePhase = (typeof RESTORE_PHASES)[number];

const globs = z.array(z.string().min(1).max(4096)).max(256);

export const RestoreSpec = z.object({
  source: immutable(
    z.object({ backup: ObjectName.meta({ description: 'Name of a stored Backup in the same namespace.' }) }).meta({ description: 'What is restored.' }),
    'spec.source',
  ),
  target: immutable(
    z
      .object({
        type: z.enum(['InPlace']).default('InPlace').meta({
          description: '`InPlace`: into the volumes that the backup was made of, while the workload is scaled down.',
        }),
      })
      .prefault({})
      .meta({ description: 'Where it goes.' }),
    'spec.target',
  ),
  includes: globs.optional().meta({ description: 'Restore only what matches one of these patterns; paths start with `/volumes/<claim>`.' }),
  excludes: globs.optional().meta({ description: 'Leave out what matches one of these patterns.' }),
  extraFiles: z.enum(['Keep', 'Delete']).default('Delete').meta({
    description: 'What happens to files that the backup does not have. With `includes` or `excludes`, files that the patterns leave out are never touched.',
  }),
  safetyBackup: z.enum(['Required', 'Preferred', 'Skip']).default('Required').meta({
    description: 'A backup of the state before the restore. `Required`: without it nothing is restored. `Preferred`: go on when it fails. `Skip`: take none.',
  }),
  requestedBy: z.string().max(256).optional().meta({ description: 'Who asked for it, as a pseudonym or a subject.' }),
  cancel: z.boolean().default(false).meta({ description: 'Set it to true to stop a restore that has not ended. A volume that is half restored is named in the status.' }),
});
export type RestoreSpec = z.infer<typeof RestoreSpec>;

export const RestoreStatus = z.object({
  observedGeneration: z.int().min(0).optional().meta({ description: 'The generation that this status was decided for.' }),
  phase: z.enum(RESTORE_PHASES).optional().meta({ description: 'For people: how far the restore is. Programs read the conditions.' }),
  tenant: z.string().optional().meta({ description: 'Name of the BackupTenant.' }),
  snapshotId: z.string().optional().meta({ description: 'The snapshot that is restored.' }),
  volumes: z.array(z.string()).optional().meta({ description: 'The claims that are written.' }),
  workload: z
    .object({
      apiVersion: z.string().meta({ description: 'Its API version.' }),
      kind: z.string().meta({ description: 'Its kind.' }),
      name: z.string().meta({ description: 'Its name.' }),
      uid: z.string().meta({ description: 'Its UID; another workload of the same name is not touched.' }),
      replicasBefore: z.int().min(0).meta({ description: 'Scale before the restore; put back when it ends, whatever happened in between.' }),
      scaledDown: z.boolean().meta({ description: 'Whether the operator scaled it down and has to put the scale back.' }),
    })
    .optional()
    .meta({ description: 'The workload that was scaled down.' }),
  safetyBackup: z.string().optional().meta({ description: 'Name of the Backup of the state before.' }),
  attempt: z.int().min(0).optional().meta({ description: 'Number of the current or last attempt, from 1.' }),
  jobName: z.string().optional().meta({ description: "The current attempt's Job." }),
  startedAt: z.string().optional().meta({ format: 'date-time', description: 'When it began.' }),
  nextAttemptAt: z.string().optional().meta({ format: 'date-time', description: 'When the next attempt begins.' }),
  completedAt: z.string().optional().meta({ format: 'date-time', description: 'When it ended.' }),
  duration: z.string().optional().meta({ description: 'How long it took, for people.' }),
  progress: TransferProgress.optional(),
  filesRestored: z.int().min(0).optional().meta({ description: 'Files that the volumes now have from the backup.' }),
  filesDeleted: z.int().min(0).optional().meta({ description: 'Files that the backup did not have and that were removed.' }),
  bytesWritten: z.int().min(0).optional().meta({ description: 'Bytes written; what was identical already is not written again.' }),
  warnings: z.array(z.string()).max(20).optional().meta({ description: 'The first paths that could not be restored as they were.' }),
  conditions: Conditions.optional(),
});
export type RestoreStatus = z.infer<typeof RestoreStatus>;
export type Restore = KubernetesResource<RestoreSpec, RestoreStatus>;

export const restore = defineKind({
  kind: 'Restore',
  plural: 'restores',
  singular: 'restore',
  shortNames: ['brs'],
  scope: 'Namespaced',
  description: "Brings a backup back into the customer's volumes.",
  spec: RestoreSpec,
  status: RestoreStatus,
  rules: [],
  columns: [
    { name: 'Phase', type: 'string', jsonPath: '.status.phase', description: 'How far it is.' },
    { name: 'Backup', type: 'string', jsonPath: '.spec.source.backup', description: 'What is restored.' },
    { name: 'Safety Backup', type: 'string', jsonPath: '.status.safetyBackup', description: 'The state before.' },
    { name: 'Files', type: 'integer', jsonPath: '.status.filesRestored', description: 'Files restored.' },
    { name: 'Duration', type: 'string', jsonPath: '.status.duration', description: 'How long it took.' },
    { name: 'Reason', type: 'string', jsonPath: '.status.conditions[?(@.type=="Succeeded")].reason', description: 'Why it is as it is.' },
    { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp', description: 'Since when it exists.' },
    { name: 'Message', type: 'string', jsonPath: '.status.conditions[?(@.type=="Succeeded")].message', description: 'Why, in words.', priority: 1 },
  ],
});
