// What else S3 has for whoever holds a session of tenant A and wants B's objects: every request by which one object is read, copied, listed or altered by way of another
// name. Each is tried with a path or parameter made to look like A's, and, so that a refusal is no accident of the test, on A's own objects where it has to work.
import { createHmac } from 'node:crypto';
import * as s3 from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mintSession, tenantPrefix, tenantSessionPolicy } from '../../src/storage/index.ts';
import { startS3, type S3Service } from '../support/services.ts';

const [A, B] = ['a'.repeat(32), 'b'.repeat(32)];
const [mine, theirs] = [tenantPrefix('main', A), tenantPrefix('main', B)];
const SECRET = 'of one customer alone';

let service: S3Service;
let root: s3.S3Client;
let hostile: s3.S3Client;
let session: Awaited<ReturnType<typeof mintSession>>;
let Bucket: string;
let before: unknown;
let version: string;

beforeAll(async () => {
  service = await startS3({ objectLock: true });
  const { endpoint, region, bucket, accessKeyId, secretAccessKey, rootAccessKeyId, rootSecretAccessKey } = service;
  Bucket = bucket;
  root = new s3.S3Client({ endpoint, region, forcePathStyle: true, credentials: { accessKeyId: rootAccessKeyId, secretAccessKey: rootSecretAccessKey } });
  session = await mintSession({ endpoint, region, credentials: { accessKeyId, secretAccessKey }, policy: tenantSessionPolicy(bucket, 'main', A), sessionName: 'a', durationSeconds: 900, signal: AbortSignal.timeout(20_000) });
  hostile = new s3.S3Client({ endpoint, region, forcePathStyle: true, maxAttempts: 1, credentials: session });
  for (const prefix of [mine, theirs]) for (const key of ['secret', 'x']) await root.send(new s3.PutObjectCommand({ Bucket, Key: prefix + key, Body: SECRET, ContentType: 'text/plain' }));
  version = (await root.send(new s3.HeadObjectCommand({ Bucket, Key: `${theirs}secret` }))).VersionId ?? '';
  before = await everything();
}, 120_000);
afterAll(async () => {
  hostile.destroy();
  root.destroy();
  await service.stop();
});

/** Every version, tag and unfinished upload that root sees of B. */
async function everything(): Promise<unknown> {
  const { Versions, DeleteMarkers } = await root.send(new s3.ListObjectVersionsCommand({ Bucket, Prefix: theirs }));
  const { Uploads } = await root.send(new s3.ListMultipartUploadsCommand({ Bucket, Prefix: theirs }));
  const { TagSet } = await root.send(new s3.GetObjectTaggingCommand({ Bucket, Key: `${theirs}secret` }));
  return { versions: Versions?.map(({ Key, VersionId, ETag, IsLatest }) => ({ Key, VersionId, ETag, IsLatest })), DeleteMarkers, Uploads, TagSet };
}

const send = (command: unknown): Promise<unknown> => (hostile as { send(command: unknown): Promise<unknown> }).send(command);

/** A signed request whose path is sent to the letter, past whatever the SDK makes of keys. */
function letterByLetter(method: string, path: string, query: Record<string, string | string[]> = {}): Promise<unknown> {
  const command = new s3.GetObjectCommand({ Bucket, Key: 'x' });
  command.middlewareStack.add(
    (next) => (args) => {
      Object.assign(args.request as object, { method, path, query });
      return next(args);
    },
    { step: 'build', priority: 'low' },
  );
  return hostile.send(command).then(async ({ Body }) => Body?.transformToString());
}

