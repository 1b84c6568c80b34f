import { CopyObjectCommand, HeadObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import { StorageError } from '../errors.ts';
import type { CallOptions, Retention } from '../object-store.ts';
import type { CopiedVersion, CopySource } from '../object-versions.ts';
import { retentionFields } from './retention.ts';
import { sendOptions } from './send-options.ts';

/** Where a copy goes: the whole key, prefix included. */
export interface CopyTarget {
  readonly client: S3Client;
  readonly bucket: string;
  readonly path: string;
}

/**
 * Lets the service copy an object of another of its buckets into this one, under a lock, and say which SHA-256 it found. AWS and the Versity gateway say so in
 * the answer; MinIO computes it and says so when it is asked for the new version.
 */
export async function copyObject({ client, bucket, path }: CopyTarget, source: CopySource, retention: Retention, { signal }: CallOptions): Promise<CopiedVersion> {
  const send = sendOptions(signal);
  const command = new CopyObjectCommand({
    Bucket: bucket,
    Key: path,
    CopySource: [source.bucket, ...source.key.split('/')].map(encodeURIComponent).join('/'),
    ChecksumAlgorithm: 'SHA256',
    ...retentionFields(retention),
  });
  const { VersionId, CopyObjectResult } = await client.send(command, send);
  if (VersionId === undefined) throw new StorageError('Unsupported', `bucket ${bucket} keeps no versions; a copy under a lock needs a bucket with Object Lock`, { retryable: false });
  return { versionId: VersionId, sha256: wholeSha256(CopyObjectResult ?? {}) ?? (await sha256Of({ client, bucket, path }, VersionId, { signal })) };
}

/** The SHA-256 of a version as the service computed it when that was stored, in hex; `undefined` where it keeps none of the whole object. */
export async function sha256Of({ client, bucket, path }: CopyTarget, versionId: string, { signal }: CallOptions): Promise<string | undefined> {
  const command = new HeadObjectCommand({ Bucket: bucket, Key: path, VersionId: versionId, ChecksumMode: 'ENABLED' });
  return wholeSha256(await client.send(command, sendOptions(signal)));
}

/** Of an object in parts some services give a hash of the parts' hashes, with their number behind it. */
function wholeSha256({ ChecksumSHA256, ChecksumType }: { readonly ChecksumSHA256?: string | undefined; readonly ChecksumType?: string | undefined }): string | undefined {
  if (ChecksumSHA256 === undefined || ChecksumType === 'COMPOSITE' || !/^[A-Za-z0-9+/]{43}=$/.test(ChecksumSHA256)) return undefined;
  return Buffer.from(ChecksumSHA256, 'base64').toString('hex');
}
