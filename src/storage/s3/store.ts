import {
  DeleteObjectCommand,
  DeleteObjectsCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { StorageError } from '../errors.ts';
import { describeFailure } from '../network-failures.ts';
import { alreadyExists, bodySize, deletionFailure, notFound, throwIfAborted } from '../object-body.ts';
import { asFolder, assertKey, compareKeys } from '../object-key.ts';
import type { CallOptions, GetOptions, ListOptions, ObjectBody, ObjectHead, ObjectInfo, ObjectStore, PutOptions } from '../object-store.ts';
import { PrefixedStore } from '../prefixed-store.ts';
import type { S3Address } from '../store-url.ts';
import { sha256Hex, toRequestBody } from './body.ts';
import { createS3Client, type S3ClientHandle } from './client.ts';
import type { S3Connection } from './connection.ts';
import { s3Error } from './errors.ts';
import { listObjects, notInOrder, notOnward } from './listings.ts';
import { putInParts } from './multipart.ts';
import { ObjectCalls } from './object-calls.ts';
import { headObject, openObject, readPromised, readWhole, type ObjectAddress } from './reading.ts';
import { retentionFields } from './retention.ts';
import { sendOptions } from './send-options.ts';
import { assertWhole, AT_ANSWER, readingFirst } from './strangers.ts';
import { S3Versions } from './versions.ts';

/** S3's own limit for one DeleteObjects. */
const DELETE_BATCH = 1000;
const PARALLEL_BATCHES = 4;
/** Packs, of 64 MiB and a chunk at most, go in one request. */
const DEFAULT_PART_SIZE = 80 * 1024 * 1024;

/** Opens a bucket, below a prefix. Nothing is asked of the service yet. */
export function openS3Store(address: S3Address, connection: S3Connection = {}): S3Store {
  const merged = {
    ...connection,
    ...(address.endpoint === undefined ? {} : { endpoint: address.endpoint }),
    ...(address.region === undefined ? {} : { region: address.region }),
  };
  return new S3Store(address, merged, createS3Client({ ...merged, pathStyle: address.pathStyle }));
}

/** A bucket of any S3 service. Failures are not tried again here (`retrying`) and not limited (`limiting`). */
export class S3Store implements ObjectStore {
  readonly location: string;
  readonly versions: S3Versions;
  readonly #bucket: string;
  readonly #prefix: string;
  readonly #endpoint: string;
  readonly #client: S3Client;
  readonly #calls: ObjectCalls;
  readonly #handle: S3ClientHandle;
  readonly #partSize: number;
  readonly #renews: boolean;
  /** False once the service has said that it knows no `If-None-Match`. */
  #hasConditionalPuts = true;

  constructor(address: Pick<S3Address, 'bucket' | 'prefix'>, connection: S3Connection, handle: S3ClientHandle) {
    this.#bucket = address.bucket;
    this.#prefix = address.prefix;
    this.#endpoint = connection.endpoint ?? 'AWS';
    this.#client = handle.client;
    this.#calls = new ObjectCalls(handle.client, address.bucket);
    this.#handle = handle;
    this.#partSize = connection.partSize ?? DEFAULT_PART_SIZE;
    this.#renews = typeof connection.credentials === 'function';
    this.location = `s3://${address.bucket}/${address.prefix}`.replace(/\/$/, '');
    this.versions = new S3Versions({
      client: this.#client,
      calls: this.#calls,
      bucket: this.#bucket,
      prefix: this.#prefix,
      location: this.location,
      call: (doing, key, options, request) => this.#call(doing, key, options, request),
      path: (key) => this.#path(key),
      clock: handle.clock,
    });
  }

  async put(key: string, body: ObjectBody, options: PutOptions = {}): Promise<void> {
    const path = this.#path(key);
    const conditional = options.ifAbsent === true && this.#hasConditionalPuts;
    if (options.ifAbsent === true && !conditional) await this.#refuseTaken(key, options);
    try {
      await this.#call('writing', key, options, () => this.#send(path, body, { ...options, ifAbsent: conditional }));
    } catch (error) {
      if (conditional && isNotImplemented(error)) {
        this.#hasConditionalPuts = false;
        await this.put(key, body, options);
        return;
      }
      if (!(error instanceof StorageError && error.code === 'AlreadyExists')) throw error;
      if (!(await this.#isUnderDeleteMarker(key, options))) throw alreadyExists(key, this.location, error);
      await this.#putUnderDeleteMarker(key, body, options);
    }
  }

  async get(key: string, options: GetOptions = {}): Promise<Uint8Array> {
    const address = this.#address(key);
    if (options.range?.length === 0) return this.#emptyRange(key, options.range.offset, options);
    return this.#call('reading', key, options, async () => readWhole(key, await openObject(address, options)));
  }

  async *getStream(key: string, options: GetOptions = {}): AsyncIterable<Uint8Array> {
    const address = this.#address(key);
    if (options.range?.length === 0) {
      await this.#emptyRange(key, options.range.offset, options);
      return;
    }
    try {
      throwIfAborted(options.signal, `reading ${key}`);
      yield* readPromised(key, await openObject(address, options));
    } catch (error) {
      throw this.#wordsFor(error, 'reading', key);
    }
  }

  async head(key: string, options: CallOptions = {}): Promise<ObjectHead | undefined> {
    const address = this.#address(key);
    return this.#call('looking up', key, options, () => headObject(address, options.signal));
  }

  async *list(prefix: string, options: ListOptions = {}): AsyncIterable<ObjectInfo> {
    const after = options.startAfter === undefined ? undefined : this.#prefix + options.startAfter;
    let last: string | undefined;
    let token: string | undefined;
    do {
      const input = {
        Bucket: this.#bucket,
        Prefix: this.#prefix + prefix,
        ...(after === undefined ? {} : { StartAfter: after }),
        ...(token === undefined ? {} : { ContinuationToken: token }),
      };
      const page = await this.#call('listing', prefix, options, () => listObjects(this.#client, input, options.signal));
      for (const [index, { Key, Size, LastModified, ETag }] of (page.Contents ?? []).entries()) {
        // Some services begin with the name itself where S3 begins after it.
        if (Key === undefined || (after !== undefined && compareKeys(Key, after) <= 0)) continue;
        if (last !== undefined && compareKeys(Key, last) <= 0) throw index === 0 ? notOnward(prefix, this.location) : notInOrder(prefix, this.location);
        last = Key;
        yield { key: Key.slice(this.#prefix.length), size: Size ?? 0, modifiedAt: LastModified, etag: ETag };
      }
      if (page.IsTruncated === true && page.NextContinuationToken === undefined) {
        throw new StorageError('Unexpected', `listing ${prefix} in ${this.location}: the service says there is more but not where`, { retryable: true });
      }
      const next = page.IsTruncated === true ? page.NextContinuationToken : undefined;
      if (next !== undefined && next === token) throw notOnward(prefix, this.location);
      token = next;
    } while (token !== undefined);
  }

  async delete(key: string, options: CallOptions = {}): Promise<void> {
    const path = this.#path(key);
    await this.#call('deleting', key, options, async () => {
      try {
        await this.#client.send(new DeleteObjectCommand({ Bucket: this.#bucket, Key: path }), sendOptions(options.signal));
      } catch (error) {
        if (describeFailure(error).name !== 'NoSuchKey') throw error;
      }
    });
  }

  async deleteMany(keys: readonly string[], options: CallOptions = {}): Promise<void> {
    for (const key of keys) assertKey(key);
    const batches = Array.from({ length: Math.ceil(keys.length / DELETE_BATCH) }, (_, index) =>
      keys.slice(index * DELETE_BATCH, (index + 1) * DELETE_BATCH),
    );
    const failures: { key: string; error: StorageError }[] = [];
    const queue = batches.values();
    const worker = async (): Promise<void> => {
      for (const batch of queue) failures.push(...(await this.#deleteBatch(batch, options)));
    };
    await Promise.all(Array.from({ length: PARALLEL_BATCHES }, worker));
    if (failures.length > 0) throw deletionFailure(failures, keys.length);
  }

  within(prefix: string): ObjectStore {
    return asFolder(prefix) === '' ? this : new PrefixedStore(this, prefix);
  }

  close(): Promise<void> {
    this.#client.destroy();
    return Promise.resolve();
  }

  async #send(path: string, body: ObjectBody, options: PutOptions): Promise<void> {
    const size = bodySize(body);
    if (size > this.#partSize) {
      await putInParts({ client: this.#client, bucket: this.#bucket, key: path, partSize: this.#partSize }, body, options);
      return;
    }
    const sha256 = sha256Hex(body, options.sha256);
    const call = {
      ...(options.ifAbsent === true ? { IfNoneMatch: '*' } : {}),
      // S3 takes a lock only together with a checksum of its own kind.
      ...(options.retention === undefined
        ? {}
        : { ...retentionFields(options.retention), ChecksumSHA256: Buffer.from(sha256, 'hex').toString('base64') }),
    };
    await this.#calls.put(path, toRequestBody(body), size, sha256, call, options.signal);
  }

  /** To S3 and MinIO a name under a delete marker is free; the Versity gateway refuses it as taken, though nobody can read what is there. */
  async #isUnderDeleteMarker(key: string, options: CallOptions): Promise<boolean> {
    try {
      return (await this.head(key, options)) === undefined;
    } catch {
      // Who may write and not read is told what the service said.
      return false;
    }
  }

  /** Of two that come here at once both put: that is a version more, and each of them is kept. */
  async #putUnderDeleteMarker(key: string, body: ObjectBody, options: PutOptions): Promise<void> {
    let cause: unknown;
    try {
      await this.#call('writing', key, options, () => this.#send(this.#path(key), body, { ...options, ifAbsent: false }));
      if ((await this.head(key, options)) !== undefined) return;
    } catch (error) {
      if (describeFailure(error instanceof StorageError ? error.cause : error).status !== 405) throw error;
      cause = error;
    }
    // Such as the Versity gateway with its metadata in a sidecar: what is put there stays hidden, or is refused.
    throw new StorageError(
      'Unsupported',
      `${key} in ${this.location} lies under a delete marker, and the service takes nothing that is put on top of it. Find out who deleted it, remove the marker (delete it by its version id), and try again.`,
      { retryable: false, cause },
    );
  }

  async #refuseTaken(key: string, options: CallOptions): Promise<void> {
    if ((await this.head(key, options)) !== undefined) throw alreadyExists(key, this.location);
  }

  /** S3 has no way to ask for no bytes. */
  async #emptyRange(key: string, offset: number, options: CallOptions): Promise<Uint8Array> {
    const info = await this.head(key, options);
    if (info === undefined) throw notFound(key, this.location);
    if (offset > info.size) throw this.#wordsFor({ name: 'InvalidRange' }, 'reading', key);
    return new Uint8Array(0);
  }

  async #deleteBatch(batch: readonly string[], options: CallOptions): Promise<{ key: string; error: StorageError }[]> {
    const command = new DeleteObjectsCommand({
      Bucket: this.#bucket,
      Delete: { Quiet: true, Objects: batch.map((key) => ({ Key: this.#path(key) })) },
    });
    command.middlewareStack.add(readingFirst(wholeDeletion), AT_ANSWER);
    const { Errors } = await this.#call('deleting', `${batch.length} objects`, options, () => this.#client.send(command, sendOptions(options.signal)));
    return (Errors ?? [])
      .filter(({ Code }) => Code !== 'NoSuchKey')
      .map(({ Key = '', Code, Message }) => {
        const key = Key.slice(this.#prefix.length);
        return { key, error: this.#wordsFor({ name: Code ?? 'Unknown', message: Message ?? '' }, 'deleting', key) };
      });
  }

  async #call<T>(doing: string, key: string, options: CallOptions, request: () => Promise<T>): Promise<T> {
    throwIfAborted(options.signal, `${doing} ${key}`);
    try {
      return await request();
    } catch (error) {
      throw this.#wordsFor(error, doing, key);
    }
  }

  #wordsFor(error: unknown, doing: string, key: string): StorageError {
    const words = s3Error(error, {
      doing: `${doing} ${key}`,
      reads: doing === 'reading' || doing === 'looking up',
      key,
      bucket: this.#bucket,
      endpoint: this.#endpoint,
      credentialsRenew: this.#renews,
    });
    if (words.code === 'ExpiredCredentials' || words.code === 'BadCredentials') this.#handle.credentials?.forget();
    return words;
  }

  #address(key: string): ObjectAddress {
    return { client: this.#client, calls: this.#calls, bucket: this.#bucket, path: this.#path(key), key };
  }

  #path(key: string): string {
    assertKey(key);
    return this.#prefix + key;
  }
}

function wholeDeletion(said: string): string {
  assertWhole(said, ['DeleteResult']);
  return said;
}

function isNotImplemented(error: unknown): boolean {
  const cause = error instanceof StorageError ? error.cause : undefined;
  const { name, status } = describeFailure(cause);
  return name === 'NotImplemented' || status === 501;
}
