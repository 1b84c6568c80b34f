// What a platform engineer applies, as objects: a location with its Secrets, and a customer's namespace with volume and workload.
import { GROUP_VERSION, SYSTEM_NAMESPACE, apply, environment, kubectl, listObjects } from './cluster.ts';

export function secret(name: string, data: Readonly<Record<string, string | undefined>>): object {
  return { apiVersion: 'v1', kind: 'Secret', metadata: { name, namespace: SYSTEM_NAMESPACE }, stringData: data };
}

export function awsKms(center: 'A' | 'B', secretName: string, keyId?: string, endpoint?: string): object {
  const env = environment();
  const credentials = { name: secretName };
  return {
    provider: 'aws',
    aws: {
      endpoint: endpoint ?? env[`KMS_${center}_ENDPOINT`],
      region: env[`KMS_${center}_REGION`],
      keyId: keyId ?? env[`KMS_${center}_KEY_ID`],
      credentialsSecretRef: credentials,
      moverCredentialsSecretRef: credentials,
    },
  };
}

export interface LocationOptions {
  /** Below the bucket, so that tests do not see each other's data. The location's name where absent. */
  readonly prefix?: string;
  readonly bucket?: string;
  readonly endpoint?: string;
  readonly accessKeyId?: string;
  readonly secretAccessKey?: string;
  readonly keyId?: string;
  /** Of the first data center's KMS. */
  readonly kmsEndpoint?: string;
  readonly movers?: number;
  /** Merged into `spec.mover`. */
  readonly mover?: object;
  readonly sts?: object;
  /** Merged into `spec.replica`, beside its KMS. */
  readonly replica?: object;
}

/** A BackupLocation on the ground's data centers, with its Secrets. */
export function locationObjects(name: string, options: LocationOptions = {}): object[] {
  const env = environment();
  return [
    secret(`${name}-s3`, {
      accessKeyId: options.accessKeyId ?? env['S3_A_ACCESS_KEY_ID'],
      secretAccessKey: options.secretAccessKey ?? env['S3_A_SECRET_ACCESS_KEY'],
    }),
    secret(`${name}-kms-a`, { accessKeyId: env['KMS_A_ACCESS_KEY_ID'], secretAccessKey: env['KMS_A_SECRET_ACCESS_KEY'] }),
    secret(`${name}-kms-b`, { accessKeyId: env['KMS_B_ACCESS_KEY_ID'], secretAccessKey: env['KMS_B_SECRET_ACCESS_KEY'] }),
    {
      apiVersion: GROUP_VERSION,
      kind: 'BackupLocation',
      metadata: { name },
      spec: {
        s3: {
          endpoint: options.endpoint ?? env['S3_A_ENDPOINT'],
          region: env['S3_A_REGION'],
          bucket: options.bucket ?? env['S3_A_BUCKET'],
          prefix: options.prefix ?? name,
          credentialsSecretRef: { name: `${name}-s3` },
          ...(options.sts ? { sts: options.sts } : {}),
        },
        kms: awsKms('A', `${name}-kms-a`, options.keyId, options.kmsEndpoint),
        replica: { kms: awsKms('B', `${name}-kms-b`), ...options.replica },
        ...(options.movers === undefined ? {} : { limits: { movers: options.movers } }),
        ...(options.mover === undefined ? {} : { mover: options.mover }),
      },
    },
  ];
}

export interface VolumeOptions {
  readonly namespace: string;
  readonly claim: string;
  /** A directory of the node. */
  readonly directory: string;
  readonly volumeMode?: 'Filesystem' | 'Block';
  readonly accessMode?: string;
}

