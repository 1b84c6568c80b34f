import * as z from 'zod';
import { Conditions } from './condition.ts';
import { defineKind, withRules, type KubernetesResource } from './kind.ts';
import { Mover } from './location-mover.ts';
import { Pull, Replica } from './location-replica.ts';
import { ReplicationStatus } from './location-replication-status.ts';
import { Kms, S3 } from './location-storage.ts';

export const BackupLocationSpec = withRules(
  z.object({
    s3: S3.meta({ description: "This data center's object storage." }),
    kms: Kms.meta({ description: "This data center's key management." }),
    replica: Replica.optional().meta({ description: 'The second data center. Every secret key is wrapped there too, and with `s3` every night a copy of everything goes there, so that it alone can restore.' }),
    pull: Pull.optional().meta({
      description: "For the installation in the second data center: its bucket (`s3`) is filled from the first one's. Nothing is backed up into such a location.",
    }),
    recover: z.boolean().default(false).meta({
      description:
        'After a disaster: the bucket (`s3`) is the second data center\'s copy, and namespaces, BackupTenants, BackupPolicies and Backups are made anew from it. What lies there is only read: restores work, no backup is made and none is deleted.',
    }),
    recovery: z
      .object({
        trustedKeys: z
          .array(z.string().regex(/^[A-Za-z0-9+/]{43}=$/))
          .max(10)
          .default([])
          .meta({
            description:
              "Public keys of installations whose records are believed: `publicKey` of their Secret `tenant-backup-audit`. Left out: the key that sealed the oldest record in the bucket, by the bucket's own clock. Give them where the bucket is not locked.",
          }),
        acceptedRecords: z
          .array(z.string().regex(/^[0-9a-f]{64}$/))
          .max(1000)
          .default([])
          .meta({ description: 'Digests of single records that no trusted key has sealed and that a person has looked at; `status.recovery.problems` names them.' }),
      })
      .optional()
      .meta({ description: 'With `recover`: whose records of tenants are believed. A change begins the recovery anew; what is there stays.' }),
    limits: z
      .object({
        movers: z.int().min(1).max(1000).default(10).meta({ description: 'Movers of this location that run at a time.' }),
        moversPerNamespace: z.int().min(1).max(1).default(1).meta({
          description: 'Movers of one namespace that run at a time. All backups of a namespace share one repository with one writer, so it is 1 and more is refused.',
        }),
        moversPerNode: z.int().min(1).max(1000).optional().meta({
          description: 'Movers that run on one node at a time, counted where the node is known: a mover runs on the node that holds its volume. Leave out for no limit.',
        }),
      })
      .prefault({})
      .meta({ description: 'How much may run at once.' }),
    mover: Mover.prefault({}).meta({ description: 'How movers run.' }),
  }),
  { rule: '!has(self.pull) || !has(self.replica)', message: 'give either replica (this data center is the first) or pull (it is the second)' },
  { rule: "!self.recover || !has(self.replica) || !has(self.replica.s3)", message: 'recover reads what the second data center has: name its bucket in s3 and its key in kms, and leave replica.s3 out' },
  {
    rule: `!has(self.replica) || !has(self.replica.s3) || self.replica.s3.bucket != self.s3.bucket || !(${sameEndpoint('self.replica.s3')})`,
    message: 'spec.replica.s3 must be another bucket than spec.s3: one that is lost with the first data center is no second one',
  },
  {
    rule: `!has(self.replica) || !has(self.replica.s3) || !has(self.replica.replication) || !has(self.replica.replication.serverSideCopy) || !self.replica.replication.serverSideCopy || ${sameEndpoint('self.replica.s3')}`,
    message: 'serverSideCopy needs both buckets at one endpoint: no service copies out of another one',
  },
  {
    rule: `!has(self.pull) || !has(self.pull.replication) || !has(self.pull.replication.serverSideCopy) || !self.pull.replication.serverSideCopy || ${sameEndpoint('self.pull.from')}`,
    message: 'serverSideCopy needs both buckets at one endpoint: no service copies out of another one',
  },
  { rule: 'self.s3.bucket == oldSelf.s3.bucket && self.s3.prefix == oldSelf.s3.prefix', message: 'spec.s3.bucket and spec.s3.prefix cannot be changed: the backups lie there. Make a new BackupLocation instead' },
);
/** Whether another bucket is at the endpoint of `self.s3`, in CEL. */
function sameEndpoint(other: string): string {
  return `(has(${other}.endpoint) ? ${other}.endpoint : '') == (has(self.s3.endpoint) ? self.s3.endpoint : '')`;
}

