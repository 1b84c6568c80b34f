// A second S3 service, which shares no code with the first: what holds for both holds for more than one program's habits.
import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { byteString } from '../../src/restic/format/byte-string.ts';
import { errnoCodeOf } from '../../src/restic/fs/libc-error.ts';
import { openLibc } from '../../src/restic/fs/libc.ts';
import { binary } from '../ground/binaries.ts';
import { until } from '../ground/run.ts';
import { S3_REGION, generateCredentials } from '../ground/s3.ts';
import { freePort, startProcess } from './loopback-process.ts';
import type { S3Service } from './services.ts';

/** Whether the temporary folder's file system has extended attributes. */
export function hasAttributes(): boolean {
  const folder = mkdtempSync(join(tmpdir(), 'tenant-backup-attributes-'));
  const descriptor = openSync(folder, 'r');
  try {
    openLibc().setXattrAt(descriptor, byteString('.'), byteString('user.probe'), new Uint8Array(1));
    return true;
  } catch (error) {
    if (errnoCodeOf(error) === undefined) throw error;
    return false;
  } finally {
    closeSync(descriptor);
    rmSync(folder, { recursive: true });
  }
}

/** Starts the Versity gateway over a directory, with one bucket; with `objectLock`, versioned and lockable. It has one principal, root, and no
 * STS. It keeps what it knows of an object beside the data, as not every file system under a temporary folder has extended attributes; with
 * `inAttributes` there, as it does by itself. */
export async function startVersity(options: { readonly objectLock?: boolean; readonly inAttributes?: boolean } = {}): Promise<S3Service> {
  const folder = await mkdtemp(join(tmpdir(), 'tenant-backup-versity-'));
  const [data, versions, sidecar] = await Promise.all(
    ['data', 'versions', 'sidecar'].map(async (name) => {
      await mkdir(join(folder, name));
      return join(folder, name);
    }),
  );
  const root = generateCredentials();
  const port = await freePort();
  const endpoint = `http://127.0.0.1:${port}`;
  const backend = ['posix', ...(options.inAttributes === true ? [] : ['--sidecar', sidecar ?? '']), '--versioning-dir', versions ?? '', data ?? ''];
  const stop = startProcess(await binary('versitygw'), ['--port', `127.0.0.1:${port}`, '--region', S3_REGION, '--quiet', '--keep-alive', ...backend], {
    ROOT_ACCESS_KEY: root.accessKeyId,
    ROOT_SECRET_KEY: root.secretAccessKey,
  });
  const bucket = 'tenant-backup-test';
  const client = new S3Client({ endpoint, region: S3_REGION, credentials: root, forcePathStyle: true, maxAttempts: 1 });
  try {
    await until(`the S3 service at ${endpoint}`, 30, () => fetch(endpoint).then(() => true));
    await client.send(new CreateBucketCommand({ Bucket: bucket, ObjectLockEnabledForBucket: options.objectLock ?? false }));
  } catch (error) {
    await stop();
    throw error;
  } finally {
    client.destroy();
  }
  return {
    endpoint,
    region: S3_REGION,
    bucket,
    ...root,
    rootAccessKeyId: root.accessKeyId,
    rootSecretAccessKey: root.secretAccessKey,
    stop: async () => {
      await stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
