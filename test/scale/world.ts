// A real control plane on the loopback address with simulated nodes: etcd, API server, Job controller, garbage collector, scheduler, and kwok in
// the kubelets' place; MinIO for the location's probe and the movers' sessions.
import { randomBytes } from 'node:crypto';
import { ResourceClient, resourceTypes, type KubeConnection, type KubeObject, type NewObject, type ResourceType } from '../../src/kube/index.ts';
import { API_VERSION } from '../../src/api/index.ts';
import { binary } from '../ground/binaries.ts';
import { ApiServer } from '../support/api-server.ts';
import { startProcess } from '../support/loopback-process.ts';
import { startS3 } from '../support/services.ts';
import { kwokConfiguration, type MoverTime } from './mover-stages.ts';

export const SYSTEM = 'tenant-backup-system';
export const LOCATION = 'here';
/** The user that the operator is: what it asks is told apart in the audit records, and queued as any other service account's requests. */
export const OPERATOR = 'operator';
const NODES = 100;
const QPS = { 'kube-api-qps': 1000, 'kube-api-burst': 2000 };

const AUDIT_POLICY = JSON.stringify({
  apiVersion: 'audit.k8s.io/v1',
  kind: 'Policy',
  omitStages: ['RequestReceived', 'ResponseStarted'],
  rules: [{ level: 'Metadata', users: [OPERATOR] }, { level: 'None' }],
});

export interface World {
  readonly connection: KubeConnection;
  /** Of the user `operator`. */
  readonly kubeconfig: string;
  /** Each request of the operator, one JSON line. */
  readonly auditLog: string;
  /** Starts what makes pods of Jobs and lets them run; before that nothing but the API is there. */
  startNodes(movers: MoverTime): Promise<void>;
  makeLocation(movers: number): Promise<void>;
  stop(): Promise<void>;
}

export async function startWorld(): Promise<World> {
  const s3 = await startS3();
  const api = await ApiServer.start({
    flags: {
      'audit-policy-file': '{folder}/audit-policy.json',
      'audit-log-path': '{folder}/audit.log',
      'audit-log-maxsize': 100_000,
      // Without the controller that takes them away again, the taints of new nodes would stay.
      'disable-admission-plugins': 'ServiceAccount,TaintNodesByCondition',
      'max-requests-inflight': 800,
      'max-mutating-requests-inflight': 400,
    },
    users: { [OPERATOR]: ['system:serviceaccounts'] },
    files: { 'audit-policy.json': AUDIT_POLICY },
  });
  const stops: (() => Promise<void>)[] = [];
  const stop = async (): Promise<void> => {
    for (const each of stops.reverse()) await each();
    await api.stop();
    await s3.stop();
  };
  const connection = api.connect();
  const client = (type: ResourceType) => new ResourceClient<KubeObject>(connection, type);
  const secret = (name: string, stringData: object): NewObject => ({ apiVersion: 'v1', kind: 'Secret', metadata: { name, namespace: SYSTEM }, stringData });
  await client(resourceTypes.namespaces).create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: SYSTEM } });
  await client(CLUSTER_ROLE_BINDINGS).create({
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRoleBinding',
    metadata: { name: OPERATOR },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'cluster-admin' },
    subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: OPERATOR }],
  });
  return {
    connection,
    kubeconfig: await api.kubeconfigOf(OPERATOR),
    auditLog: api.file('audit.log'),
    stop,
    async startNodes(movers) {
      await api.startProgram('kube-controller-manager', { controllers: 'job-controller,garbage-collector-controller,namespace-controller', 'concurrent-job-syncs': 10, ...QPS });
      await api.startProgram('kube-scheduler', QPS);
      const config = await api.writeFile('kwok.yaml', kwokConfiguration(movers));
      const kubeconfig = await api.kubeconfigOf('test');
      stops.push(startProcess(await binary('kwok'), ['--kubeconfig', kubeconfig, '--config', config, '--manage-all-nodes=true', '--node-ip=127.0.0.1', '--node-lease-duration-seconds=0'], { HOME: api.file('') }));
      for (let index = 0; index < NODES; index++) await client(resourceTypes.nodes).create({ apiVersion: 'v1', kind: 'Node', metadata: { name: `node-${index}` } });
    },
    async makeLocation(movers) {
      await client(resourceTypes.secrets).create(secret('s3', { accessKeyId: s3.accessKeyId, secretAccessKey: s3.secretAccessKey }));
      await client(resourceTypes.secrets).create(secret('kms', { key: randomBytes(32).toString('base64') }));
      await client(resourceTypes.backupLocations).create({
        apiVersion: API_VERSION,
        kind: 'BackupLocation',
        metadata: { name: LOCATION },
        spec: {
          s3: { endpoint: s3.endpoint, region: s3.region, bucket: s3.bucket, credentialsSecretRef: { name: 's3' } },
          kms: { provider: 'local', local: { secretRef: { name: 'kms' } } },
          limits: { movers },
        },
      });
    },
  };
}

const CLUSTER_ROLE_BINDINGS: ResourceType = { group: 'rbac.authorization.k8s.io', version: 'v1', kind: 'ClusterRoleBinding', plural: 'clusterrolebindings', namespaced: false };
