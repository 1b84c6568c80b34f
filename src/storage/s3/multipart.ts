import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  UploadPartCommand,
  type CompletedPart,
  type S3Client,
} from '@aws-sdk/client-s3';
import type { ObjectBody, PutOptions } from '../object-store.ts';
import { bodySize } from '../object-body.ts';
import { sha256Hex, sliceBody, toRequestBody } from './body.ts';
import { AT_BUILD, payloadHash } from './payload-hash.ts';
import { retentionFields } from './retention.ts';
import { assertStored } from './strangers.ts';

const PARALLEL_PARTS = 4;
/** S3 allows so many parts and no more. */
const MAX_PARTS = 10_000;

export interface MultipartTarget {
  readonly client: S3Client;
  readonly bucket: string;
  readonly key: string;
  readonly partSize: number;
}

/** Puts one large body in parts, in parallel. What was sent is removed again when any of it fails. */
export async function putInParts(target: MultipartTarget, body: ObjectBody, options: PutOptions): Promise<void> {
  const { client, bucket, key } = target;
  const send = { ...(options.signal === undefined ? {} : { abortSignal: options.signal }) };
  const name = { Bucket: bucket, Key: key };
  const { UploadId } = await client.send(
    new CreateMultipartUploadCommand({ ...name, ...(options.retention === undefined ? {} : retentionFields(options.retention)) }),
    send,
  );
  try {
    const parts = await uploadParts(target, UploadId, body, options);
    const { ETag } = await client.send(
      new CompleteMultipartUploadCommand({
        ...name,
        UploadId,
        MultipartUpload: { Parts: parts },
        ...(options.ifAbsent === true ? { IfNoneMatch: '*' } : {}),
      }),
      send,
    );
    assertStored(ETag);
  } catch (error) {
    // Without the caller's signal: it may be what ended us, and the parts cost space until they go.
    await client.send(new AbortMultipartUploadCommand({ ...name, UploadId })).catch(() => undefined);
    throw error;
  }
}

async function uploadParts(target: MultipartTarget, uploadId: string | undefined, body: ObjectBody, options: PutOptions): Promise<CompletedPart[]> {
  const total = bodySize(body);
  const size = Math.max(target.partSize, Math.ceil(total / MAX_PARTS));
  const count = Math.ceil(total / size);
  const done: CompletedPart[] = [];
  const failed = new AbortController();
  const signal = options.signal === undefined ? failed.signal : AbortSignal.any([options.signal, failed.signal]);
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) {
      const index = next;
      next += 1;
      const part = sliceBody(body, index * size, Math.min(size, total - index * size));
      const command = new UploadPartCommand({
        Bucket: target.bucket,
        Key: target.key,
        UploadId: uploadId,
        PartNumber: index + 1,
        Body: toRequestBody(part),
        ContentLength: bodySize(part),
      });
      command.middlewareStack.add(payloadHash(sha256Hex(part)), AT_BUILD);
      const { ETag } = await target.client.send(command, { abortSignal: signal });
      assertStored(ETag);
      done[index] = { PartNumber: index + 1, ETag };
    }
  };
  try {
    await Promise.all(Array.from({ length: Math.min(PARALLEL_PARTS, count) }, worker));
  } catch (error) {
    failed.abort();
    throw error;
  }
  return done;
}
