// The cluster's certificates: one authority, one certificate a program. OpenSSL makes them, because Node cannot sign any.
import { generateKeyPairSync } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { API_SERVER, GROUND_ADDRESS, KUBERNETES_SERVICE, NODE_NAME, paths } from './layout.ts';
import { run } from './run.ts';

interface Subject {
  readonly name: string;
  readonly commonName: string;
  /** Kubernetes reads groups from the organisation. */
  readonly group?: string;
  readonly alternatives?: string;
}

const subjects = [
  {
    name: 'apiserver',
    commonName: 'kube-apiserver',
    alternatives: `IP:${GROUND_ADDRESS},IP:127.0.0.1,IP:${KUBERNETES_SERVICE},DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc`,
  },
  { name: 'apiserver-kubelet', commonName: 'kube-apiserver-kubelet-client', group: 'system:masters' },
  { name: 'admin', commonName: 'ground-admin', group: 'system:masters' },
  { name: 'controller-manager', commonName: 'system:kube-controller-manager' },
  { name: 'scheduler', commonName: 'system:kube-scheduler' },
  { name: 'proxy', commonName: 'system:kube-proxy' },
  { name: 'kubelet', commonName: `system:node:${NODE_NAME}`, group: 'system:nodes', alternatives: `IP:${GROUND_ADDRESS},DNS:${NODE_NAME}` },
] as const satisfies readonly Subject[];
export type CertificateName = (typeof subjects)[number]['name'];

export const authority = join(paths.pki, 'ca.crt');
export const serviceAccountKey = join(paths.pki, 'service-accounts.key');
export const serviceAccountPublicKey = join(paths.pki, 'service-accounts.pub');

/** The files of one program's certificate and key. */
export function certificate(name: CertificateName): { cert: string; key: string } {
  return { cert: join(paths.pki, `${name}.crt`), key: join(paths.pki, `${name}.key`) };
}

const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];

export async function makeCertificates(): Promise<void> {
  await mkdir(paths.pki, { recursive: true, mode: 0o700 });
  const authorityKey = join(paths.pki, 'ca.key');
  await run('openssl', ['req', '-x509', ...NEW_KEY, '-keyout', authorityKey, '-out', authority, '-days', '3650', '-subj', '/CN=ground']);
  await Promise.all(subjects.map((subject) => issue(subject, authorityKey)));
  const { privateKey, publicKey } = generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    privateKeyEncoding: { type: 'sec1', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  });
  await writeFile(serviceAccountKey, privateKey, { mode: 0o600 });
  await writeFile(serviceAccountPublicKey, publicKey);
}

async function issue(subject: Subject, authorityKey: string): Promise<void> {
  const { cert, key } = { cert: join(paths.pki, `${subject.name}.crt`), key: join(paths.pki, `${subject.name}.key`) };
  const request = join(paths.pki, `${subject.name}.csr`);
  const name = `${subject.group ? `/O=${subject.group}` : ''}/CN=${subject.commonName}`;
  const extensions = ['-addext', 'extendedKeyUsage=clientAuth,serverAuth'];
  if (subject.alternatives) extensions.push('-addext', `subjectAltName=${subject.alternatives}`);
  await run('openssl', ['req', '-new', ...NEW_KEY, '-keyout', key, '-out', request, '-subj', name, ...extensions]);
  await run('openssl', ['x509', '-req', '-in', request, '-CA', authority, '-CAkey', authorityKey, '-days', '3650', '-copy_extensions', 'copy', '-out', cert]);
}

/** Writes a kubeconfig that holds everything itself, so that it can be copied and used from anywhere on this machine. */
export async function writeKubeconfig(file: string, name: CertificateName): Promise<void> {
  const files = certificate(name);
  const base64 = async (path: string): Promise<string> => (await readFile(path)).toString('base64');
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'ground',
    clusters: [{ name: 'ground', cluster: { server: API_SERVER, 'certificate-authority-data': await base64(authority) } }],
    users: [{ name, user: { 'client-certificate-data': await base64(files.cert), 'client-key-data': await base64(files.key) } }],
    contexts: [{ name: 'ground', context: { cluster: 'ground', user: name } }],
  };
  await writeFile(file, JSON.stringify(config, null, 2), { mode: 0o600 }); // JSON is YAML.
}
