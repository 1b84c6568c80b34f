import * as z from 'zod';
import { TransferProgress } from './backup.ts';
import { Conditions } from './condition.ts';
import { ObjectName, StorageSize, Timestamp } from './fields.ts';
import { defineKind, immutable, listMap, withRules, type KubernetesResource } from './kind.ts';

export const RESTORE_PHASES = [
  'Pending',
  'Queued',
  'ScalingDown',
  'SafetyBackup',
  'Restoring',
  'ScalingUp',
  'CleaningUp',
  'Succeeded',
  'Failed',
  'Cancelled',
] as const;
export type RestorePhase = (typeof RESTORE_PHASES)[number];

const globs = z.array(z.string().min(1).max(4096)).max(256);

const Source = withRules(
  z.object({
    backup: ObjectName.optional().meta({ description: 'Name of a stored Backup in the same namespace.' }),
    policy: ObjectName.optional().meta({ description: 'Name of a BackupPolicy in the same namespace: one of its good backups is chosen, by `newest` or `asOf`, once.' }),
    newest: z.boolean().optional().meta({ description: 'With `policy`: its newest good backup. Safety backups are not chosen: they hold what somebody wanted to be rid of.' }),
    from: z.enum(['Primary', 'Replica']).optional().meta({
      description:
        'Which data center it is read from; left out, the first. `Replica`: the second one, with the first off. It needs a principal in `spec.replica.kms` of the BackupLocation that may decrypt. In an installation that recovers (`spec.recover`) leave it out: there the copy is what the location names.',
    }),
    asOf: Timestamp.optional().meta({
      description:
        'With `policy`: its newest good backup that was stored at or before this time, e.g. `2030-01-31T12:00:00Z`. Nothing in it is younger than that.',
    }),
  }),
  { rule: 'has(self.backup) != has(self.policy)', message: 'give either a backup or a policy' },
  {
    rule: 'has(self.policy) ? has(self.asOf) != (has(self.newest) && self.newest) : !has(self.asOf) && !has(self.newest)',
    message: 'newest: true or asOf, exactly one of them, goes with policy and not with backup',
  },
);

/** `{claim}` and `{restore}` stand for names; the rest is what names of objects are made of. */
const NameTemplate = z
  .string()
  .min(1)
  .max(200)
  .regex(/^([a-z0-9.-]|\{claim\}|\{restore\})+$/);

const NewVolume = z.object({
  name: NameTemplate.default('{claim}-{restore}').meta({
    description:
      'Name of each new PersistentVolumeClaim. `{claim}` stands for the name of the claim in the backup, `{restore}` for that of the Restore. A claim of that name must not exist.',
  }),
  storageClassName: ObjectName.optional().meta({
    description: "Storage class of the new volumes. Leave out for that of the claim in the backup, or, where that is gone or was bound by hand, the cluster's default.",
  }),
  size: StorageSize.optional().meta({
    description: "Size of each new volume; refused where the backup's data do not fit. Leave out for the size of the claim in the backup, or, where that is gone, the data and a quarter more.",
  }),
  accessModes: z
    .array(z.enum(['ReadWriteOnce', 'ReadWriteMany', 'ReadWriteOncePod']))
    .min(1)
    .max(3)
    .optional()
    .meta({ description: 'How the new volumes can be mounted. Leave out for the modes of the claim in the backup, else `ReadWriteOnce`.', 'x-kubernetes-list-type': 'set' }),
});
export type NewVolume = z.infer<typeof NewVolume>;

