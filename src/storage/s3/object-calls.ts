import { Readable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { GetObjectCommand, PutObjectCommand, type GetObjectCommandInput, type PutObjectCommandInput, type S3Client } from '@aws-sdk/client-s3';
import type { DeserializeMiddleware, HttpResponse } from '@smithy/types';
import { findDestination, type Destination } from './destination.ts';
import { AT_BUILD, payloadHash } from './payload-hash.ts';
import { sendOptions } from './send-options.ts';
import { assertStored } from './strangers.ts';

const NO_BODY_SHA256 = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

export type GetCall = Pick<GetObjectCommandInput, 'VersionId' | 'Range'>;
export type PutCall = Pick<PutObjectCommandInput, 'IfNoneMatch' | 'ObjectLockMode' | 'ObjectLockRetainUntilDate' | 'ChecksumSHA256'>;

/** What is asked of a service. */
interface Question {
  readonly method: 'GET' | 'PUT';
  /** The whole key, prefix included. */
  readonly key: string;
  readonly query: Record<string, string>;
  readonly headers: Record<string, string>;
  readonly body?: Uint8Array | Readable;
  readonly signal: AbortSignal | undefined;
}

/**
 * The two calls that all data goes through, past the SDK's middleware, which is most of what they cost (0.4 ms of CPU each; 0.1 without). Address, credentials,
 * clock, signature and sockets are the SDK's all the same, and so is every refusal: its answer is given to the SDK, as if that had asked.
 */
export class ObjectCalls {
  readonly #client: S3Client;
  readonly #bucket: string;
  #destination: Promise<Destination | undefined> | undefined;

  constructor(client: S3Client, bucket: string) {
    this.#client = client;
    this.#bucket = bucket;
  }

  /** An object's bytes, and how many the service says there are. @throws what the SDK's `GetObjectCommand` throws */
  async get(key: string, call: GetCall, signal: AbortSignal | undefined): Promise<{ readonly body: unknown; readonly size: number | undefined }> {
    const { VersionId, Range } = call;
    const headers = { 'x-amz-content-sha256': NO_BODY_SHA256, ...present({ range: Range }) };
    const answer = await this.#ask({ method: 'GET', key, query: present({ versionId: VersionId }), headers, signal });
    if (answer !== undefined && isGood(answer)) return { body: answer.body, size: sizeSaidBy(answer) };
    const command = new GetObjectCommand({ Bucket: this.#bucket, Key: key, ...call });
    if (answer !== undefined) command.middlewareStack.add(answered(answer), AT_ANSWER);
    const { Body, ContentLength } = await this.#client.send(command, sendOptions(signal));
    return { body: Body, size: ContentLength };
  }

  /** @param sha256 - of the body, in hex; the service checks it. @throws what the SDK's `PutObjectCommand` throws */
  async put(key: string, body: Uint8Array | Readable, size: number, sha256: string, call: PutCall, signal: AbortSignal | undefined): Promise<void> {
    const headers = {
      'content-type': 'application/octet-stream',
      'content-length': String(size),
      'x-amz-content-sha256': sha256,
      ...present({
        'if-none-match': call.IfNoneMatch,
        'x-amz-checksum-sha256': call.ChecksumSHA256,
        'x-amz-object-lock-mode': call.ObjectLockMode,
        'x-amz-object-lock-retain-until-date': call.ObjectLockRetainUntilDate?.toISOString().replace('.000Z', 'Z'),
      }),
    };
    const answer = await this.#ask({ method: 'PUT', key, query: {}, headers, body, signal });
    if (answer !== undefined && isGood(answer)) {
      await readToEnd(answer);
      assertStored(answer.headers['etag']);
      return;
    }
    const command = new PutObjectCommand({ Bucket: this.#bucket, Key: key, ...call, ContentLength: size, ...(answer === undefined ? { Body: body } : {}) });
    command.middlewareStack.add(payloadHash(sha256), AT_BUILD);
    if (answer !== undefined) command.middlewareStack.add(answered(answer), AT_ANSWER);
    assertStored((await this.#client.send(command, sendOptions(signal))).ETag);
  }

  /** `undefined` where only the SDK knows how to ask. */
  async #ask({ method, key, query, headers, body, signal }: Question): Promise<HttpResponse | undefined> {
    const destination = await this.#findDestination();
    if (destination === undefined) return undefined;
    const { signer, folder, ...where } = destination;
    const { requestHandler, systemClockOffset } = this.#client.config;
    const request = { ...where, method, path: folder + encodeKey(key), query, headers: { ...where.headers, ...headers } };
    const signed = await signer.sign(request, { signingDate: new Date(Date.now() + systemClockOffset) });
    const answer: { readonly response: HttpResponse } = await requestHandler.handle({ ...signed, body }, sendOptions(signal));
    return answer.response;
  }

  async #findDestination(): Promise<Destination | undefined> {
    this.#destination ??= findDestination(this.#client, this.#bucket);
    try {
      return await this.#destination;
    } catch (error) {
      // Such as credentials that nobody has yet.
      this.#destination = undefined;
      throw error;
    }
  }
}

/** Where the SDK reads an answer. */
const AT_ANSWER = { step: 'deserialize', priority: 'low', name: 'givenAnswer' } as const;

function answered<Input extends object, Output extends object>(response: HttpResponse): DeserializeMiddleware<Input, Output> {
  return () => () => Promise.resolve({ response });
}

function isGood({ statusCode }: HttpResponse): boolean {
  return statusCode >= 200 && statusCode < 300;
}

/** What a service says beside its status ends before the connection can be used again. */
async function readToEnd({ body }: { readonly body?: unknown }): Promise<void> {
  if (body instanceof Readable) await finished(body.resume());
}

function sizeSaidBy({ headers }: HttpResponse): number | undefined {
  const said = headers['content-length'];
  return said === undefined ? undefined : Number(said);
}

/** Percent-encoding as Signature Version 4 wants it; slashes stay. */
function encodeKey(key: string): string {
  return encodeURIComponent(key).replaceAll('%2F', '/').replace(/[!'()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`);
}

function present(fields: Readonly<Record<string, string | undefined>>): Record<string, string> {
  return Object.fromEntries(Object.entries(fields).filter((field): field is [string, string] => field[1] !== undefined));
}
