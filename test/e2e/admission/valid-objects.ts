// One valid object of each kind, which a test spoils in one place.
import { GROUP_VERSION } from '../../support/cluster.ts';

export const NAMESPACE = 'e2e-admission';
/** Cluster-scoped objects of this test. */
export const CLUSTER_NAME = 'e2e-admission';

export const KINDS = ['BackupLocation', 'BackupTenant', 'BackupPolicy', 'Backup', 'Restore'] as const;
export type KindName = (typeof KINDS)[number];

type Json = Readonly<Record<string, unknown>>;

const specs = {
  BackupLocation: {
    s3: { endpoint: 'https://s3.example.com', bucket: 'tenant-backups', prefix: 'main', credentialsSecretRef: { name: 's3' } },
    kms: { provider: 'aws', aws: { keyId: 'alias/key', credentialsSecretRef: { name: 'kms' } } },
  },
  BackupTenant: { tenantId: 'ab'.repeat(16), namespace: 'nowhere', namespaceUID: 'd3b07384-d9a0-4c1f-9c7e-3d1f0a4a2f11', location: 'nowhere' },
  BackupPolicy: { location: 'nowhere', workload: { kind: 'Deployment', name: 'app' }, volumes: ['data'] },
  Backup: { policy: 'nowhere' },
  Restore: { source: { backup: 'nowhere' } },
} as const satisfies Record<KindName, Json>;

export function validObject(kind: KindName): { apiVersion: string; kind: string; metadata: Json; spec: Json } {
  const isClusterScoped = kind === 'BackupLocation' || kind === 'BackupTenant';
  return {
    apiVersion: GROUP_VERSION,
    kind,
    metadata: isClusterScoped ? { name: CLUSTER_NAME } : { name: 'valid', namespace: NAMESPACE },
    spec: specs[kind],
  };
}

/** The object with one value put at `path` (`spec.s3.bucket`), or taken away where the value is undefined. */
export function withValue(object: Json, path: string, value: unknown): Json {
  const [head = '', ...rest] = path.split('.');
  if (rest.length === 0) return { ...object, [head]: value };
  const below = object[head];
  return { ...object, [head]: withValue(typeof below === 'object' && below !== null ? { ...below } : {}, rest.join('.'), value) };
}
