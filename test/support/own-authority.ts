import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import type { RequestListener } from 'node:http';
import { createServer } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

export interface OwnAuthority {
  /** `https://localhost:PORT` */
  readonly endpoint: string;
  /** PEM: who trusts this trusts the server. */
  readonly caBundle: string;
  stop(): Promise<void>;
}

/** An HTTPS server on the loopback address with a certificate that no public authority has signed. */
export async function startWithOwnAuthority(answer: RequestListener): Promise<OwnAuthority> {
  const folder = await mkdtemp(join(tmpdir(), 'tenant-backup-tls-'));
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  await promisify(execFile)('openssl', [
    'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2',
    '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost', '-keyout', key, '-out', cert,
  ]);
  const caBundle = await readFile(cert, 'utf8');
  const server = createServer({ key: await readFile(key), cert: caBundle }, answer);
  await new Promise<void>((resolve) => server.listen(0, 'localhost', resolve));
  const address = server.address();
  return {
    endpoint: `https://localhost:${typeof address === 'object' && address !== null ? address.port : 0}`,
    caBundle,
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await rm(folder, { recursive: true });
    },
  };
}