export type BackupLocationSpec = z.infer<typeof BackupLocationSpec>;

export const BackupLocationStatus = z.object({
  observedGeneration: z.int().min(0).optional().meta({ description: 'The generation that this status was decided for.' }),
  phase: z.enum(['Ready', 'NotReady']).optional().meta({ description: 'For people: whether backups can be made here.' }),
  lastProbe: z.string().optional().meta({ format: 'date-time', description: 'When storage and keys were last tried.' }),
  tenants: z.int().min(0).optional().meta({ description: 'How many tenants keep backups here.' }),
  runningMovers: z.int().min(0).optional().meta({ description: 'Movers that run now.' }),
  lockProvenAt: z.string().optional().meta({ format: 'date-time', description: "When it was last proven that nothing in the second data center's bucket can be deleted early." }),
  replicatedUpTo: z.string().optional().meta({ format: 'date-time', description: 'What was stored before this is in the second data center, for every tenant.' }),
  replication: ReplicationStatus.optional(),
  recovery: z
    .object({
      tenants: z.int().min(0).meta({ description: 'Tenants that the bucket has.' }),
      recovered: z.int().min(0).meta({ description: 'Tenants of which everything was made anew.' }),
      backups: z.int().min(0).meta({ description: 'Backups that were found.' }),
      problems: z.array(z.string()).max(20).optional().meta({ description: 'The first of what could not be made anew, and why.' }),
      completedAt: z.string().optional().meta({ format: 'date-time', description: 'When all of it was.' }),
      trusts: z.string().optional().meta({ description: 'In a few digits, what of `spec.recovery` it was done with.' }),
    })
    .optional()
    .meta({ description: 'With `spec.recover`: how far it is.' }),
  conditions: Conditions.optional(),
});
export type BackupLocationStatus = z.infer<typeof BackupLocationStatus>;
export type BackupLocation = KubernetesResource<BackupLocationSpec, BackupLocationStatus>;

export const backupLocation = defineKind({
  kind: 'BackupLocation',
  plural: 'backuplocations',
  singular: 'backuplocation',
  shortNames: ['bl'],
  scope: 'Cluster',
  description: "Where backups go: this data center's S3 and KMS, the second data center's, limits, and how movers run.",
  spec: BackupLocationSpec,
  status: BackupLocationStatus,
  rules: [],
  columns: [
    { name: 'Ready', type: 'string', jsonPath: '.status.conditions[?(@.type=="Ready")].status', description: 'Whether backups can be made here.' },
    { name: 'Isolated', type: 'string', jsonPath: '.status.conditions[?(@.type=="Isolated")].status', description: "Whether a mover's credentials reach its own tenant only." },
    { name: 'Replicated', type: 'string', jsonPath: '.status.conditions[?(@.type=="Replicated")].status', description: 'Whether the second data center has what it should have.' },
    { name: 'Bucket', type: 'string', jsonPath: '.spec.s3.bucket', description: 'The bucket.' },
    { name: 'Tenants', type: 'integer', jsonPath: '.status.tenants', description: 'Tenants that keep backups here.' },
    { name: 'Running', type: 'integer', jsonPath: '.status.runningMovers', description: 'Movers that run now.' },
    { name: 'Reason', type: 'string', jsonPath: '.status.conditions[?(@.type=="Ready")].reason', description: 'Why it is ready or not.' },
    { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp', description: 'Since when it exists.' },
    { name: 'Replicated Up To', type: 'string', jsonPath: '.status.replicatedUpTo', description: 'What was stored before this is in the second data center.', priority: 1 },
    { name: 'Next Replication', type: 'string', jsonPath: '.status.replication.nextRun', description: 'When the next copy begins.', priority: 1 },
  ],
});
