// What the two data centers of the ground promise to the tests that stand on them: the rights of their users, and locks.
import { afterAll, describe, expect, it } from '@jest/globals';
import {
  DeleteObjectCommand,
  GetObjectCommand,
  PutObjectCommand,
  PutObjectRetentionCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { AssumeRoleCommand, STSClient } from '@aws-sdk/client-sts';
import { restartDaemon, stopDaemon } from '../ground/daemons.ts';
import { readGroundEnvironment } from '../ground/env-file.ts';
import { runningInit } from '../ground/record.ts';
import { until } from '../ground/run.ts';

const env = readGroundEnvironment();
const clients: { destroy(): void }[] = [];

function settings(letter: 'A' | 'B', credentials?: { accessKeyId: string; secretAccessKey: string; sessionToken?: string }) {
  const of = (name: string): string => env[`S3_${letter}_${name}`] ?? '';
  return {
    endpoint: of('ENDPOINT'),
    region: of('REGION'),
    forcePathStyle: true,
    credentials: credentials ?? { accessKeyId: of('ACCESS_KEY_ID'), secretAccessKey: of('SECRET_ACCESS_KEY') },
  };
}

function s3(letter: 'A' | 'B', credentials?: Parameters<typeof settings>[1]): S3Client {
  const client = new S3Client(settings(letter, credentials));
  clients.push(client);
  return client;
}

afterAll(() => {
  for (const client of clients) client.destroy();
});

describe('the first data center', () => {
  it('confines a session of its user to the prefix that the session policy names', async () => {
    const bucket = env['S3_A_BUCKET'] ?? '';
    const sts = new STSClient(settings('A'));
    clients.push(sts);
    const policy = {
      Version: '2012-10-17',
      Statement: [{ Effect: 'Allow', Action: ['s3:GetObject', 's3:PutObject', 's3:DeleteObject'], Resource: [`arn:aws:s3:::${bucket}/ground/mine/*`] }],
    };
    const { Credentials: session } = await sts.send(
      new AssumeRoleCommand({ RoleArn: 'arn:aws:iam::000000000000:role/any', RoleSessionName: 'test', DurationSeconds: 900, Policy: JSON.stringify(policy) }),
    );
    const confined = s3('A', {
      accessKeyId: session?.AccessKeyId ?? '',
      secretAccessKey: session?.SecretAccessKey ?? '',
      sessionToken: session?.SessionToken ?? '',
    });
    const whole = s3('A');
    await whole.send(new PutObjectCommand({ Bucket: bucket, Key: 'ground/other/object', Body: 'x' }));

    await confined.send(new PutObjectCommand({ Bucket: bucket, Key: 'ground/mine/object', Body: 'x' }));

    await expect(confined.send(new GetObjectCommand({ Bucket: bucket, Key: 'ground/other/object' }))).rejects.toMatchObject({ name: 'AccessDenied' });
    for (const key of ['ground/mine/object', 'ground/other/object']) await whole.send(new DeleteObjectCommand({ Bucket: bucket, Key: key }));
  });
});

describe('a data center', () => {
  it('can be stopped by a test, and has its objects when it is started again', async () => {
    const at = { Bucket: env['S3_A_BUCKET'] ?? '', Key: 'ground/stays' };
    const user = s3('A');
    await user.send(new PutObjectCommand({ ...at, Body: 'x' }));

    await stopDaemon(runningInit(), 's3-a');
    try {
      await expect(user.send(new GetObjectCommand(at))).rejects.toThrow('ECONNREFUSED');
    } finally {
      await restartDaemon(runningInit(), 's3-a');
    }

    await until('the S3 service', 30, async () => (await fetch(`${env['S3_A_ENDPOINT'] ?? ''}/minio/health/cluster`)).ok);
    const { Body: body } = await user.send(new GetObjectCommand(at));
    expect(await body?.transformToString()).toBe('x');
    await user.send(new DeleteObjectCommand(at));
  });
});

describe('the second data center', () => {
  it('lets its user put and extend a lock, and neither shorten it, bypass it nor delete', async () => {
    const user = s3('B');
    const at = { Bucket: env['S3_B_BUCKET'] ?? '', Key: `ground/${Date.now()}` };
    const inSeconds = (seconds: number): Date => new Date(Date.now() + seconds * 1000);
    const { VersionId: version } = await user.send(
      new PutObjectCommand({ ...at, Body: 'x', ObjectLockMode: 'COMPLIANCE', ObjectLockRetainUntilDate: inSeconds(20) }),
    );
    const extended = inSeconds(40);

    await user.send(new PutObjectRetentionCommand({ ...at, VersionId: version, Retention: { Mode: 'COMPLIANCE', RetainUntilDate: extended } }));

    const shorten = new PutObjectRetentionCommand({ ...at, VersionId: version, Retention: { Mode: 'COMPLIANCE', RetainUntilDate: inSeconds(5) } });
    await expect(user.send(shorten)).rejects.toMatchObject({ name: expect.stringMatching(/AccessDenied|InvalidRequest|ObjectLocked/) });
    await expect(user.send(new DeleteObjectCommand({ ...at, VersionId: version }))).rejects.toMatchObject({ name: 'AccessDenied' });
    await expect(user.send(new DeleteObjectCommand({ ...at, VersionId: version, BypassGovernanceRetention: true }))).rejects.toMatchObject({ name: 'AccessDenied' });
    await expect(user.send(new DeleteObjectCommand(at))).rejects.toMatchObject({ name: 'AccessDenied' });
    const root = s3('B', { accessKeyId: env['S3_B_ROOT_ACCESS_KEY_ID'] ?? '', secretAccessKey: env['S3_B_ROOT_SECRET_ACCESS_KEY'] ?? '' });
    await expect(root.send(new DeleteObjectCommand({ ...at, VersionId: version, BypassGovernanceRetention: true }))).rejects.toThrow(/WORM|lock|retention/i);
  });
});