/** A browser's upload, which is signed by a form instead of a header. @returns the status */
async function postForm(key: string): Promise<number> {
  const date = new Date().toISOString().replace(/[-:]|\.\d+/g, '');
  const credential = `${session.accessKeyId}/${date.slice(0, 8)}/${service.region}/s3/aws4_request`;
  const fields = { key, 'x-amz-algorithm': 'AWS4-HMAC-SHA256', 'x-amz-credential': credential, 'x-amz-date': date, 'x-amz-security-token': session.sessionToken };
  const conditions = [{ bucket: Bucket }, ...Object.entries(fields).map(([name, value]) => ({ [name]: value }))];
  const policy = Buffer.from(JSON.stringify({ expiration: new Date(Date.now() + 60_000).toISOString(), conditions })).toString('base64');
  const hmac = (secret: string | Buffer, text: string) => createHmac('sha256', secret).update(text).digest();
  const signing = [date.slice(0, 8), service.region, 's3', 'aws4_request'].reduce<string | Buffer>(hmac, `AWS4${session.secretAccessKey}`);
  const form = new FormData();
  for (const [name, value] of Object.entries({ ...fields, policy, 'x-amz-signature': hmac(signing, policy).toString('hex') })) form.append(name, value);
  form.append('file', new Blob(['mine now']));
  return (await fetch(`${service.endpoint}/${Bucket}`, { method: 'POST', body: form })).status;
}

type Attempt = readonly [string, (prefix: string) => Promise<unknown>];

/** Work on A's own objects, and must not on B's. */
const BOTH: readonly Attempt[] = [
  ['reading', (prefix) => send(new s3.GetObjectCommand({ Bucket, Key: `${prefix}secret` }))],
  ['looking it up', (prefix) => send(new s3.HeadObjectCommand({ Bucket, Key: `${prefix}secret` }))],
  ['copying it to a place of its own', (prefix) => send(new s3.CopyObjectCommand({ Bucket, Key: `${mine}stolen`, CopySource: `${Bucket}/${prefix}secret` }))],
  ['copying its own over it', (prefix) => send(new s3.CopyObjectCommand({ Bucket, Key: `${prefix}x`, CopySource: `${Bucket}/${mine}secret` }))],
  ['putting', (prefix) => send(new s3.PutObjectCommand({ Bucket, Key: `${prefix}x`, Body: 'mine now' }))],
  ['listing', (prefix) => send(new s3.ListObjectsV2Command({ Bucket, Prefix: prefix }))],
  ['listing as of old', (prefix) => send(new s3.ListObjectsCommand({ Bucket, Prefix: prefix }))],
  ['listing versions', (prefix) => send(new s3.ListObjectVersionsCommand({ Bucket, Prefix: prefix }))],
  ['beginning an upload in parts', (prefix) => send(new s3.CreateMultipartUploadCommand({ Bucket, Key: `${prefix}parts` }))],
  ['taking a part of it', (prefix) => partOf(`${prefix}secret`)],
  ['putting with a form', async (prefix) => expect(await postForm(`${prefix}x`)).toBe(204)],
  ['deleting', (prefix) => send(new s3.DeleteObjectCommand({ Bucket, Key: `${prefix}x` }))],
];

