import { hash } from 'node:crypto';
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { afterEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { createS3Client } from '../../src/storage/s3/client.ts';
import { findDestination } from '../../src/storage/s3/destination.ts';
import { ObjectCalls, type GetCall, type PutCall } from '../../src/storage/s3/object-calls.ts';
import { AT_BUILD, payloadHash } from '../../src/storage/s3/payload-hash.ts';
import { startStub, type StubServer } from '../support/stub-server.ts';

const CREDENTIALS = { accessKeyId: 'AKID', secretAccessKey: 'secret', sessionToken: 'a/session+token=' };
const RUNS = 150;

interface Seen {
  readonly method: string | undefined;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
}

/** They say who asked, how often and when. */
const ABOUT_THE_ASKING = new Set(['authorization', 'connection', 'amz-sdk-invocation-id', 'amz-sdk-request', 'x-amz-user-agent', 'user-agent', 'x-amz-date']);

/** What a service goes by, and which of it was signed; the signature itself is the same function's. */
function seen({ method, url = '', headers }: IncomingMessage): Seen {
  const rest = Object.fromEntries(Object.entries(headers).filter(([name]) => !ABOUT_THE_ASKING.has(name)));
  const signed = /SignedHeaders=([^,]*)/.exec(headers.authorization ?? '')?.[1]?.split(';').filter((name) => name in rest);
  return { method, url: url.replace(/[?&]x-id=[A-Za-z]+/, '').replace(/^([^?]*)&/, '$1?'), headers: { ...rest, authorization: signed?.join(';') } };
}

const keys = fc
  .array(fc.string({ unit: 'binary', minLength: 1, maxLength: 12 }).filter((part) => !/^\.{1,2}$|[/\\\0]/.test(part) && part.isWellFormed()), { minLength: 1, maxLength: 4 })
  .map((parts) => parts.join('/'));

describe('the two calls that all data goes through', () => {
  let stub: StubServer | undefined;
  const asked: Seen[] = [];
  afterEach(async () => {
    await stub?.stop();
    asked.length = 0;
  });

  async function open() {
    stub = await startStub((request, response) => {
      asked.push(seen(request));
      response.writeHead(200, { 'content-length': '0', etag: '"e"' }).end();
    });
    const { client } = createS3Client({ endpoint: stub.endpoint, region: 'eu', credentials: CREDENTIALS, pathStyle: true });
    return { client, calls: new ObjectCalls(client, 'bucket') };
  }

  it('read as the SDK reads: any name, version and range', async () => {
    const { client, calls } = await open();
    const optional = { VersionId: fc.string({ unit: 'grapheme-ascii', minLength: 1 }), Range: fc.constantFrom('bytes=0-0', 'bytes=10-4000') };
    await fc.assert(
      fc.asyncProperty(keys, fc.record(optional, { requiredKeys: [] }), async (key, call: GetCall) => {
        asked.length = 0;
        const { body } = await calls.get(key, call, undefined);
        (body as Readable).resume();
        const { Body } = await client.send(new GetObjectCommand({ Bucket: 'bucket', Key: key, ...call }));
        (Body as unknown as Readable).resume();
        expect(asked[0]).toEqual(asked[1]);
      }),
      { numRuns: RUNS },
    );
    client.destroy();
  });

  it('write as the SDK writes: any name, body, condition and lock', async () => {
    const { client, calls } = await open();
    const optional = {
      IfNoneMatch: fc.constant('*'),
      ObjectLockMode: fc.constantFrom('COMPLIANCE', 'GOVERNANCE'),
      ObjectLockRetainUntilDate: fc.integer({ min: 1, max: 4e9 }).chain((seconds) => fc.constantFrom(0, 20, 123).map((ms) => new Date(seconds * 1000 + ms))),
      ChecksumSHA256: fc.constant(Buffer.alloc(32, 3).toString('base64')),
    };
    await fc.assert(
      fc.asyncProperty(keys, fc.uint8Array({ maxLength: 300 }), fc.boolean(), fc.record(optional, { requiredKeys: [] }), async (key, bytes, streams, call: PutCall) => {
        asked.length = 0;
        const sha256 = hash('sha256', bytes, 'hex');
        const body = () => (streams ? Readable.from([bytes], { objectMode: false }) : bytes);
        await calls.put(key, body(), bytes.byteLength, sha256, call, undefined);
        const command = new PutObjectCommand({ Bucket: 'bucket', Key: key, Body: body(), ContentLength: bytes.byteLength, ...call });
        command.middlewareStack.add(payloadHash(sha256), AT_BUILD);
        await client.send(command);
        expect(asked[0]).toEqual(asked[1]);
      }),
      { numRuns: RUNS },
    );
    client.destroy();
  });

  it('are the SDK\'s own where it alone knows how to ask', async () => {
    const { client, calls } = await open();
    // An endpoint that says nothing of how it is signed for.
    Object.assign(client.config, { endpointProvider: () => ({ url: new URL(`${stub!.endpoint}/elsewhere`), properties: {} }) });
    const { body, size } = await calls.get('a key', {}, undefined);
    (body as Readable).resume();
    await calls.put('a key', Buffer.from('content'), 7, hash('sha256', 'content', 'hex'), { IfNoneMatch: '*' }, undefined);
    expect(size).toBe(0);
    expect(stub!.requests).toEqual(['GET /elsewhere/a%20key?x-id=GetObject', 'PUT /elsewhere/a%20key?x-id=PutObject']);
    expect(asked[1]?.headers).toMatchObject({ 'if-none-match': '*', 'content-length': '7', 'x-amz-content-sha256': hash('sha256', 'content', 'hex') });
    client.destroy();
  });
});

describe('where the objects of a bucket are asked for', () => {
  const at = async (connection: { endpoint?: string; region: string }, pathStyle: boolean, bucket = 'bucket') => {
    const { client } = createS3Client({ ...connection, credentials: CREDENTIALS, pathStyle });
    return findDestination(client, bucket);
  };

  it.each([
    [{ region: 'eu-central-1' }, false, { protocol: 'https:', hostname: 'bucket.s3.eu-central-1.amazonaws.com', folder: '/' }],
    [{ region: 'eu-central-1' }, true, { protocol: 'https:', hostname: 's3.eu-central-1.amazonaws.com', folder: '/bucket/' }],
    [{ region: 'cn-north-1' }, false, { protocol: 'https:', hostname: 'bucket.s3.cn-north-1.amazonaws.com.cn', folder: '/' }],
    [{ region: 'x', endpoint: 'http://host:9000' }, false, { protocol: 'http:', hostname: 'bucket.host', port: 9000, folder: '/', headers: { host: 'bucket.host:9000' } }],
    [{ region: 'x', endpoint: 'https://host/behind/a/proxy' }, true, { protocol: 'https:', hostname: 'host', folder: '/behind/a/proxy/bucket/', headers: { host: 'host' } }],
  ])('is what the SDK makes of %j, in the path: %j', async (connection, pathStyle, expected) => {
    expect(await at(connection, pathStyle)).toMatchObject(expected);
  });

  it('is left to the SDK where another signature is due', async () => {
    const { client } = createS3Client({ region: 'eu', credentials: CREDENTIALS, pathStyle: false });
    const elsewhere = { url: new URL('https://several.example'), properties: { authSchemes: [{ name: 'sigv4a', signingName: 's3', signingRegionSet: ['*'] }] } };
    Object.assign(client.config, { endpointProvider: () => elsewhere });
    expect(await findDestination(client, 'bucket')).toBeUndefined();
  });
});
