import { afterEach, describe, expect, it } from '@jest/globals';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { openStore, type ObjectStore, type OpenStoreOptions } from '../../src/storage/index.ts';
import { startStub, type StubServer } from '../support/stub-server.ts';

const SECRET = 'a-very-secret-access-key';
const CREDENTIALS = { accessKeyId: 'AKID', secretAccessKey: SECRET };

describe('what an S3 service answers', () => {
  let stub: StubServer | undefined;
  let store: ObjectStore | undefined;

  afterEach(async () => {
    await store?.close();
    await stub?.stop();
  });

  async function open(answer: Parameters<typeof startStub>[0], s3: OpenStoreOptions['s3'] = {}, attempts = 1): Promise<ObjectStore> {
    stub = await startStub(answer);
    store = await openStore(`s3://bucket/p?endpoint=${stub.endpoint}&region=eu`, { s3: { credentials: CREDENTIALS, ...s3 }, retry: { attempts, baseDelayMs: 1 } });
    return store;
  }

  const xml = (code: string, message = ''): string => `<?xml version="1.0"?><Error><Code>${code}</Code><Message>${message}</Message></Error>`;

  it.each([
    [404, 'NoSuchKey', 'NotFound', false, 'does not exist'],
    [404, 'NoSuchBucket', 'BucketMissing', false, 'create it, or correct its name'],
    [403, 'AccessDenied', 'AccessDenied', false, 'extend the policy'],
    [403, 'SignatureDoesNotMatch', 'BadCredentials', false, 'secret key is wrong'],
    [403, 'InvalidAccessKeyId', 'BadCredentials', false, 'access key'],
    [400, 'ExpiredToken', 'ExpiredCredentials', false, 'session has expired'],
    [403, 'RequestTimeTooSkewed', 'BadCredentials', true, 'set the clock'],
    [503, 'SlowDown', 'Throttled', true, 'slow down'],
    [429, 'Whatever', 'Throttled', true, 'slow down'],
    [500, 'InternalError', 'Unavailable', true, 'failure of its own'],
    [502, 'Whatever', 'Unavailable', true, 'failure of its own'],
    [507, 'XMinioStorageFull', 'NoSpace', false, 'full'],
    [507, 'Whatever', 'NoSpace', false, 'full'],
    [403, 'QuotaExceeded', 'NoSpace', false, 'full'],
    [400, 'AuthorizationHeaderMalformed', 'BadCredentials', false, 'region'],
    [409, 'OperationAborted', 'Unavailable', true, 'somebody else'],
    [404, 'XAdminUserNotFound', 'BadCredentials', false, 'access key'],
    [404, 'SomethingElse', 'Unavailable', false, 'does not speak S3'],
    [301, 'PermanentRedirect', 'InvalidUrl', false, 'another region'],
    [307, 'Whatever', 'InvalidUrl', false, 'another region'],
    [403, 'InvalidObjectState', 'Unavailable', false, 'archive'],
    [501, 'NotImplemented', 'Unsupported', false, 'does not know this request'],
    [405, 'MethodNotAllowed', 'Unsupported', false, 'does not know this request'],
    [503, 'Whatever', 'Throttled', true, 'slow down'],
    [504, 'Whatever', 'Unavailable', true, 'failure of its own'],
    [400, 'BadDigest', 'Unexpected', true, 'not those that were sent'],
    [418, 'Teapot', 'Unexpected', false, 'short and stout'],
  ])('%i %s is %s', async (status, name, code, retryable, words) => {
    const opened = await open((_, response) => response.writeHead(status).end(xml(name, 'short and stout')));
    const refused = opened.get('the/key');
    await expect(refused).rejects.toMatchObject({ name: 'StorageError', code, retryable, message: expect.stringContaining(words) });
    for (const part of ['the/key', 'bucket', stub!.endpoint]) await expect(refused).rejects.toThrow(part);
    await expect(refused).rejects.not.toThrow(SECRET);
  });

  it.each([
    ['nothing', undefined, 'NotFound', undefined],
    ['another page', '<html><body>404</body></html>', 'NotFound', undefined],
    ['no such bucket', xml('NoSuchBucket'), 'BucketMissing', 'BucketMissing'],
    ['no such user', xml('XAdminUserNotFound'), 'BadCredentials', 'BadCredentials'],
    ['JSON', '{"error":"not found"}', 'Unavailable', 'Unavailable'],
  ])('404 with %s is believed to mean an absent object only where it may', async (_, body, onGet, onHead) => {
    const opened = await open((request, response) => response.writeHead(404).end(request.method === 'HEAD' ? undefined : body));
    await expect(opened.get('k')).rejects.toMatchObject({ code: onGet });
    if (onHead === undefined) expect(await opened.head('k')).toBeUndefined();
    else await expect(opened.head('k')).rejects.toMatchObject({ code: onHead });
    await expect(opened.put('k', Buffer.from('x'))).rejects.not.toMatchObject({ code: 'NotFound' });
  });

  it('to a clock that is an hour off corrects it, and the next try is signed for the right time', async () => {
    const theirs = Date.now() + 3_600_000;
    const opened = await open(
      (request, response) => {
        const signedAt = Date.parse(String(request.headers['x-amz-date']).replace(/^(....)(..)(..T..)(..)(..Z)$/, '$1-$2-$3:$4:$5'));
        response.setHeader('date', new Date(theirs).toUTCString());
        if (Math.abs(signedAt - theirs) > 900_000) response.writeHead(403).end(xml('RequestTimeTooSkewed'));
        else response.writeHead(200, { 'content-length': '2' }).end('ok');
      },
      {},
      3,
    );
    expect(Buffer.from(await opened.get('k')).toString()).toBe('ok');
    expect(stub!.requests).toHaveLength(2);
  });

  it('to a HEAD without words is asked again with a GET', async () => {
    const opened = await open((request, response) => response.writeHead(403).end(request.method === 'HEAD' ? undefined : xml('InvalidAccessKeyId')));
    await expect(opened.head('k')).rejects.toMatchObject({ code: 'BadCredentials' });
    expect(stub!.requests.map((request) => request.split(' ')[0])).toEqual(['HEAD', 'GET']);
  });

  it('ends in time when it never comes', async () => {
    const opened = await open(() => undefined, { idleTimeoutMs: 150 });
    await expect(opened.get('k')).rejects.toMatchObject({ code: 'Timeout', retryable: true });
  });

  it('ends in time when it stops in the middle', async () => {
    const opened = await open((_, response) => void response.writeHead(200, { 'content-length': '1000' }).write('only this'), { idleTimeoutMs: 150 });
    await expect(opened.get('k')).rejects.toMatchObject({ retryable: true });
  });

  it('that is cut off is asked for again', async () => {
    const opened = await open(
      (_, response, count) => {
        response.writeHead(200, { 'content-length': '10' });
        if (count < 3) response.write('half', () => response.destroy());
        else response.end('0123456789');
      },
      {},
      5,
    );
    expect(Buffer.from(await opened.get('k')).toString()).toBe('0123456789');
    expect(stub!.requests).toHaveLength(3);
  });

  it.each([200, 404, 403])('%i that is cut off in the middle of its words is asked for again', async (status) => {
    const list = '<?xml version="1.0"?><ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>';
    const opened = await open(
      (_, response, count) => {
        if (count > 1) return response.writeHead(200).end(list);
        return response.writeHead(status, { 'content-length': '1000' }).write(list, () => response.destroy());
      },
      {},
      2,
    );
    expect(await keysOf(opened)).toEqual([]);
    expect(stub!.requests).toHaveLength(2);
  });

  it('that is no XML is said to come from no S3 service', async () => {
    const opened = await open((_, response) => response.writeHead(200).end('<html><p>Welcome<br></html>'));
    await expect(keysOf(opened)).rejects.toMatchObject({ code: 'Unavailable', message: expect.stringContaining('does not speak S3') });
  });

  it('with the whole object where a range was due is refused', async () => {
    const opened = await open((_, response) => response.writeHead(200, { 'content-length': '10' }).end('0123456789'));
    await expect(opened.get('k', { range: { offset: 2, length: 3 } })).rejects.toMatchObject({ code: 'Unexpected', message: expect.stringContaining('proxy') });
  });

  it('is given up when the caller stops, in the middle of a body, too', async () => {
    const stop = new AbortController();
    const opened = await open((_, response) => {
      response.writeHead(200, { 'content-length': '1000' }).write('begun');
      setTimeout(() => stop.abort(), 20);
    });
    await expect(opened.get('k', { signal: stop.signal })).rejects.toMatchObject({ code: 'Aborted', retryable: false });
  });

  it('that conditional puts are unknown is remembered, and the name looked up instead', async () => {
    const taken = new Set<string>();
    const opened = await open((request, response) => {
      if (request.headers['if-none-match'] !== undefined) response.writeHead(501).end(xml('NotImplemented'));
      else if (request.method !== 'PUT') response.writeHead(taken.has(new URL(request.url ?? '', 'http://x').pathname) ? 200 : 404).end();
      else {
        taken.add(new URL(request.url ?? '', 'http://x').pathname);
        response.writeHead(200, { etag: '"x"' }).end();
      }
    });
    await opened.put('k', Buffer.from('1'), { ifAbsent: true });
    await expect(opened.put('k', Buffer.from('2'), { ifAbsent: true })).rejects.toMatchObject({ code: 'AlreadyExists' });
    expect(stub!.requests.map((request) => request.split(' ')[0])).toEqual(['PUT', 'HEAD', 'GET', 'PUT', 'HEAD']);
  });

  it('about some keys of many is told by the first and their number', async () => {
    const errors = ['a', 'b'].map((key) => `<Error><Key>p/${key}</Key><Code>AccessDenied</Code><Message>Object is WORM protected</Message></Error>`).join('');
    const opened = await open((_, response) => response.writeHead(200).end(`<?xml version="1.0"?><DeleteResult>${errors}</DeleteResult>`));
    await expect(opened.deleteMany(['a', 'b', 'c'])).rejects.toMatchObject({
      code: 'Locked',
      message: expect.stringContaining('2 of 3 objects could not be deleted, the first is a'),
    });
  });

  it('of pages that never end is not believed', async () => {
    const opened = await open((_, response) => response.writeHead(200).end('<?xml version="1.0"?><ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>'));
    const list = async (): Promise<void> => {
      for await (const info of opened.list('')) throw new Error(`unexpected ${info.key}`);
    };
    await expect(list()).rejects.toMatchObject({ code: 'Unexpected' });
  });

  describe('about credentials', () => {
    const keyIdOf = (request: IncomingMessage): string | undefined => /Credential=([^/]+)/.exec(request.headers.authorization ?? '')?.[1];
    const onlyFor = (good: string) => (request: IncomingMessage, response: ServerResponse) =>
      keyIdOf(request) === good ? response.writeHead(200, { 'content-length': '2' }).end('ok') : response.writeHead(400).end(xml('ExpiredToken'));

    it('that expired makes it ask for new ones and try again', async () => {
      let asked = 0;
      const opened = await open(onlyFor('AKID3'), { credentials: () => Promise.resolve({ ...CREDENTIALS, accessKeyId: `AKID${(asked += 1)}` }) }, 5);
      expect(Buffer.from(await opened.get('k')).toString()).toBe('ok');
      expect(stub!.requests).toHaveLength(3);
      await opened.get('k');
      expect(asked).toBe(3);
    });

    it('that are about to expire, new ones are asked for before', async () => {
      let asked = 0;
      const opened = await open(onlyFor('AKID2'), {
        credentials: () => {
          asked += 1;
          return Promise.resolve({ ...CREDENTIALS, accessKeyId: `AKID${asked}`, expiration: new Date(Date.now() + (asked === 1 ? 59_000 : 3_600_000)) });
        },
      });
      await opened.get('k').catch(() => undefined);
      expect(Buffer.from(await opened.get('k')).toString()).toBe('ok');
      await opened.get('k');
      expect(asked).toBe(2);
    });

    it('in its own words when the function that gives them fails', async () => {
      class NotRenewed extends Error {
        readonly code = 'CredentialsNotRenewed';
        readonly retryable = false;
      }
      const opened = await open(onlyFor('x'), { credentials: () => Promise.reject(new NotRenewed('nobody renewed the session')) });
      await expect(opened.get('k')).rejects.toThrow('nobody renewed the session');
      expect(stub!.requests).toEqual([]);
    });
  });
});

async function keysOf(store: ObjectStore): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of store.list('')) keys.push(key);
  return keys;
}
