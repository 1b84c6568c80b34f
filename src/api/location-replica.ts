/** The second data center as a BackupLocation describes it: where the copy goes, how long nobody can delete it, and when it is made. */
import * as z from 'zod';
import { CronSchedule, Duration, SecretReference, StorageSize, TimeZone } from './fields.ts';
import { withRules } from './kind.ts';
import { Kms, S3 } from './location-storage.ts';

/** Seconds of `retainFor`; CEL's own durations know no days. */
const RETAIN_SECONDS =
  "(self.retainFor.contains('d') ? int(self.retainFor.split('d')[0]) * 86400 : 0) + (self.retainFor.endsWith('d') ? 0 : duration(self.retainFor.split('d')[self.retainFor.contains('d') ? 1 : 0]).getSeconds())";
const YEAR_SECONDS = 365 * 86_400;

const ObjectLock = withRules(
  z.object({
    mode: z.enum(['Compliance', 'Governance']).default('Compliance').meta({
      description: '`Compliance`: nobody at all can delete a copy before its retention ends. `Governance`: whoever may bypass it can; for a try-out.',
    }),
    retainFor: Duration.default('30d').meta({
      description: 'How long after its last need every object of the copy cannot be deleted: what attackers or mistakes have to outlast. What is still needed is extended every night.',
    }),
    confirmRetainFor: Duration.optional().meta({
      description: 'Repeats `retainFor` where that is above 365 days: a retention in Compliance mode cannot be taken back, and its storage is paid for until it ends.',
    }),
  }),
  {
    // A default is checked before the defaults inside it are filled in.
    rule: `!has(self.retainFor) || ${RETAIN_SECONDS} <= ${YEAR_SECONDS} || (has(self.confirmRetainFor) && self.confirmRetainFor == self.retainFor)`,
    message: 'retainFor is above 365 days and cannot be taken back; repeat it in confirmRetainFor if that is meant',
  },
);

const Replication = z.object({
  schedule: CronSchedule.default('0 4 * * *').meta({ description: 'When the copy is brought up to date, as five fields of crontab(5) or a word such as `@daily`. After the night\'s backups.' }),
  timeZone: TimeZone.default('UTC').meta({ description: 'Time zone of the schedule, a name of the IANA database such as `Europe/Berlin`.' }),
  window: Duration.default('6h').meta({
    description: 'How long after its scheduled time a run may go on. What is not done by then is done the next time. A run that nobody could begin is made up for within it.',
  }),
  suspend: z.boolean().default(false).meta({ description: 'Copies nothing while it is true. Locks are not extended either, so what is there can be deleted once they end.' }),
  maxLag: Duration.default('32h').meta({ description: 'The condition `Replicated` holds while everything that was stored longer ago than this is in the second data center.' }),
  shards: z.int().min(1).max(64).default(1).meta({ description: 'Workers that run side by side, each for its share of the tenants.' }),
  serverSideCopy: z.boolean().default(false).meta({
    description:
      "Where one service has both buckets: it copies between them by itself, and no object goes through the workers' network. Each copy is compared with the SHA-256 in its name. It takes one principal, that of the second bucket, which can read the first as well. What the service refuses goes through the workers.",
  }),
  concurrency: z.int().min(1).max(256).default(32).meta({ description: 'Requests that one worker has under way at a time.' }),
  bandwidth: StorageSize.optional().meta({ description: 'Bytes a second that one worker reads from the first data center, as a quantity such as `20Mi`. Left out: as fast as it goes.' }),
});
export type ReplicationSettings = z.infer<typeof Replication>;

const terms = {
  objectLock: ObjectLock.prefault({}).meta({ description: 'How long nothing of the copy can be deleted. The bucket needs versioning and Object Lock, and no default retention.' }),
  replication: Replication.prefault({}).meta({ description: 'When and how fast the copy is made.' }),
  collectorCredentialsSecretRef: SecretReference.optional().meta({
    description: 'Secret of a principal of the second data center that may delete versions. With it what no backup needs any more is removed from the copy once its locks have ended; without it the copy only grows.',
  }),
};
const probeCredentialsSecretRef = SecretReference.meta({
  description:
    'Secret of a principal that may delete versions below `probe/` of the second bucket, and nothing else. With it the operator proves at its start and every day that a version under a lock cannot be deleted; without that proof nothing is ready.',
});

export const Replica = withRules(
  z.object({
    kms: Kms.meta({ description: "The second data center's key management. This installation needs Encrypt on it and nothing else." }),
    mode: z.enum(['Push', 'Pull']).default('Push').meta({
      description:
        '`Push`: this installation copies into `s3`. Withstands whoever holds all of its credentials until `retainFor` has passed. `Pull`: an installation in the second data center copies, with a BackupLocation that has `spec.pull`, and this one has no credentials there at all. Withstands them beyond that.',
    }),
    s3: S3.optional().meta({
      description: "The second data center's object storage, with `mode: Push`. Its principal lists, reads, puts and extends retention, and can neither delete nor bypass a lock. Leave it out to copy nothing.",
    }),
    probeCredentialsSecretRef: probeCredentialsSecretRef.optional(),
    ...terms,
  }),
  { rule: "self.mode == 'Push' || !has(self.s3)", message: 'with mode: Pull the second data center reads from here; leave s3 out, and give its own BackupLocation spec.pull' },
  { rule: '!has(self.s3) || has(self.probeCredentialsSecretRef)', message: 'with s3 give probeCredentialsSecretRef: without it nobody can prove that the copy cannot be deleted' },
);
export type ReplicaSettings = z.infer<typeof Replica>;

export const Pull = z.object({
  from: S3.meta({ description: "The first data center's object storage, with a principal that can list and read, and nothing else." }),
  probeCredentialsSecretRef,
  ...terms,
});
export type PullSettings = z.infer<typeof Pull>;
