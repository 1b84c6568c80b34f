// Somebody who holds every credential of the first data center: its bucket, its KMS, and what writes into the second one.
import { KMSClient, ScheduleKeyDeletionCommand } from '@aws-sdk/client-kms';
import { DeleteObjectCommand, ListObjectVersionsCommand, type ListObjectVersionsCommandOutput, PutObjectCommand, PutObjectRetentionCommand, S3Client } from '@aws-sdk/client-s3';
import type { Credentials } from '../../ground/s3.ts';
import type { KmsService, S3Service } from '../../support/services.ts';

/** Deletes every object. @returns how many */
export async function emptyBucket(service: S3Service): Promise<number> {
  const client = clientOf(service, service);
  try {
    const versions = await versionsIn(client, service.bucket);
    for (const version of versions) await client.send(new DeleteObjectCommand({ Bucket: service.bucket, ...version }));
    return versions.length;
  } finally {
    client.destroy();
  }
}

export async function destroyKey({ endpoint, region, keyId, ...credentials }: KmsService): Promise<void> {
  const client = new KMSClient({ endpoint, region, credentials });
  await client.send(new ScheduleKeyDeletionCommand({ KeyId: keyId, PendingWindowInDays: 7 }));
  client.destroy();
}

export interface Attempts {
  readonly versions: number;
  /** Deletions of a version that were refused. */
  readonly kept: number;
  /** Locks that could not be shortened. */
  readonly locked: number;
  /** Names that have something else on top now. */
  readonly overwritten: number;
}

/** Tries to delete each version, to shorten its lock, and to put something else on top of it. */
export async function attackReplica(service: S3Service, credentials: Credentials): Promise<Attempts> {
  const client = clientOf(service, credentials);
  try {
    const versions = (await versionsIn(client, service.bucket)).filter(({ Key }) => Key.includes('/tenants/') && !Key.includes('/ledger/'));
    let [kept, locked, overwritten] = [0, 0, 0];
    for (const version of versions) {
      const target = { Bucket: service.bucket, ...version };
      kept += Number(await isRefused(client.send(new DeleteObjectCommand(target))));
      locked += Number(await isRefused(client.send(new PutObjectRetentionCommand({ ...target, Retention: { Mode: 'COMPLIANCE', RetainUntilDate: new Date(Date.now() + 1000) } }))));
      overwritten += Number(!(await isRefused(client.send(new PutObjectCommand({ Bucket: service.bucket, Key: version.Key, Body: 'pay us' })))));
    }
    return { versions: versions.length, kept, locked, overwritten };
  } finally {
    client.destroy();
  }
}

async function versionsIn(client: S3Client, bucket: string): Promise<{ readonly Key: string; readonly VersionId: string }[]> {
  const found: { readonly Key: string; readonly VersionId: string }[] = [];
  let [KeyMarker, VersionIdMarker]: (string | undefined)[] = [];
  do {
    const page: ListObjectVersionsCommandOutput = await client.send(new ListObjectVersionsCommand({ Bucket: bucket, KeyMarker, VersionIdMarker }));
    for (const { Key = '', VersionId = 'null' } of page.Versions ?? []) found.push({ Key, VersionId });
    [KeyMarker, VersionIdMarker] = page.IsTruncated === true ? [page.NextKeyMarker, page.NextVersionIdMarker] : [];
  } while (KeyMarker !== undefined);
  return found;
}

function clientOf({ endpoint, region }: S3Service, { accessKeyId, secretAccessKey }: Credentials): S3Client {
  return new S3Client({ endpoint, region, forcePathStyle: true, maxAttempts: 1, credentials: { accessKeyId, secretAccessKey } });
}

async function isRefused(request: Promise<unknown>): Promise<boolean> {
  return request.then(() => false, () => true);
}
