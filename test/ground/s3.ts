// An S3 service: one MinIO process over one folder, with generated root credentials and the scoped users of a data
// center. MinIO because it has versioning, Object Lock and an STS that enforces session policies.
import { randomBytes } from 'node:crypto';
import { CreateBucketCommand, PutBucketVersioningCommand, S3Client } from '@aws-sdk/client-s3';
import { binary } from './binaries.ts';
import { run, until } from './run.ts';

export interface Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

export interface S3Setup {
  /** `http://address:port` */
  readonly endpoint: string;
  readonly root: Credentials;
  readonly bucket: string;
  readonly objectLock: boolean;
  readonly users: readonly S3User[];
}

export interface S3User extends Credentials {
  readonly policyName: string;
  readonly policy: object;
}

export const S3_REGION = 'eu-central-1';

/** Fresh random credentials, in the alphabet and length that MinIO accepts. */
export function generateCredentials(): Credentials {
  return { accessKeyId: `TB${randomBytes(9).toString('hex').toUpperCase()}`, secretAccessKey: randomBytes(30).toString('base64url') };
}

/** MinIO's arguments and environment; where the process runs is the caller's business. */
export function minioCommand(options: { address: string; console: string; folder: string; root: Credentials }): {
  args: string[];
  env: Record<string, string>;
} {
  return {
    args: ['server', '--quiet', '--address', options.address, '--console-address', options.console, options.folder],
    env: {
      MINIO_ROOT_USER: options.root.accessKeyId,
      MINIO_ROOT_PASSWORD: options.root.secretAccessKey,
      MINIO_REGION: S3_REGION,
      MINIO_BROWSER: 'off',
      MINIO_UPDATE: 'off',
      HOME: options.folder,
    },
  };
}

/** Waits until the service answers, then makes its bucket and users. Repeating it changes nothing. */
export async function setUpS3(setup: S3Setup): Promise<void> {
  await until(`the S3 service at ${setup.endpoint}`, 30, async () => {
    const answer = await fetch(`${setup.endpoint}/minio/health/cluster`);
    return answer.ok;
  });
  const client = new S3Client({ endpoint: setup.endpoint, region: S3_REGION, credentials: setup.root, forcePathStyle: true });
  try {
    await createBucket(client, setup);
  } finally {
    client.destroy();
  }
  if (setup.users.length === 0) return;
  await run(await binary('minio-admin'), [], {
    input: JSON.stringify({
      endpoint: new URL(setup.endpoint).host,
      accessKey: setup.root.accessKeyId,
      secretKey: setup.root.secretAccessKey,
      users: setup.users.map((user) => ({
        accessKey: user.accessKeyId,
        secretKey: user.secretAccessKey,
        policyName: user.policyName,
        policy: user.policy,
      })),
    }),
  });
}

async function createBucket(client: S3Client, { bucket, objectLock }: S3Setup): Promise<void> {
  try {
    await client.send(new CreateBucketCommand({ Bucket: bucket, ObjectLockEnabledForBucket: objectLock }));
  } catch (error) {
    if (!(error instanceof Error) || error.name !== 'BucketAlreadyOwnedByYou') throw error;
  }
  if (!objectLock) return; // Object Lock brings versioning with it; saying it again does no harm and documents it.
  await client.send(new PutBucketVersioningCommand({ Bucket: bucket, VersioningConfiguration: { Status: 'Enabled' } }));
}

/** The first data center's user: everything in one bucket, and sessions of it that are confined further. */
export function fullUser(bucket: string): S3User {
  return {
    ...generateCredentials(),
    policyName: 'tenant-backup-operator',
    policy: {
      Version: '2012-10-17',
      // MinIO lets every user assume a role that is itself; the session's policy can only take rights away.
      Statement: [{ Effect: 'Allow', Action: ['s3:*'], Resource: [`arn:aws:s3:::${bucket}`, `arn:aws:s3:::${bucket}/*`] }],
    },
  };
}

/** The second data center's user: reads, puts and extends retention, but can neither delete nor bypass a lock. */
export function replicatorUser(bucket: string): S3User {
  return {
    ...generateCredentials(),
    policyName: 'tenant-backup-replicator',
    policy: {
      Version: '2012-10-17',
      Statement: [
        {
          Effect: 'Allow',
          Action: [
            's3:GetBucketLocation',
            's3:GetBucketObjectLockConfiguration',
            's3:GetBucketVersioning',
            's3:ListBucket',
            's3:ListBucketMultipartUploads',
            's3:ListBucketVersions',
          ],
          Resource: [`arn:aws:s3:::${bucket}`],
        },
        {
          Effect: 'Allow',
          Action: [
            's3:AbortMultipartUpload',
            's3:GetObject',
            's3:GetObjectRetention',
            's3:GetObjectVersion',
            's3:ListMultipartUploadParts',
            's3:PutObject',
            's3:PutObjectRetention',
          ],
          Resource: [`arn:aws:s3:::${bucket}/*`],
        },
      ],
    },
  };
}

/** Deletes versions below `probe/` and nothing else, not even under a lock that it could bypass: the proof of the lock tries with it. */
export function proberUser(bucket: string): S3User {
  return {
    ...generateCredentials(),
    policyName: 'tenant-backup-prober',
    policy: {
      Version: '2012-10-17',
      Statement: [
        { Effect: 'Allow', Action: ['s3:GetBucketLocation'], Resource: [`arn:aws:s3:::${bucket}`] },
        { Effect: 'Allow', Action: ['s3:DeleteObject', 's3:DeleteObjectVersion'], Resource: [`arn:aws:s3:::${bucket}/probe/*`, `arn:aws:s3:::${bucket}/*/probe/*`] },
      ],
    },
  };
}

/** Of the second data center's own: reads everything and deletes versions whose lock has ended, and bypasses none. */
export function collectorUser(bucket: string): S3User {
  return {
    ...generateCredentials(),
    policyName: 'tenant-backup-collector',
    policy: {
      Version: '2012-10-17',
      Statement: [
        { Effect: 'Allow', Action: ['s3:GetBucketLocation', 's3:ListBucket', 's3:ListBucketVersions'], Resource: [`arn:aws:s3:::${bucket}`] },
        {
          Effect: 'Allow',
          Action: ['s3:GetObject', 's3:GetObjectVersion', 's3:GetObjectRetention', 's3:PutObject', 's3:DeleteObject', 's3:DeleteObjectVersion'],
          Resource: [`arn:aws:s3:::${bucket}/*`],
        },
      ],
    },
  };
}

/** What a second data center that pulls has in the first one: it lists and reads. */
export function readerUser(bucket: string): S3User {
  return {
    ...generateCredentials(),
    policyName: 'tenant-backup-reader',
    policy: {
      Version: '2012-10-17',
      Statement: [
        { Effect: 'Allow', Action: ['s3:GetBucketLocation', 's3:ListBucket'], Resource: [`arn:aws:s3:::${bucket}`] },
        { Effect: 'Allow', Action: ['s3:GetObject'], Resource: [`arn:aws:s3:::${bucket}/*`] },
      ],
    },
  };
}
