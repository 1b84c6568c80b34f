import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { openStore, type ObjectStore } from '../../src/storage/index.ts';

describe('an S3 endpoint with a certificate of its own authority', () => {
  let folder: string;
  let server: Server;
  let port: number;
  let caBundle: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tenant-backup-tls-'));
    const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
    await promisify(execFile)('openssl', [
      'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2',
      '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost', '-keyout', key, '-out', cert,
    ]);
    caBundle = await readFile(cert, 'utf8');
    server = createServer({ key: await readFile(key), cert: caBundle }, (_, response) => response.writeHead(200, { 'content-length': '2' }).end('ok'));
    await new Promise<void>((resolve) => server.listen(0, 'localhost', resolve));
    const address = server.address();
    port = typeof address === 'object' && address !== null ? address.port : 0;
  });
  afterAll(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    await rm(folder, { recursive: true });
  });

  function open(endpoint: string, ca?: string): Promise<ObjectStore> {
    return openStore(`s3://bucket?region=eu&endpoint=${endpoint}`, {
      s3: { credentials: { accessKeyId: 'a', secretAccessKey: 'b' }, ...(ca === undefined ? {} : { caBundle: ca }) },
      retry: { attempts: 1 },
    });
  }

  it('is reached when the authority is given', async () => {
    const store = await open(`https://localhost:${port}`, caBundle);
    expect(Buffer.from(await store.get('k')).toString()).toBe('ok');
    await store.close();
  });

  it('is refused for good when it is not, saying what to do', async () => {
    const store = await open(`https://localhost:${port}`);
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
