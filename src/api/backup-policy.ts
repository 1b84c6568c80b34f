import * as z from 'zod';
import { TransferProgress } from './backup.ts';
import { Conditions } from './condition.ts';
import { Annotations, CronSchedule, Duration, Labels, ObjectName, StorageSize, TimeZone } from './fields.ts';
import { Hooks, Stream } from './hooks.ts';
import { defineKind, immutable, listMap, type KubernetesResource } from './kind.ts';

export const BackupPolicySpec = z.object({
  location: immutable(
    ObjectName.meta({ description: 'The BackupLocation that keeps the backups. All policies of a namespace name the same one.' }),
    'spec.location',
  ),
  workload: z
    .object({
      apiVersion: z.string().min(1).max(253).default('apps/v1').meta({ description: 'API version of the workload.' }),
      kind: z.string().min(1).max(63).meta({ description: 'Kind of the workload: anything with a `scale` subresource, e.g. `StatefulSet`.' }),
      name: ObjectName.meta({ description: 'Name of the workload.' }),
    })
    .optional()
    .meta({ description: 'What uses the volumes. A restore in place scales it down and up again. Leave out where nothing has to stop.' }),
  volumes: z
    .array(ObjectName)
    .min(1)
    .max(32)
    .optional()
    .meta({ description: 'Names of the PersistentVolumeClaims to back up. Leave out for every claim of the namespace.', 'x-kubernetes-list-type': 'set' }),
  excludes: z
    .array(z.string().min(1).max(4096))
    .max(256)
    .optional()
    .meta({ description: 'Glob patterns of files to leave out, as `restic --exclude` takes them; paths start with `/volumes/<claim>`.' }),
  copyMethod: z.enum(['Auto', 'Snapshot', 'Clone', 'Direct']).default('Auto').meta({
    description:
      '`Snapshot`: read a CSI snapshot of each volume, a point in time. `Clone`: read a CSI clone of it. `Direct`: read the live volume, mounted read-only, on the node that holds it. `Auto`: for each volume the first of these that its driver is known to support: a VolumeSnapshotClass of the driver, or a StorageClass with the annotation `backup.dupp.de/clone: "true"`.',
  }),
  snapshotClassName: ObjectName.optional().meta({
    description: "The VolumeSnapshotClass for volumes of its driver. Leave out for the driver's default class, or its only one.",
  }),
  groupSnapshot: z.enum(['Auto', 'Never']).default('Auto').meta({
    description: '`Auto`: several volumes of one driver are snapshotted at one moment where it has a VolumeGroupSnapshotClass. `Never`: each by itself.',
  }),
  hooks: Hooks.optional(),
  streams: listMap(
    z.array(Stream).max(8).meta({
      description: "Commands whose standard output is stored as a file beside the volumes, such as a database's dump. They are read while the backup is transferred.",
    }),
    'name',
  ).optional(),
  quota: z
    .object({
      maxBackups: z.int().min(1).max(100).default(7).meta({ description: 'Manual backups that are kept; one more is refused until an older one is deleted.' }),
    })
    .prefault({})
    .meta({ description: 'How many manual backups are kept.' }),
  automatic: z
    .object({
      schedule: CronSchedule.meta({ description: 'When, as five fields of crontab(5) or a word such as `@daily`: `0 2 * * *` is every night at two.' }),
      timeZone: TimeZone.default('UTC').meta({
        description:
          'Time zone of the schedule, a name of the IANA database such as `Europe/Berlin`. A time that daylight saving skips is made up for right after the gap; one that comes twice runs the first time.',
      }),
      jitter: Duration.optional().meta({
        description:
          'Spreads the policies of a platform over this long after the scheduled time. Each policy has its own place in it, the same every night. Never longer than the time to the next run.',
      }),
      startingDeadline: Duration.default('12h').meta({
        description: 'How late a run may begin, e.g. after the operator was down. One that was missed is made up for, once, while it is not later than this.',
      }),
      suspend: z.boolean().default(false).meta({ description: 'Makes no automatic backups while it is true. What was missed meanwhile is not made up for.' }),
      keep: z.int().min(1).max(100).default(7).meta({
        description: 'Automatic backups that are kept; the oldest go by themselves, but never the last good one and none with `spec.hold`.',
      }),
    })
    .optional()
    .meta({ description: 'The bookable module: backups on a schedule, beside the manual ones and their quota. Leave out for manual backups only.' }),
  maxAge: Duration.optional().meta({
    description: 'The condition `Protected` holds while the newest good backup is younger than this. Left out: 26h with `automatic`, 14d without.',
  }),
  shrinkWarningPercent: z.int().min(1).max(99).default(50).meta({
    description: 'A backup that is smaller than the last good one by more than this share is stored with a warning, and is not good until a person acknowledges it.',
  }),
  confirmDeletionsFrom: z.int().min(1).max(1000).default(5).meta({
    description:
      'As many backups of the namespace as this, or more, deleted at once are kept until a person confirms each with the annotation `backup.dupp.de/confirm-deletion: "true"`. The last good backup always is.',
  }),
  verification: z
    .object({
      interval: Duration.default('7d').meta({
        description: 'How often what is stored is proven to be restorable. Each policy has its own time in it, the same every time; the first is an hour after the first backup at the earliest.',
      }),
      readDataPercent: z.int().min(1).max(100).default(10).meta({
        description: 'Share of the stored data that is read back each time, another part every time, until all of it was. Policies of a namespace share one repository and the reading of it: of two, each reads half of this. The structure of all of it is checked each time.',
      }),
      sampleFiles: z.int().min(1).max(10_000).default(50).meta({ description: 'Files of a backup that are restored into scratch space each time and compared with what was backed up.' }),
      scratchSize: StorageSize.default('1Gi').meta({ description: 'Scratch space of the mover on its node. Files that are larger than four fifths of it are not tried.' }),
      suspend: z.boolean().default(false).meta({ description: 'Verifies nothing while it is true.' }),
    })
    .prefault({})
    .meta({ description: 'Backups are proven restorable on a schedule, not assumed.' }),
  keyRotation: z
    .object({
      maxAge: Duration.optional().meta({
        description:
          "The tenant's secret key gives way to a new one at this age. The next backup is a full one. Of several policies of a namespace the shortest counts. Left out: only on request, for the customer's released key should open tomorrow's download, too.",
      }),
    })
    .optional()
    .meta({ description: "When the tenant's secret key is replaced. What was stored before stays readable with its own key." }),
  history: z
    .object({
      failedBackups: z.int().min(0).max(1000).default(5).meta({ description: 'Failed, rejected and cancelled backups whose resources are kept, to see why.' }),
      restores: z.int().min(0).max(1000).default(10).meta({ description: 'Ended restores of backups of this policy whose resources are kept.' }),
    })
    .prefault({})
    .meta({ description: 'How many resources of what has ended are kept; older ones are removed an hour after their end at the earliest.' }),
  mover: z
    .object({
      labels: Labels.optional().meta({ description: "Labels for the movers' Jobs and pods, e.g. for a queueing system." }),
      annotations: Annotations.optional().meta({ description: "Annotations for the movers' Jobs and pods." }),
    })
    .prefault({})
    .meta({ description: 'What movers of this policy carry.' }),
});
export type BackupPolicySpec = z.infer<typeof BackupPolicySpec>;