/** Must not work whatever it is about. */
const NEVER: readonly Attempt[] = [
  ['reading a version', () => send(new s3.GetObjectCommand({ Bucket, Key: `${theirs}secret`, VersionId: version }))],
  ['copying a version', () => send(new s3.CopyObjectCommand({ Bucket, Key: `${mine}stolen`, CopySource: `${Bucket}/${theirs}secret?versionId=${version}` }))],
  ['deleting a version', () => send(new s3.DeleteObjectCommand({ Bucket, Key: `${theirs}secret`, VersionId: version }))],
  ['deleting a version of its own', () => ownVersion().then((own) => send(new s3.DeleteObjectCommand({ Bucket, Key: `${mine}secret`, VersionId: own })))],
  ['deleting many, its own among them', () => deletionsOf([`${mine}nothing`, `${theirs}secret`])],
  ['copying from a path that climbs', () => send(new s3.CopyObjectCommand({ Bucket, Key: `${mine}stolen`, CopySource: `${Bucket}/${mine}../${B}/secret` }))],
  ['copying from an encoded path that climbs', () => send(new s3.CopyObjectCommand({ Bucket, Key: `${mine}stolen`, CopySource: `${Bucket}/${mine}%2e%2e%2f${B}%2fsecret` }))],
  ['reading its tags', () => send(new s3.GetObjectTaggingCommand({ Bucket, Key: `${theirs}secret` }))],
  ['tagging it', () => send(new s3.PutObjectTaggingCommand({ Bucket, Key: `${theirs}secret`, Tagging: { TagSet: [{ Key: 'k', Value: 'v' }] } }))],
  ['reading its attributes', () => send(new s3.GetObjectAttributesCommand({ Bucket, Key: `${theirs}secret`, ObjectAttributes: ['ObjectSize'] }))],
  ['reading its lock', () => send(new s3.GetObjectRetentionCommand({ Bucket, Key: `${theirs}secret` }))],
  ['locking it for ten years', () => send(new s3.PutObjectRetentionCommand({ Bucket, Key: `${theirs}secret`, Retention: { Mode: 'COMPLIANCE', RetainUntilDate: new Date(Date.now() + 3.2e11) } }))],
  ['locking its own for ten years', () => send(new s3.PutObjectRetentionCommand({ Bucket, Key: `${mine}secret`, Retention: { Mode: 'COMPLIANCE', RetainUntilDate: new Date(Date.now() + 3.2e11) } }))],
  ['putting its own under a lock', () => send(new s3.PutObjectCommand({ Bucket, Key: `${mine}locked`, Body: 'x', ObjectLockMode: 'COMPLIANCE', ObjectLockRetainUntilDate: new Date(Date.now() + 3.2e11) }))],
  ['holding it', () => send(new s3.PutObjectLegalHoldCommand({ Bucket, Key: `${theirs}secret`, LegalHold: { Status: 'ON' } }))],
  ['querying its content', () => send(new s3.SelectObjectContentCommand({ Bucket, Key: `${theirs}secret`, ExpressionType: 'SQL', Expression: 'select * from s3object', InputSerialization: { CSV: {} }, OutputSerialization: { CSV: {} } }))],
  ['listing everything', () => send(new s3.ListObjectsV2Command({ Bucket }))],
  ['listing the tenants', () => send(new s3.ListObjectsV2Command({ Bucket, Prefix: 'main/tenants/', Delimiter: '/' }))],
  ['listing from the end of its own prefix', () => send(new s3.ListObjectsV2Command({ Bucket, Prefix: mine.slice(0, -1) }))],
  ['listing with a prefix that climbs', () => send(new s3.ListObjectsV2Command({ Bucket, Prefix: `main/tenants/${A}/../` })).then(namesOf)],
  ['listing its own, beginning before the other one', () => send(new s3.ListObjectsV2Command({ Bucket, Prefix: mine, StartAfter: mine + '\u{10ffff}' })).then(namesOf)],
  ['listing every version', () => send(new s3.ListObjectVersionsCommand({ Bucket }))],
  ['listing uploads', () => send(new s3.ListMultipartUploadsCommand({ Bucket }))],
  ['listing with two prefixes', async () => expect(await letterByLetter('GET', `/${Bucket}`, { 'list-type': '2', prefix: [mine, theirs] })).toContain(B)],
  ['reading the bucket’s policy', () => send(new s3.GetBucketPolicyCommand({ Bucket }))],
  ['opening the bucket to all', () => send(new s3.PutBucketPolicyCommand({ Bucket, Policy: JSON.stringify({ Version: '2012-10-17', Statement: [{ Effect: 'Allow', Principal: '*', Action: ['s3:GetObject'], Resource: [`arn:aws:s3:::${Bucket}/*`] }] }) }))],
  ['switching versions off', () => send(new s3.PutBucketVersioningCommand({ Bucket, VersioningConfiguration: { Status: 'Suspended' } }))],
  ['letting everything expire', () => send(new s3.PutBucketLifecycleConfigurationCommand({ Bucket, LifecycleConfiguration: { Rules: [{ ID: 'x', Status: 'Enabled', Filter: { Prefix: '' }, Expiration: { Days: 1 } }] } }))],
  ...['..', '%2e%2e', '%2E%2E', '.%2e', '%252e%252e', '..%2f..%2ftenants', '%2e%2e/./'].map((up): Attempt => [`reading by way of ${up}`, () => letterByLetter('GET', `/${Bucket}/${mine}${up}/${B}/secret`)]),
  ['reading by way of an encoded slash', () => letterByLetter('GET', `/${Bucket}/main/tenants/${A}%2f..%2f${B}%2fsecret`)],
  ['reading by way of a backslash', () => letterByLetter('GET', `/${Bucket}/${mine}..%5c${B}%5csecret`)],
  ['reading by way of two slashes', () => letterByLetter('GET', `/${Bucket}//${theirs}secret`)],
  ['reading in capital letters', () => letterByLetter('GET', `/${Bucket}/main/tenants/${B.toUpperCase()}/secret`)],
];

