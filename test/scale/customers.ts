// Thousands of customers as they stand after a week: namespace, volume, policy, and seven stored backups each, as the operator itself
// would have written them.
import { API_VERSION, FINALIZER, LABEL_POLICY, LABEL_TRIGGER, type Backup, type BackupPolicy } from '../../src/api/index.ts';
import { displayTime } from '../../src/decide/index.ts';
import { tenantName } from '../../src/decide/tenant.ts';
import { ResourceClient, resourceTypes, type KubeConnection, type KubeObject, type NewObject, type ResourceType } from '../../src/kube/index.ts';
import { installCrdsForLaying } from '../support/installed-crds.ts';
import { LOCATION } from './world.ts';

export interface Customers {
  /** `namespace/policy` of each. */
  readonly policies: readonly string[];
  readonly namespaces: number;
  readonly backups: number;
  /** Policies whose quota has room for one more manual backup. */
  readonly withRoom: readonly string[];
}

const DAY_MS = 86_400_000;
/** One policy in a hundred belongs to a customer with twenty-five. */
const GREEDY = { share: 0.01, policies: 25 };
const WITH_ROOM = 5;
const KEPT = 7;
const AT_A_TIME = 48;

/** @param count - policies */
export async function layCustomers(connection: KubeConnection, count: number, say: (line: string) => void): Promise<Customers> {
  const homes = homesOf(count);
  const client = <T extends KubeObject>(type: ResourceType) => new ResourceClient<T>(connection, type);
  const finishCrds = await installCrdsForLaying(connection);
  const now = Date.now();
  const namespaces = [...new Set(homes.map(([namespace]) => namespace))];
  const tenants = new Map<string, string>();
  await each(namespaces, async (name) => {
    const made = await client(resourceTypes.namespaces).create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
    tenants.set(name, tenantName({ name, uid: made.metadata.uid }));
    await layVolume(connection, name);
  });
  say(`${namespaces.length} namespaces with a volume each`);
  await each(homes, async ([namespace, name]) => {
    await client<BackupPolicy>(resourceTypes.backupPolicies).create({ apiVersion: API_VERSION, kind: 'BackupPolicy', metadata: { name, namespace }, spec: { location: LOCATION, verification: { suspend: true } } });
  });
  say(`${homes.length} policies`);
  const withRoom = homes.slice(0, WITH_ROOM);
  const backups = homes.flatMap((home) => Array.from({ length: KEPT - Number(withRoom.includes(home)) }, (_, age) => [home, age] as const));
  await each(backups, async ([[namespace, policy], age]) => {
    await client<Backup>(resourceTypes.backups).create(storedBackup({ namespace, policy, age, tenant: tenants.get(namespace) ?? '', at: now - (age + 1) * DAY_MS / 2 }));
  });
  say(`${backups.length} stored backups`);
  await finishCrds();
  return { policies: homes.map(([namespace, name]) => `${namespace}/${name}`), namespaces: namespaces.length, backups: backups.length, withRoom: withRoom.map(([namespace, name]) => `${namespace}/${name}`) };
}

function homesOf(count: number): readonly (readonly [string, string])[] {
  const greedy = Math.max(1, Math.round((count * GREEDY.share) / GREEDY.policies)) * Math.min(GREEDY.policies, Math.ceil(count / 4));
  return Array.from({ length: count }, (_, index) => {
    const fromEnd = count - 1 - index;
    if (fromEnd >= greedy) return [`customer-${index}`, 'daily'] as const;
    return [`many-${Math.floor(fromEnd / GREEDY.policies)}`, `daily-${fromEnd}`] as const;
  });
}

/** Bound by hand: the controller that binds volumes is not there, and nobody mounts them. */
async function layVolume(connection: KubeConnection, namespace: string): Promise<void> {
  const spec = { accessModes: ['ReadWriteOnce'], storageClassName: '' };
  const claims = new ResourceClient(connection, resourceTypes.persistentVolumeClaims);
  const metadata = { name: 'data', namespace, annotations: { 'pv.kubernetes.io/bind-completed': 'yes' } };
  const claim = await claims.create({
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata,
    spec: { ...spec, volumeName: namespace, resources: { requests: { storage: '1Gi' } } },
  });
  await new ResourceClient(connection, resourceTypes.persistentVolumes).create({
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    metadata: { name: namespace },
    spec: { ...spec, capacity: { storage: '1Gi' }, hostPath: { path: '/nowhere' }, claimRef: { namespace, name: 'data', uid: claim.metadata.uid } },
  });
  await claims.patch('data', namespace, { status: { phase: 'Bound', capacity: { storage: '1Gi' }, accessModes: spec.accessModes } }, { subresource: 'status' });
}

function storedBackup({ namespace, policy, age, tenant, at }: { namespace: string; policy: string; age: number; tenant: string; at: number }): NewObject {
  const time = displayTime(at);
  const metadata = { name: `${policy}-${age}`, namespace, labels: { [LABEL_POLICY]: policy, [LABEL_TRIGGER]: 'Manual' }, finalizers: [FINALIZER] };
  const condition = { status: 'True', lastTransitionTime: time, observedGeneration: 1 };
  return {
    apiVersion: API_VERSION,
    kind: 'Backup',
    metadata,
    spec: { policy, requestedBy: 'a person of the customer', note: 'before the update' },
    status: {
      observedGeneration: 1,
      phase: 'Stored',
      tenant,
      keyGeneration: 1,
      snapshotId: Buffer.from(`${namespace}/${policy}/${age}`).toString('hex').padEnd(64, '0').slice(0, 64),
      copyMethod: 'Direct',
      volumes: ['data'],
      node: `node-${(namespace.length * 7 + age) % 100}`,
      attempt: 1,
      jobName: `tenant-backup-${age}`,
      queuedAt: time,
      startedAt: time,
      completedAt: time,
      duration: '4 s',
      files: 1000,
      bytesProcessed: 1_048_576,
      bytesAdded: 4096,
      size: '1 MiB',
      conditions: [
        { type: 'Stored', reason: 'Stored', message: '1000 files (1 MiB) are stored; 4 KiB were new.', ...condition },
        { type: 'Complete', reason: 'AllFilesRead', message: 'Every file could be read.', ...condition },
      ],
    },
  };
}

/** In order, some at a time. */
export async function each<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let item = items[next++]; item !== undefined; item = items[next++]) await work(item);
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, worker));
}