export const QuotaSlot = z.object({
  uid: z.string().min(1).max(64).meta({ description: 'UID of the Backup that holds the slot.' }),
  name: ObjectName.meta({ description: 'Name of that Backup.' }),
});

/** Entries of either list of a quota. */
export const MOST_SLOTS = 1000;

const VerificationStatus = z
  .object({
    phase: z.enum(['Queued', 'Running', 'Completed', 'Failed']).meta({ description: 'For people: how far the current or last verification is. Programs read the condition `Verified`.' }),
    scheduledAt: z.string().meta({ format: 'date-time', description: 'The time that it was due.' }),
    run: z.int().min(0).meta({ description: 'Counts the verifications that found everything sound; says which part of the data and which backup is next.' }),
    queuedAt: z.string().optional().meta({ format: 'date-time', description: 'When it was queued.' }),
    startedAt: z.string().optional().meta({ format: 'date-time', description: 'When its mover was admitted.' }),
    attempt: z.int().min(1).meta({ description: 'Number of the current or last attempt, from 1.' }),
    jobName: z.string().optional().meta({ description: "The current attempt's Job." }),
    nextAttemptAt: z.string().optional().meta({ format: 'date-time', description: 'When the next attempt begins.' }),
    message: z.string().optional().meta({ description: 'How it stands, in words.' }),
    progress: TransferProgress.optional(),
    completedAt: z.string().optional().meta({ format: 'date-time', description: 'When the last one ended.' }),
    duration: z.string().optional().meta({ description: 'How long the last one took, for people.' }),
    snapshots: z.int().min(0).optional().meta({ description: 'Snapshots of the tenant whose structure the last one checked.' }),
    packs: z.int().min(0).optional().meta({ description: 'Packs that are there, all of which were looked at.' }),
    packsRead: z.int().min(0).optional().meta({ description: 'Packs that were read whole.' }),
    bytesRead: z.int().min(0).optional().meta({ description: 'Bytes of those.' }),
    part: z.string().optional().meta({ description: 'Which part of the data that was, e.g. `3/10`.' }),
    sampledBackup: z.string().optional().meta({ description: 'The Backup of which files were restored for a trial.' }),
    filesCompared: z.int().min(0).optional().meta({ description: 'Files that were restored and compared.' }),
    bytesCompared: z.int().min(0).optional().meta({ description: 'Bytes of those.' }),
    filesTooLarge: z.int().min(0).optional().meta({ description: 'Files that the scratch space has no room for.' }),
    problems: z.int().min(0).optional().meta({ description: 'What was found damaged.' }),
    findings: z.array(z.string()).max(20).optional().meta({ description: 'The first of what was found damaged, in words.' }),
    damagedBackups: z.array(z.string()).max(50).optional().meta({ description: 'Backups that cannot be restored whole, each with its first files.' }),
    damagedPacks: z.array(z.string()).max(100).optional().meta({ description: 'Damaged packs; the next verification reads them again.' }),
  })
  .meta({ description: 'The current or last verification of what is stored.' });
