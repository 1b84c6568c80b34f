import { afterEach, describe, expect, it } from '@jest/globals';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { openStore, type ObjectStore } from '../../src/storage/index.ts';
import { startStub, type StubServer } from '../support/stub-server.ts';

/** What stands between us and a service says for it while that is away: `good` goes through from then on. */
describe('an answer that does not come from an S3 service', () => {
  let stub: StubServer | undefined;
  let store: ObjectStore | undefined;

  afterEach(async () => {
    await store?.close();
    await stub?.stop();
  });

  async function open(answer: Parameters<typeof startStub>[0], attempts = 1, partSize?: number): Promise<ObjectStore> {
    stub = await startStub(answer);
    const s3 = { credentials: { accessKeyId: 'a', secretAccessKey: 'b' }, ...(partSize === undefined ? {} : { partSize }) };
    store = await openStore(`s3://bucket/p?endpoint=${stub.endpoint}&region=eu`, { s3, retry: { attempts, baseDelayMs: 1 } });
    return store;
  }

  type Answer = (response: ServerResponse, request: IncomingMessage) => void;
  const says = (status: number, type: string | undefined, body: string): Answer => (response) => void response.writeHead(status, type === undefined ? {} : { 'content-type': type }).end(body);
  const maintenance = '<html><head><title>Maintenance</title></head><body>We will be back soon</body></html>';
  const listing = '<?xml version="1.0"?><ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>p/a</Key><Size>1</Size></Contents><Contents><Key>p/b</Key><Size>1</Size></Contents></ListBucketResult>';
  const versions = listing.replaceAll('ListBucketResult', 'ListVersionsResult').replaceAll('Contents', 'Version');
  const keysOf = async (objects: AsyncIterable<{ readonly key: string }> | undefined): Promise<string[]> => {
    const keys: string[] = [];
    for await (const { key } of objects ?? []) keys.push(key);
    return keys;
  };

  const strangers: readonly (readonly [string, Answer])[] = [
    ['a web page', says(200, 'text/html', maintenance)],
    ['a page that does not say that it is one', says(200, undefined, maintenance)],
    ['words', says(200, 'text/plain', 'OK')],
    ['JSON', says(200, 'application/json', '{"status":"ok"}')],
    ['nothing', says(200, undefined, '')],
  ];
  const cut = listing.indexOf('<Contents><Key>p/b');

  it.each([...strangers, ['the beginning of a listing', says(200, 'application/xml', listing.slice(0, cut))] as const])('%s: is no listing, and never an empty or a short one', async (_, stranger) => {
    for (const [good, list] of [[listing, () => store?.list('')], [versions, () => store?.versions?.list('')]] as const) {
      await open((request, response, count) => (count === 1 ? stranger : says(200, 'application/xml', good))(response, request), 2);
      expect(await keysOf(list())).toEqual(['a', 'b']);
      await store?.close();
      await stub?.stop();
      await open((request, response) => stranger(response, request));
      await expect(keysOf(list())).rejects.toMatchObject({ code: 'Unavailable', retryable: true });
      await store?.close();
      await stub?.stop();
    }
  });

  it.each(strangers)('%s: nothing was stored, in one piece or in parts', async (_, stranger) => {
    const good: Answer = (response, request) => {
      if (request.method === 'POST' && request.url?.includes('uploads') === true) return says(200, 'application/xml', '<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>')(response, request);
      if (request.method === 'POST') return says(200, 'application/xml', '<CompleteMultipartUploadResult><ETag>"x"</ETag></CompleteMultipartUploadResult>')(response, request);
      response.writeHead(request.method === 'DELETE' ? 204 : 200, { etag: '"x"' }).end();
    };
    await open((request, response, count) => (count === 1 ? stranger : good)(response, request), 2);
    await store?.put('k', Buffer.from('bytes'));
    expect(stub?.requests).toHaveLength(2);
    for (const method of ['PUT', 'POST /bucket/p/k?uploadId']) {
      await store?.close();
      await stub?.stop();
      let isMet = false;
      await open((request, response) => {
        const isStrange = !isMet && `${request.method ?? ''} ${request.url ?? ''}`.startsWith(method);
        isMet ||= isStrange;
        (isStrange ? stranger : good)(response, request);
      }, 2, 5 * 1024 * 1024);
      await store?.put('k', Buffer.alloc(6 * 1024 * 1024));
      expect(stub?.requests.filter((each) => each.includes('uploads'))).toHaveLength(2);
    }
  });

  it.each(strangers)('%s: nothing was deleted', async (_, stranger) => {
    await open((request, response, count) => (count === 1 ? stranger : says(200, 'application/xml', '<?xml version="1.0"?><DeleteResult xmlns="x"/>'))(response, request), 2);
    await store?.deleteMany(['a', 'b']);
    expect(stub?.requests).toHaveLength(2);
  });

  it.each([
    ['a web page', says(200, 'text/html', maintenance)],
    ['a page that is not there', says(404, 'text/html; charset=utf-8', '<html>404 Not Found</html>')],
    ['a route that is not there', says(404, 'text/plain; charset=utf-8', '404 page not found\n')],
  ])('%s: is no object, and says nothing of whether there is one', async (_, stranger) => {
    await open((request, response) => stranger(response, request));
    await expect(store?.get('k')).rejects.toMatchObject({ code: 'Unavailable', retryable: true, message: expect.stringContaining('does not speak S3') });
    await expect(store?.head('k')).rejects.toMatchObject({ code: 'Unavailable', retryable: true });
    await expect(store?.delete('k')).rejects.toMatchObject({ code: 'Unavailable', retryable: true });
  });

  it.each([
    ['a web page', says(200, 'text/html', maintenance)],
    ['a page that is not there', says(404, 'text/html', '<html>404 Not Found</html>')],
    ['a way to another page', (response: ServerResponse) => void response.writeHead(301, { 'content-type': 'text/html', location: 'https://example.invalid/' }).end('<html>Moved</html>')],
    ['JSON', says(200, 'application/json', '{"status":"ok"}')],
  ] as const)('%s: where nothing else ever came, the address is wrong, and that is said at once', async (_, stranger) => {
    await open((request, response) => stranger(response, request), 8);
    await expect(keysOf(store?.list(''))).rejects.toMatchObject({ code: 'Unavailable', message: expect.stringContaining('does not speak S3') });
    expect(stub?.requests).toHaveLength(2);
  });

  it('a web page: where the service answered before, it is waited for', async () => {
    await open((request, response, count) => (count === 1 || count > 5 ? says(200, 'application/xml', listing) : says(200, 'text/html', maintenance))(response, request), 8);
    for (let n = 0; n < 2; n += 1) expect(await keysOf(store?.list(''))).toEqual(['a', 'b']);
    expect(stub?.requests).toHaveLength(6);
  });

  const page = (keys: string, next: string): string => `<ListBucketResult><IsTruncated>${String(next !== '')}</IsTruncated>${Array.from(keys, (key) => `<Contents><Key>p/${key}</Key><Size>1</Size></Contents>`).join('')}<NextContinuationToken>${next}</NextContinuationToken></ListBucketResult>`;

  it('lists twice what came already: it is asked for what follows, and tells each name once', async () => {
    await open((request, response, count) => says(200, 'application/xml', count < 3 ? page('ab', 'more') : page(request.url?.includes('start-after=p%2Fb') === true ? 'bc' : 'a', ''))(response, request), 2);
    expect(await keysOf(store?.list(''))).toEqual(['a', 'b', 'c']);
    expect(stub?.requests).toHaveLength(3);
  });

  it('lists in no order: that is refused, for nobody could go on from anywhere', async () => {
    await open((request, response) => says(200, 'application/xml', page('bac', ''))(response, request), 3);
    await expect(keysOf(store?.list(''))).rejects.toMatchObject({ code: 'Unexpected', retryable: false, message: expect.stringContaining('does not list by name') });
    expect(stub?.requests).toHaveLength(1);
  });

  it('goes round in a circle without saying anything: that ends', async () => {
    await open((request, response) => says(200, 'application/xml', page('', 'more'))(response, request), 2);
    await expect(keysOf(store?.list(''))).rejects.toMatchObject({ code: 'Unexpected' });
  });
});