export const RestoreSpec = withRules(
  z.object({
    source: immutable(Source.meta({ description: 'What is restored.' }), 'spec.source'),
    target: immutable(
      withRules(
        z
          .object({
            type: z.enum(['InPlace', 'NewVolume']).default('InPlace').meta({
              description:
                '`InPlace`: into the volumes that the backup was made of, while the workload is scaled down. `NewVolume`: into new volumes beside them, while the workload runs on; they stay when the Restore is deleted, and go when it fails.',
            }),
            newVolume: NewVolume.optional().meta({ description: 'With `NewVolume`: what the new volumes are like.' }),
          })
          .prefault({})
          .meta({ description: 'Where it goes.' }),
        { rule: "self.type == 'NewVolume' || !has(self.newVolume)", message: 'newVolume goes with type: NewVolume' },
      ),
      'spec.target',
    ),
    volumes: immutable(
      z
        .array(ObjectName)
        .min(1)
        .max(32)
        .meta({ description: 'Names of the claims to bring back, as the backup has them. Leave out for all of them.', 'x-kubernetes-list-type': 'set' }),
      'spec.volumes',
    ).optional(),
    includes: globs.optional().meta({ description: 'Restore only what matches one of these patterns; paths start with `/volumes/<claim>`.' }),
    excludes: globs.optional().meta({ description: 'Leave out what matches one of these patterns.' }),
    extraFiles: z.enum(['Keep', 'Delete']).default('Delete').meta({
      description: 'What happens to files that the backup does not have. With `includes` or `excludes`, files that the patterns leave out are never touched. Neither is what the backup was told to leave out, nor what lies in a directory that it could not read whole.',
    }),
    safetyBackup: z.enum(['Required', 'Preferred', 'Skip']).default('Required').meta({
      description:
        'A backup of the state before a restore in place. `Required`: without it nothing is restored. `Preferred`: go on when it fails. `Skip`: take none. A restore into new volumes needs none and takes none. While a restore waits because none can be stored, this can be changed.',
    }),
    requestedBy: z.string().max(256).optional().meta({ description: 'Who asked for it, as a pseudonym or a subject.' }),
    cancel: z.boolean().default(false).meta({ description: 'Set it to true to stop a restore that has not ended. A volume that is half restored is named in the status.' }),
  }),
  { rule: 'has(self.volumes) == has(oldSelf.volumes)', message: 'spec.volumes cannot be changed after creation' },
);
export type RestoreSpec = z.infer<typeof RestoreSpec>;

export const RestoreStatus = z.object({
  observedGeneration: z.int().min(0).optional().meta({ description: 'The generation that this status was decided for.' }),
  phase: z.enum(RESTORE_PHASES).optional().meta({ description: 'For people: how far the restore is. Programs read the conditions.' }),
  tenant: z.string().optional().meta({ description: 'Name of the BackupTenant.' }),
  backup: z.string().optional().meta({ description: 'Name of the Backup that is restored: named by the spec, or chosen once by what the spec asks for.' }),
  snapshotId: z.string().optional().meta({ description: 'The snapshot that is restored.' }),
  volumes: z.array(z.string()).optional().meta({ description: 'The claims that are written.' }),
  newVolumes: listMap(
    z
      .array(
        z.object({
          claim: z.string().meta({ description: 'Name of the claim in the backup.' }),
          name: z.string().meta({ description: 'Name of the new claim that it is restored into.' }),
          size: z.string().meta({ description: 'Size that is asked for.' }),
          storageClassName: z.string().optional().meta({ description: "Storage class that is asked for; absent for the cluster's default." }),
          accessModes: z.array(z.string()).meta({ description: 'How it can be mounted.' }),
        }),
      )
      .max(32)
      .meta({ description: 'With `NewVolume`: the new claims, as they were decided before the first was made.' }),
    'name',
  ).optional(),
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
  waitingSince: z.string().optional().meta({ format: 'date-time', description: 'Since when it waits for what the condition names, though its turn has come; given up after half an hour.' }),
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
  description: "Brings a backup back into the customer's volumes, or into new ones beside them.",
  spec: RestoreSpec,
  status: RestoreStatus,
  rules: [],
  columns: [
    { name: 'Phase', type: 'string', jsonPath: '.status.phase', description: 'How far it is.' },
    { name: 'Backup', type: 'string', jsonPath: '.status.backup', description: 'What is restored.' },
    { name: 'Safety Backup', type: 'string', jsonPath: '.status.safetyBackup', description: 'The state before.' },
    { name: 'Percent', type: 'integer', jsonPath: '.status.progress.percent', description: 'How far the mover is.', priority: 1 },
    { name: 'Files', type: 'integer', jsonPath: '.status.filesRestored', description: 'Files restored.' },
    { name: 'Duration', type: 'string', jsonPath: '.status.duration', description: 'How long it took.' },
    { name: 'Reason', type: 'string', jsonPath: '.status.conditions[?(@.type=="Succeeded")].reason', description: 'Why it is as it is.' },
    { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp', description: 'Since when it exists.' },
    { name: 'Message', type: 'string', jsonPath: '.status.conditions[?(@.type=="Succeeded")].message', description: 'Why, in words.', priority: 1 },
  ],
});