async function partOf(source: string): Promise<void> {
  const { UploadId } = (await send(new s3.CreateMultipartUploadCommand({ Bucket, Key: `${mine}stolen` }))) as { UploadId?: string };
  await send(new s3.UploadPartCopyCommand({ Bucket, Key: `${mine}stolen`, UploadId, PartNumber: 1, CopySource: `${Bucket}/${source}` }));
}

async function ownVersion(): Promise<string | undefined> {
  return (await root.send(new s3.HeadObjectCommand({ Bucket, Key: `${mine}secret` }))).VersionId;
}

/** Answers with 200 whatever it refuses of them. */
async function deletionsOf(keys: readonly string[]): Promise<void> {
  const { Errors = [] } = (await send(new s3.DeleteObjectsCommand({ Bucket, Delete: { Objects: keys.map((Key) => ({ Key })) } }))) as s3.DeleteObjectsCommandOutput;
  if (Errors.some(({ Key, Code }) => Key === `${theirs}secret` && Code === 'AccessDenied')) throw new Error('AccessDenied');
}

/** An empty listing tells nothing. */
function namesOf(listed: unknown): void {
  if (((listed as s3.ListObjectsV2CommandOutput).Contents ?? []).length === 0) throw new Error('nothing is listed');
}

describe('a session of one tenant', () => {
  it.each(BOTH)('works on its own objects: %s', async (_, attempt) => {
    await attempt(mine);
  });

  it.each([...BOTH.map(([what, attempt]): Attempt => [what, () => attempt(theirs)]), ...NEVER])('has no way to the other one’s: %s', async (_, attempt) => {
    const refusal = await attempt(theirs).then(
      () => 'none',
      (error: unknown) => (error instanceof Error ? error.name : String(error)),
    );
    // A request that S3 does not even understand would prove nothing.
    expect(['none', 'SignatureDoesNotMatch', 'TypeError']).not.toContain(refusal);
    expect(await everything()).toEqual(before);
  });

  it('has stolen nothing, and left nothing locked', async () => {
    const { Contents = [] } = await root.send(new s3.ListObjectsV2Command({ Bucket, Prefix: mine }));
    // Its own copy of its own object, from the first table.
    expect(Contents.map(({ Key }) => Key?.slice(mine.length))).toEqual(['secret', 'stolen']);
    await expect(root.send(new s3.GetObjectRetentionCommand({ Bucket, Key: `${mine}secret` }))).rejects.toThrow();
  });
});

describe('somebody without credentials', () => {
  it.each(['GET', 'HEAD', 'PUT', 'DELETE'])('has no way to anybody’s: %s', async (method) => {
    const { status } = await fetch(`${service.endpoint}/${Bucket}/${theirs}secret`, { method, ...(method === 'PUT' ? { body: 'x' } : {}) });
    expect(status).toBe(403);
    expect(await everything()).toEqual(before);
  });
});
