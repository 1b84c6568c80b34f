import { addAbortSignal, finished, Readable } from 'node:stream';
import { HeadObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import { StorageError } from '../errors.ts';
import { truncated } from '../object-body.ts';
import type { GetOptions, ObjectHead, ObjectInfo } from '../object-store.ts';
import { describeFailure } from '../network-failures.ts';
import { isNoSuchKey } from './errors.ts';
import type { ObjectCalls } from './object-calls.ts';
import { sendOptions } from './send-options.ts';

export interface ObjectAddress {
  readonly client: S3Client;
  readonly calls: ObjectCalls;
  readonly bucket: string;
  /** The whole key, prefix included. */
  readonly path: string;
  /** As the caller named it, for words. */
  readonly key: string;
  /** The newest where absent. */
  readonly versionId?: string;
}

/** An object's bytes as they come, and how many there must be. */
export interface OpenObject {
  readonly stream: Readable;
  readonly size: number;
}

/** Opens an object or a range of it. A range that reaches past the end is `Truncated`, though S3 would answer with less. */
export async function openObject(address: ObjectAddress, options: GetOptions): Promise<OpenObject> {
  const { range, signal } = options;
  const call = {
    ...(address.versionId === undefined ? {} : { VersionId: address.versionId }),
    ...(range === undefined ? {} : { Range: `bytes=${range.offset}-${range.offset + range.length - 1}` }),
  };
  const { body, size } = await address.calls.get(address.path, call, signal);
  if (!(body instanceof Readable)) throw new TypeError('the S3 client gave a body that is no stream of Node');
  if (size === undefined || (range !== undefined && size !== range.length)) {
    body.destroy();
    if (range !== undefined && size !== undefined && size < range.length) throw truncated(address.key, range.length, size);
    throw new StorageError('Unexpected', `reading ${address.key}: the service does not answer with the range that was asked for; is the endpoint the address of the S3 API, or does a proxy in between change requests?`, {
      retryable: false,
    });
  }
  return { stream: signal === undefined ? body : addAbortSignal(signal, body), size };
}

/** The stream's chunks; fewer bytes than promised are an error, not an end. */
export async function* readPromised(key: string, { stream, size }: OpenObject): AsyncIterable<Uint8Array> {
  let got = 0;
  for await (const chunk of stream) {
    if (!(chunk instanceof Uint8Array)) throw new TypeError('the S3 client gave text where bytes were due');
    got += chunk.byteLength;
    yield chunk;
  }
  if (got !== size) throw cutTransfer(key, size, got);
}

/**
 * All of it in one buffer of its own, so that it can be handed to a worker. By events, not by iteration, which costs a promise for each
 * 64 KiB: a tenth of a read's CPU.
 */
export function readWhole(key: string, { stream, size }: OpenObject): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const bytes = Buffer.allocUnsafeSlow(size);
    let at = 0;
    stream.on('data', (chunk: Buffer) => {
      if (at + chunk.byteLength > size) stream.destroy(cutTransfer(key, size, at + chunk.byteLength));
      else bytes.set(chunk, at);
      at += chunk.byteLength;
    });
    finished(stream, { writable: false }, (error) => {
      if (error !== undefined && error !== null) reject(error);
      else if (at === size) resolve(bytes);
      else reject(cutTransfer(key, size, at));
    });
  });
}

/** The object may be whole; what came of it was not. */
function cutTransfer(key: string, expected: number, got: number): StorageError {
  return new StorageError('Truncated', `reading ${key}: ${got} bytes came instead of ${expected}; the connection was cut`, {
    retryable: true,
    context: { key, expected, got },
  });
}

/**
 * Size of an object, or `undefined`. A HEAD's refusal has no words, so it is asked again with a GET that has: a 404 may also mean that
 * the bucket does not exist, or that nobody knows this access key.
 */
export async function headObject(address: ObjectAddress, signal: AbortSignal | undefined): Promise<ObjectHead | undefined> {
  const name = { Bucket: address.bucket, Key: address.path };
  const send = sendOptions(signal);
  try {
    const { ContentLength, LastModified } = await address.client.send(new HeadObjectCommand(name), send);
    return { key: address.key, size: ContentLength ?? 0, modifiedAt: LastModified };
  } catch (error) {
    const { status } = describeFailure(error);
    if (status !== 400 && status !== 403 && status !== 404) throw error;
    return await sizeByReading(address, error, signal);
  }
}

async function sizeByReading(address: ObjectAddress, refusal: unknown, signal: AbortSignal | undefined): Promise<ObjectInfo | undefined> {
  let opened: OpenObject;
  try {
    opened = await openObject(address, signal === undefined ? {} : { signal });
  } catch (error) {
    if (isNoSuchKey(error)) return undefined;
    throw error;
  }
  opened.stream.destroy();
  // Written since, or forbidden to HEAD alone.
  if (describeFailure(refusal).status === 404) return { key: address.key, size: opened.size };
  throw refusal;
}
