// What a platform engineer applies in the demo, as objects that `kubectl apply` takes.
export const NAMESPACE = 'customer-demo';
export const SYSTEM_NAMESPACE = 'tenant-backup-system';
export const LOCATION = 'demo';
export const POLICY = 'daily';
export const CLAIM = 'data';
const GROUP = 'backup.dupp.de/v1alpha1';

type Environment = Readonly<Record<string, string>>;

/** The location: this data center's S3 and KMS, the second data center's KMS, and the Secrets that it names. */
export function locationResources(env: Environment): object[] {
  return [
    secret('demo-s3', env['S3_A_ACCESS_KEY_ID'], env['S3_A_SECRET_ACCESS_KEY']),
    secret('demo-kms-a', env['KMS_A_ACCESS_KEY_ID'], env['KMS_A_SECRET_ACCESS_KEY']),
    secret('demo-kms-b', env['KMS_B_ACCESS_KEY_ID'], env['KMS_B_SECRET_ACCESS_KEY']),
    {
      apiVersion: GROUP,
      kind: 'BackupLocation',
      metadata: { name: LOCATION },
      spec: {
        s3: {
          endpoint: env['S3_A_ENDPOINT'],
          region: env['S3_A_REGION'],
          bucket: env['S3_A_BUCKET'],
          prefix: 'demo',
          credentialsSecretRef: { name: 'demo-s3' },
        },
        kms: awsKms(env['KMS_A_ENDPOINT'], env['KMS_A_REGION'], env['KMS_A_KEY_ID'], 'demo-kms-a'),
        replica: { kms: awsKms(env['KMS_B_ENDPOINT'], env['KMS_B_REGION'], env['KMS_B_KEY_ID'], 'demo-kms-b') },
      },
    },
  ];
}

/** The customer: a namespace with one volume and the workload that uses it. */
export function customerResources(volumeDirectory: string, node: string, image: string): object[] {
  return [
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: NAMESPACE, labels: { 'app.kubernetes.io/part-of': 'tenant-backup-demo' } } },
    {
      apiVersion: 'v1',
      kind: 'PersistentVolume',
      metadata: { name: `${NAMESPACE}-${CLAIM}` },
      spec: {
        capacity: { storage: '1Gi' },
        accessModes: ['ReadWriteOnce'],
        persistentVolumeReclaimPolicy: 'Retain',
        storageClassName: '',
        claimRef: { namespace: NAMESPACE, name: CLAIM },
        hostPath: { path: volumeDirectory, type: 'Directory' },
        nodeAffinity: { required: { nodeSelectorTerms: [{ matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In', values: [node] }] }] } },
      },
    },
    {
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: { name: CLAIM, namespace: NAMESPACE },
      spec: { accessModes: ['ReadWriteOnce'], storageClassName: '', volumeName: `${NAMESPACE}-${CLAIM}`, resources: { requests: { storage: '1Gi' } } },
    },
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'desk', namespace: NAMESPACE },
      spec: {
        replicas: 1,
        strategy: { type: 'Recreate' },
        selector: { matchLabels: { app: 'desk' } },
        template: {
          metadata: { labels: { app: 'desk' } },
          spec: {
            terminationGracePeriodSeconds: 0,
            containers: [
              {
                name: 'desk',
                image,
                imagePullPolicy: 'IfNotPresent',
                command: ['sleep', 'infinity'],
                volumeMounts: [{ name: 'data', mountPath: '/data' }],
              },
            ],
            volumes: [{ name: 'data', persistentVolumeClaim: { claimName: CLAIM } }],
          },
        },
      },
    },
  ];
}

export function policy(): object {
  return {
    apiVersion: GROUP,
    kind: 'BackupPolicy',
    metadata: { name: POLICY, namespace: NAMESPACE },
    spec: { location: LOCATION, workload: { kind: 'Deployment', name: 'desk' }, volumes: [CLAIM] },
  };
}

export function backup(name: string): object {
  return { apiVersion: GROUP, kind: 'Backup', metadata: { name, namespace: NAMESPACE }, spec: { policy: POLICY } };
}

export function restore(name: string, backupName: string): object {
  return { apiVersion: GROUP, kind: 'Restore', metadata: { name, namespace: NAMESPACE }, spec: { source: { backup: backupName } } };
}

function secret(name: string, accessKeyId: string | undefined, secretAccessKey: string | undefined): object {
  return { apiVersion: 'v1', kind: 'Secret', metadata: { name, namespace: SYSTEM_NAMESPACE }, stringData: { accessKeyId, secretAccessKey } };
}

function awsKms(endpoint: string | undefined, region: string | undefined, keyId: string | undefined, secretName: string): object {
  const credentials = { name: secretName };
  return { provider: 'aws', aws: { endpoint, region, keyId, credentialsSecretRef: credentials, moverCredentialsSecretRef: credentials } };
}