/** A hostPath volume that is bound to its claim by name. */
export function volumeObjects({ namespace, claim, directory, volumeMode = 'Filesystem', accessMode = 'ReadWriteOnce' }: VolumeOptions): object[] {
  const name = `${namespace}-${claim}`;
  const shared = { accessModes: [accessMode], storageClassName: '', volumeMode };
  return [
    {
      apiVersion: 'v1',
      kind: 'PersistentVolume',
      metadata: { name },
      spec: {
        ...shared,
        capacity: { storage: '1Gi' },
        persistentVolumeReclaimPolicy: 'Retain',
        claimRef: { namespace, name: claim },
        ...(volumeMode === 'Block' ? { local: { path: directory } } : { hostPath: { path: directory, type: 'DirectoryOrCreate' } }),
        nodeAffinity: {
          required: { nodeSelectorTerms: [{ matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In', values: [environment()['NODE_NAME']] }] }] },
        },
      },
    },
    {
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: { name: claim, namespace },
      spec: { ...shared, volumeName: name, resources: { requests: { storage: '1Gi' } } },
    },
  ];
}

/** A Deployment of one pod that mounts the claims and does nothing. */
export function workloadObject(namespace: string, name: string, claims: readonly string[], replicas = 1): object {
  const labels = { app: name };
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, namespace },
    spec: {
      replicas,
      strategy: { type: 'Recreate' },
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: {
          terminationGracePeriodSeconds: 0,
          containers: [
            {
              name: 'app',
              image: environment()['WORKLOAD_IMAGE'],
              imagePullPolicy: 'IfNotPresent',
              command: ['sleep', 'infinity'],
              volumeMounts: claims.map((claim) => ({ name: claim, mountPath: `/data/${claim}` })),
            },
          ],
          volumes: claims.map((claim) => ({ name: claim, persistentVolumeClaim: { claimName: claim } })),
        },
      },
    },
  };
}

export function namespaceObject(name: string): object {
  return { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels: { 'tenant-backup-test': 'true' } } };
}

export function policyObject(namespace: string, name: string, spec: { readonly location: string } & Readonly<Record<string, unknown>>): object {
  return { apiVersion: GROUP_VERSION, kind: 'BackupPolicy', metadata: { name, namespace }, spec };
}

export function backupObject(namespace: string, name: string, policy: string, spec: Readonly<Record<string, unknown>> = {}): object {
  return { apiVersion: GROUP_VERSION, kind: 'Backup', metadata: { name, namespace }, spec: { policy, ...spec } };
}

export function restoreObject(namespace: string, name: string, backup: string, spec: Readonly<Record<string, unknown>> = {}): object {
  return { apiVersion: GROUP_VERSION, kind: 'Restore', metadata: { name, namespace }, spec: { source: { backup }, ...spec } };
}

export interface CustomerOptions {
  readonly namespace: string;
  readonly location: string;
  /** Node directory of each claim. */
  readonly volumes: Readonly<Record<string, string>>;
  readonly workload?: string;
  readonly policy?: string;
  readonly policySpec?: Readonly<Record<string, unknown>>;
}

/** A namespace with bound volumes, a workload that uses them (if named) and a policy. */
export async function makeCustomer(options: CustomerOptions): Promise<void> {
  const { namespace, location, volumes, workload } = options;
  const claims = Object.keys(volumes);
  await apply([
    namespaceObject(namespace),
    ...Object.entries(volumes).flatMap(([claim, directory]) => volumeObjects({ namespace, claim, directory })),
    ...(workload === undefined ? [] : [workloadObject(namespace, workload, claims)]),
    policyObject(namespace, options.policy ?? 'daily', {
      location,
      ...(workload === undefined ? {} : { workload: { kind: 'Deployment', name: workload } }),
      ...options.policySpec,
    }),
  ]);
}

/** Deletes the namespace and its volumes, and waits until they are gone. */
export async function removeCustomer(namespace: string, claims: readonly string[], seconds = 60): Promise<void> {
  await kubectl(['delete', 'namespace', namespace, '--ignore-not-found', `--timeout=${seconds}s`]);
  for (const claim of claims) await kubectl(['delete', 'persistentvolume', `${namespace}-${claim}`, '--ignore-not-found', `--timeout=${seconds}s`]);
}

/** The BackupTenants of namespaces, which outlive them. */
export async function removeTenants(namespaces: readonly string[]): Promise<void> {
  const tenants = await listObjects<{ readonly metadata: { readonly name: string }; readonly spec: { readonly namespace: string } }>('bt');
  const names = tenants.filter(({ spec }) => namespaces.includes(spec.namespace)).map(({ metadata }) => metadata.name);
  if (names.length > 0) await kubectl(['delete', 'bt', ...names]);
}