export type VerificationStatus = z.infer<typeof VerificationStatus>;

export const BackupPolicyStatus = z.object({
  observedGeneration: z.int().min(0).optional().meta({ description: 'The generation that this status was decided for.' }),
  tenant: z.string().optional().meta({ description: 'Name of the BackupTenant.' }),
  volumes: z.array(z.string()).optional().meta({ description: 'The claims that the next backup will hold.' }),
  quota: z
    .object({
      used: z.int().min(0).meta({ description: 'Slots that are taken.' }),
      max: z.int().min(0).meta({ description: 'Slots that there are.' }),
      display: z.string().meta({ description: 'Both for people, e.g. `3/7`.' }),
      slots: listMap(z.array(QuotaSlot).max(MOST_SLOTS).meta({ description: 'Who holds a slot. Only the controller of the policy grants slots.' }), 'uid'),
      refused: listMap(
        z.array(QuotaSlot).max(MOST_SLOTS).meta({ description: 'Backups that asked while every slot was taken, until they are marked as rejected.' }),
        'uid',
      ).optional(),
    })
    .optional()
    .meta({ description: 'Manual backups that are kept.' }),
  automatic: z
    .object({
      schedule: z.string().optional().meta({ description: 'The schedule that is in force, with its time zone; absent while suspended or refused.' }),
      since: z.string().optional().meta({ format: 'date-time', description: 'Since when it is in force; earlier times are not made up for.' }),
      lastScheduled: z.string().optional().meta({ format: 'date-time', description: 'The newest scheduled time that was dealt with: run, or missed.' }),
      lastMissed: z.string().optional().meta({ format: 'date-time', description: 'The newest scheduled time that was missed.' }),
      nextRun: z.string().optional().meta({ format: 'date-time', description: 'When the next automatic backup is due, jitter included.' }),
      kept: z.int().min(0).meta({ description: 'Automatic backups that are stored.' }),
      display: z.string().meta({ description: 'Stored and to keep, for people, e.g. `7/7`.' }),
    })
    .optional()
    .meta({ description: 'Automatic backups.' }),
  lastVerified: z.string().optional().meta({ format: 'date-time', description: 'When everything that was looked at was last found sound.' }),
  verification: VerificationStatus.optional(),
  replicatedUpTo: z.string().optional().meta({ format: 'date-time', description: 'What was stored before this is in the second data center.' }),
  lastBackup: z.string().optional().meta({ description: 'Name of the newest stored backup.' }),
  lastSuccess: z.string().optional().meta({ format: 'date-time', description: 'When the newest complete backup was stored.' }),
  conditions: Conditions.optional(),
});
export type BackupPolicyStatus = z.infer<typeof BackupPolicyStatus>;
export type BackupPolicy = KubernetesResource<BackupPolicySpec, BackupPolicyStatus>;

export const backupPolicy = defineKind({
  kind: 'BackupPolicy',
  plural: 'backuppolicies',
  singular: 'backuppolicy',
  shortNames: ['bp'],
  scope: 'Namespaced',
  description: "What of a customer's namespace is backed up, how, and how many backups are kept.",
  spec: BackupPolicySpec,
  status: BackupPolicyStatus,
  rules: [],
  columns: [
    { name: 'Protected', type: 'string', jsonPath: '.status.conditions[?(@.type=="Protected")].status', description: 'Whether a fresh, complete backup exists.' },
    { name: 'Last Success', type: 'date', jsonPath: '.status.lastSuccess', description: 'Age of the newest complete backup.' },
    { name: 'Used', type: 'string', jsonPath: '.status.quota.display', description: 'Manual backups that are kept, of how many.' },
    { name: 'Automatic', type: 'string', jsonPath: '.status.automatic.display', description: 'Automatic backups that are kept, of how many.' },
    { name: 'Next Run', type: 'string', jsonPath: '.status.automatic.nextRun', description: 'When the next automatic backup is due.' },
    { name: 'Verified', type: 'date', jsonPath: '.status.lastVerified', description: 'Age of the last proof that what is stored can be restored.', priority: 1 },
    { name: 'Replicated', type: 'string', jsonPath: '.status.conditions[?(@.type=="Replicated")].status', description: 'Whether the second data center has what is stored.', priority: 1 },
    { name: 'Replicated Up To', type: 'date', jsonPath: '.status.replicatedUpTo', description: 'Age of the newest backup that the second data center has.', priority: 1 },
    { name: 'Location', type: 'string', jsonPath: '.spec.location', description: 'Where the backups are kept.' },
    { name: 'Ready', type: 'string', jsonPath: '.status.conditions[?(@.type=="Ready")].status', description: 'Whether a backup could be made now.' },
    { name: 'Reason', type: 'string', jsonPath: '.status.conditions[?(@.type=="Ready")].reason', description: 'Why it is ready or not.' },
    { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp', description: 'Since when it exists.' },
  ],
});
