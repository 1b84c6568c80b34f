import { GROUP, kinds, VERSION } from '../api/index.ts';

/** Where the API server keeps one kind. `group` is empty for the core API, `version` where the server is asked which one it prefers. */
export interface ResourceType {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  readonly plural: string;
  readonly namespaced: boolean;
}

/** Any object of the API server; controllers read the parts that they need through their own narrow types. */
export interface KubeObject {
  readonly apiVersion?: string | undefined;
  readonly kind?: string | undefined;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string | undefined;
    readonly uid: string;
    readonly resourceVersion: string;
    readonly labels?: Readonly<Record<string, string>> | undefined;
    readonly annotations?: Readonly<Record<string, string>> | undefined;
  };
}

function ours(kind: (typeof kinds)[number]['kind']): ResourceType {
  const definition = kinds.find((each) => each.kind === kind);
  if (definition === undefined) throw new RangeError(`no kind ${kind}`);
  return { group: GROUP, version: VERSION, kind, plural: definition.plural, namespaced: definition.scope === 'Namespaced' };
}

function core(kind: string, plural: string, namespaced = true): ResourceType {
  return { group: '', version: 'v1', kind, plural, namespaced };
}

/** Of the external snapshotter's CRDs, which a cluster may lack. */
function snapshot(kind: string, plural: string, namespaced: boolean): ResourceType {
  return { group: 'snapshot.storage.k8s.io', version: 'v1', kind, plural, namespaced };
}

/** Served as v1beta1, v1beta2 or v1, as old as the cluster is; what we read and write is the same in all. */
function groupSnapshot(kind: string, plural: string, namespaced: boolean): ResourceType {
  return { group: 'groupsnapshot.storage.k8s.io', version: '', kind, plural, namespaced };
}

/** Every type that the operator touches by name. */
export const resourceTypes = {
  backupLocations: ours('BackupLocation'),
  backupTenants: ours('BackupTenant'),
  backupPolicies: ours('BackupPolicy'),
  backups: ours('Backup'),
  restores: ours('Restore'),
  namespaces: core('Namespace', 'namespaces', false),
  nodes: core('Node', 'nodes', false),
  pods: core('Pod', 'pods'),
  secrets: core('Secret', 'secrets'),
  serviceAccounts: core('ServiceAccount', 'serviceaccounts'),
  roles: { group: 'rbac.authorization.k8s.io', version: 'v1', kind: 'Role', plural: 'roles', namespaced: true },
  roleBindings: { group: 'rbac.authorization.k8s.io', version: 'v1', kind: 'RoleBinding', plural: 'rolebindings', namespaced: true },
  persistentVolumes: core('PersistentVolume', 'persistentvolumes', false),
  persistentVolumeClaims: core('PersistentVolumeClaim', 'persistentvolumeclaims'),
  storageClasses: { group: 'storage.k8s.io', version: 'v1', kind: 'StorageClass', plural: 'storageclasses', namespaced: false },
  volumeSnapshots: snapshot('VolumeSnapshot', 'volumesnapshots', true),
  volumeSnapshotContents: snapshot('VolumeSnapshotContent', 'volumesnapshotcontents', false),
  volumeSnapshotClasses: snapshot('VolumeSnapshotClass', 'volumesnapshotclasses', false),
  volumeGroupSnapshots: groupSnapshot('VolumeGroupSnapshot', 'volumegroupsnapshots', true),
  volumeGroupSnapshotContents: groupSnapshot('VolumeGroupSnapshotContent', 'volumegroupsnapshotcontents', false),
  volumeGroupSnapshotClasses: groupSnapshot('VolumeGroupSnapshotClass', 'volumegroupsnapshotclasses', false),
  coreEvents: core('Event', 'events'),
  events: { group: 'events.k8s.io', version: 'v1', kind: 'Event', plural: 'events', namespaced: true },
  jobs: { group: 'batch', version: 'v1', kind: 'Job', plural: 'jobs', namespaced: true },
  leases: { group: 'coordination.k8s.io', version: 'v1', kind: 'Lease', plural: 'leases', namespaced: true },
  horizontalPodAutoscalers: {
    group: 'autoscaling',
    version: 'v2',
    kind: 'HorizontalPodAutoscaler',
    plural: 'horizontalpodautoscalers',
    namespaced: true,
  },
} as const satisfies Record<string, ResourceType>;

/** `/api/v1/namespaces/NS/pods`, `/apis/batch/v1/jobs`; without a namespace, the whole cluster. */
export function collectionPath(type: ResourceType, namespace?: string): string {
  const root = type.group === '' ? `/api/${type.version}` : `/apis/${type.group}/${type.version}`;
  return type.namespaced && namespace !== undefined ? `${root}/namespaces/${encodeURIComponent(namespace)}/${type.plural}` : `${root}/${type.plural}`;
}

export function objectPath(type: ResourceType, name: string, namespace?: string): string {
  return `${collectionPath(type, namespace)}/${encodeURIComponent(name)}`;
}
