import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { openStore, type ObjectStore } from '../../src/storage/index.ts';
import { startWithOwnAuthority, type OwnAuthority } from '../support/own-authority.ts';

describe('an S3 endpoint with a certificate of its own authority', () => {
  let server: OwnAuthority;

  beforeAll(async () => {
    server = await startWithOwnAuthority((_, response) => response.writeHead(200, { 'content-length': '2' }).end('ok'));
  });
  afterAll(() => server.stop());

  function open(endpoint: string, ca?: string): Promise<ObjectStore> {
    return openStore(`s3://bucket?region=eu&endpoint=${endpoint}`, {
      s3: { credentials: { accessKeyId: 'a', secretAccessKey: 'b' }, ...(ca === undefined ? {} : { caBundle: ca }) },
      retry: { attempts: 1 },
    });
  }

  it('is reached when the authority is given', async () => {
    const store = await open(server.endpoint, server.caBundle);
    expect(Buffer.from(await store.get('k')).toString()).toBe('ok');
    await store.close();
  });

  it('is refused for good when it is not, saying what to do', async () => {
    const store = await open(server.endpoint);
    await expect(store.get('k')).rejects.toMatchObject({ code: 'Unavailable', retryable: false, message: expect.stringContaining('caBundle') });
    await store.close();
  });

  it('is refused when it speaks no TLS at all', async () => {
    const { startStub } = await import('../support/stub-server.ts');
    const stub = await startStub((_, response) => response.end());
    const store = await open(stub.endpoint.replace('http:', 'https:'));
    await expect(store.get('k')).rejects.toMatchObject({ code: 'Unavailable', retryable: false, message: expect.stringContaining('http:// rather than https://') });
    await store.close();
    await stub.stop();
  });
});
