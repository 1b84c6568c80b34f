import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { runProcess, type ProgramRun } from '../support/program.ts';
import { freePort } from '../support/loopback-process.ts';
import { startS3, type S3Service } from '../support/services.ts';
import { startStub, type StubServer } from '../support/stub-server.ts';

const PASSWORD = 'a password';

describe('an S3 service that refuses', () => {
  let s3: S3Service;
  let folder: string;
  let env: Record<string, string>;

  const url = (parts: { bucket?: string; endpoint?: string; region?: string } = {}): string =>
    `s3://${parts.bucket ?? s3.bucket}/place?endpoint=${parts.endpoint ?? s3.endpoint}&region=${parts.region ?? s3.region}`;

  async function ask(repository: string, given: { readonly env?: Record<string, string>; readonly command?: readonly string[] } = {}): Promise<ProgramRun & { readonly ms: number }> {
    const started = performance.now();
    const ended = await runProcess([...(given.command ?? ['snapshots']), '--repository', repository, '--secret-key-file', '-'], { stdin: PASSWORD, env: given.env ?? env });
    return { ...ended, ms: performance.now() - started };
  }

  function expectRefusal(ended: ProgramRun & { readonly ms: number }, words: RegExp, mostMs = 20_000): void {
    expect(ended).toMatchObject({ status: 1, stdout: '', stderr: expect.stringMatching(words) });
    // One line for people, nothing of the SDK's, and no secret.
    expect(ended.stderr.trimEnd().split('\n').filter((line) => !line.startsWith('still trying: '))).toHaveLength(1);
    expect(ended.stderr).not.toContain(env['AWS_SECRET_ACCESS_KEY']);
    expect(ended.ms).toBeLessThan(mostMs);
  }

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'cli-s3-refusals-'));
    s3 = await startS3();
    env = { AWS_ACCESS_KEY_ID: s3.accessKeyId, AWS_SECRET_ACCESS_KEY: s3.secretAccessKey };
    expect(await ask(url(), { command: ['init'] })).toMatchObject({ status: 0 });
  });
  afterAll(async () => {
    await s3.stop();
    await rm(folder, { recursive: true, force: true });
  });

  it.each(['snapshots', 'init'])('%s in a bucket that does not exist is told so', async (command) => {
    expectRefusal(await ask(url({ bucket: 'no-such-bucket' }), { command: [command], env: { AWS_ACCESS_KEY_ID: s3.rootAccessKeyId, AWS_SECRET_ACCESS_KEY: s3.rootSecretAccessKey } }), /bucket does not exist; create it/);
  });

  it('another bucket of the service, which these credentials may not read', async () => {
    expectRefusal(await ask(url({ bucket: 'no-such-bucket' })), /AccessDenied.*may not do that; extend the policy/);
  });

  it('a wrong secret key', async () => {
    expectRefusal(await ask(url(), { env: { ...env, AWS_SECRET_ACCESS_KEY: 'wrong' } }), /access key or the secret key is wrong; correct the credentials/);
  });

  it('a key id that it does not know', async () => {
    expectRefusal(await ask(url(), { env: { ...env, AWS_ACCESS_KEY_ID: 'nobody' } }), /access key or the secret key is wrong; correct the credentials/);
  });

  it('no credentials at all', async () => {
    expectRefusal(await ask(url(), { env: { AWS_EC2_METADATA_DISABLED: 'true', HOME: folder } }), /no credentials were found; set AWS_ACCESS_KEY_ID/);
  });

  it('another region', async () => {
    expectRefusal(await ask(url({ region: 'eu-north-7' })), new RegExp(`lies in the region ${s3.region}; set that \\(region=`));
  });

  it('a port where nobody listens', async () => {
    expectRefusal(await ask(url({ endpoint: `http://127.0.0.1:${await freePort()}` })), /cannot be reached; check its address and port/, 60_000);
  });

  it('a name that does not resolve', async () => {
    expectRefusal(await ask(url({ endpoint: 'http://nowhere.invalid' })), /does not resolve/, 60_000);
  });

  it('a clock that is half an hour off is corrected for', async () => {
    const shift = join(folder, 'shift.mjs');
    await writeFile(shift, 'const real = Date; globalThis.Date = class extends real { constructor(...a) { super(...(a.length === 0 ? [real.now() + 1_800_000] : a)); } static now() { return real.now() + 1_800_000; } };');
    expect(await ask(url(), { env: { ...env, NODE_OPTIONS: `--import=${shift}` } })).toMatchObject({ status: 0 });
  });

  it.each([
    ['a web page', 200, 'text/html', '<!doctype html><title>Welcome</title>', /does not speak S3 as it should/],
    ['a page that is not there', 404, 'text/html', '<html>Not Found</html>', /does not speak S3 as it should/],
    ['JSON', 404, 'application/json', '{"error":"no"}', /does not speak S3 as it should/],
    ['a login', 401, 'text/html', '<html>Who are you?</html>', /access key or the secret key is wrong|does not speak S3/],
  ])('an endpoint that answers with %s', async (_, status, type, body, words) => {
    const stub: StubServer = await startStub((__, response) => response.writeHead(status, { 'content-type': type }).end(body));
    try {
      expectRefusal(await ask(url({ endpoint: stub.endpoint })), words, 60_000);
    } finally {
      await stub.stop();
    }
  });

  it('an endpoint that takes connections and closes them', async () => {
    const stub = await startStub((request) => request.socket.destroy());
    try {
      expectRefusal(await ask(url({ endpoint: stub.endpoint })), /broke off; look at the service/, 60_000);
    } finally {
      await stub.stop();
    }
  });

  it('a certificate of an authority that nobody knows', async () => {
    const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
    await promisify(execFile)('openssl', [
      'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2',
      '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost', '-keyout', key, '-out', cert,
    ]);
    const server = createServer({ key: await readFile(key), cert: await readFile(cert) }, (_, response) => response.writeHead(500).end());
    await new Promise<void>((resolve) => server.listen(0, 'localhost', resolve));
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    try {
      expectRefusal(await ask(url({ endpoint: `https://localhost:${port}` })), /TLS certificate is not trusted; give the CA that signed it .*--ca-file/);
      expectRefusal(await ask(url({ endpoint: `https://127.0.0.1:${port}` }), { command: ['snapshots', '--ca-file', cert] }), /not trusted.*correct the name/);
      expectRefusal(await ask(url({ endpoint: s3.endpoint.replace('http:', 'https:') })), /http:\/\/ rather than https:\/\//);
      expectRefusal(await ask(url({ endpoint: `http://localhost:${port}` })), /broke off.*whether the endpoint is https:\/\//, 60_000);
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });
});
