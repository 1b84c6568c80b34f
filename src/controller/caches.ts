/**
 * Everything that the operator watches, in one place: each kind once, shared by all controllers, with the indexes that they look up
 * by. Pods and events are watched only where they are movers', for a cluster has thousands of others.
 */
import { LABEL_BACKUP_UID, LABEL_MANAGED_BY, LABEL_NAMESPACE, MANAGED_BY, type Backup, type BackupLocation, type BackupPolicy, type BackupTenant, type Restore } from '../api/index.ts';
import { deletionKeys, familyOf, familyOfLabel, familyOfUid, hasEnded, isTerminal, restoredBackup } from '../decide/index.ts';
import { Informer, ResourceClient, resourceTypes, type KubeConnection, type KubeObject, type ResourceType } from '../kube/index.ts';
import type { RawClaim, RawEvent, RawGroupContent, RawGroupSnapshot, RawJob, RawNamespace, RawNode, RawPod, RawSecret, RawSnapshot, RawSnapshotClass, RawSnapshotContent, RawStorageClass, RawVolume } from './raw-objects.ts';
import { ANNOTATION_GROUP_HANDLE, aboutMover, groupOwner, slimClaim, slimContent, slimEvent, slimGroup, slimGroupContent, slimJob, slimNamespace, slimNode, slimPod, slimSecret, slimSnapshot, slimStorageClass, slimVolume } from './slim-objects.ts';

/** What a controller needs of an informer. */
export type Cache<T extends KubeObject> = Pick<Informer<T>, 'get' | 'list' | 'byIndex' | 'countOf' | 'remember' | 'forget' | 'absent'>;

export interface Caches {
  readonly namespaces: Informer<RawNamespace>;
  /** By `namespace` and `family`; the customer's that have the label of a group by `label` (family). */
  readonly claims: Informer<RawClaim>;
  /** By `family`: those whose claim has a name of ours. */
  readonly volumes: Informer<RawVolume>;
  readonly storageClasses: Informer<RawStorageClass>;
  readonly snapshotClasses: Informer<RawSnapshotClass>;
  /** By `family`, also those of a group that is ours; by `group` (`namespace/group`). */
  readonly snapshots: Informer<RawSnapshot>;
  /** By `family`: those of snapshots that have a name of ours; by `groupHandle`. */
  readonly snapshotContents: Informer<RawSnapshotContent>;
  readonly groupClasses: Informer<RawSnapshotClass>;
  /** By `family`, both. */
  readonly groups: Informer<RawGroupSnapshot>;
  readonly groupContents: Informer<RawGroupContent>;
  /** Of movers that run in their own namespace, by `family`. */
  readonly moverSecrets: Informer<RawSecret>;
  readonly locations: Informer<BackupLocation>;
  /** By `namespace`, `namespaceUID` and `location`. */
  readonly tenants: Informer<BackupTenant>;
  /** By `namespace`, `location` and `verification` (its phase). */
  readonly policies: Informer<BackupPolicy>;
  /** By `namespace`; by `policy` (`namespace/policy`); by `stage`: `waiting`, `transferring`, `ending`; by `deletion` (one of `DELETIONS`); those that have not ended by `family`. */
  readonly backups: Informer<Backup>;
  /** By `namespace`; by `source` (`namespace/backup`); by `stage`: `open`. */
  readonly restores: Informer<Restore>;
  /** Our movers', by `namespace` (also that of the customer they are for), `owner` (UID) and `family`. */
  readonly jobs: Informer<RawJob>;
  /** Whether they answer. */
  readonly nodes: Informer<RawNode>;
  /** Our movers', by `namespace`, `job` (`namespace/job`) and `node`. */
  readonly moverPods: Informer<RawPod>;
  /** FailedMount, FailedAttachVolume, FailedCreate and ProvisioningFailed of our movers and their copies, by `about` (`namespace/name`). */
  readonly warnings: readonly Informer<RawEvent>[];
}

const ours = `${LABEL_MANAGED_BY}=${MANAGED_BY}`;

/** @param moverNamespace - where movers run that need nothing of a customer's namespace */
export function makeCaches(connection: KubeConnection, moverNamespace: string, onError: (error: unknown) => void): Caches {
  const informer = <T extends KubeObject>(type: ResourceType, options: ConstructorParameters<typeof Informer<T>>[1] = {}) =>
    new Informer<T>(new ResourceClient<T>(connection, type), { ...options, onError });
  const warning = (reason: string) =>
    informer<RawEvent>(resourceTypes.coreEvents, { fieldSelector: `reason=${reason}`, project: slimEvent, indexes: cacheIndexes.warnings });
  return {
    namespaces: informer(resourceTypes.namespaces, { project: slimNamespace }),
    claims: informer(resourceTypes.persistentVolumeClaims, { project: slimClaim, indexes: cacheIndexes.claims }),
    volumes: informer(resourceTypes.persistentVolumes, { project: slimVolume, indexes: cacheIndexes.volumes }),
    storageClasses: informer(resourceTypes.storageClasses, { project: slimStorageClass }),
    snapshotClasses: informer<RawSnapshotClass>(resourceTypes.volumeSnapshotClasses, { optional: true }),
    snapshots: informer(resourceTypes.volumeSnapshots, { optional: true, project: slimSnapshot, indexes: cacheIndexes.snapshots }),
    snapshotContents: informer(resourceTypes.volumeSnapshotContents, { optional: true, project: slimContent, indexes: cacheIndexes.snapshotContents }),
    groupClasses: informer<RawSnapshotClass>(resourceTypes.volumeGroupSnapshotClasses, { optional: true }),
    groups: informer(resourceTypes.volumeGroupSnapshots, { optional: true, project: slimGroup, indexes: cacheIndexes.groups }),
    groupContents: informer(resourceTypes.volumeGroupSnapshotContents, { optional: true, project: slimGroupContent, indexes: cacheIndexes.groupContents }),
    moverSecrets: informer(resourceTypes.secrets, { namespace: moverNamespace, labelSelector: ours, project: slimSecret, indexes: cacheIndexes.moverSecrets }),
    locations: informer<BackupLocation>(resourceTypes.backupLocations),
    tenants: informer<BackupTenant>(resourceTypes.backupTenants, { indexes: cacheIndexes.tenants }),
    policies: informer<BackupPolicy>(resourceTypes.backupPolicies, { indexes: cacheIndexes.policies }),
    backups: informer<Backup>(resourceTypes.backups, { indexes: cacheIndexes.backups }),
    restores: informer<Restore>(resourceTypes.restores, { indexes: cacheIndexes.restores }),
    jobs: informer<RawJob>(resourceTypes.jobs, { labelSelector: ours, project: slimJob, indexes: cacheIndexes.jobs }),
    moverPods: informer<RawPod>(resourceTypes.pods, { labelSelector: ours, project: slimPod, indexes: cacheIndexes.moverPods }),
    nodes: informer(resourceTypes.nodes, { project: slimNode }),
    warnings: [warning('FailedMount'), warning('FailedAttachVolume'), warning('FailedCreate'), warning('ProvisioningFailed')],
  };
}

type Index<T> = Readonly<Record<string, (object: T) => readonly string[]>>;

/** What the caches can be asked for, beside by name. */
export const cacheIndexes = {
  claims: { namespace, family, label: ({ metadata }) => Object.keys(metadata.labels ?? {}).flatMap((label) => familyOfLabel(label) ?? []) } satisfies Index<RawClaim>,
  volumes: { family: ({ spec }) => listed(familyOf(spec?.claimRef?.name ?? '')) } satisfies Index<RawVolume>,
  snapshots: {
    family: ({ metadata }) => listed(familyOf(metadata.name) ?? familyOf(groupOwner(metadata) ?? '')),
    group: ({ metadata }) => listed(groupOwner(metadata)).map((group) => `${metadata.namespace ?? ''}/${group}`),
  } satisfies Index<RawSnapshot>,
  snapshotContents: {
    family: ({ spec }) => listed(familyOf(spec?.volumeSnapshotRef?.name ?? '')),
    groupHandle: ({ metadata }) => listed(metadata.annotations?.[ANNOTATION_GROUP_HANDLE]),
  } satisfies Index<RawSnapshotContent>,
  groups: { family } satisfies Index<RawGroupSnapshot>,
  groupContents: { family: ({ spec }) => listed(familyOf(spec?.volumeGroupSnapshotRef?.name ?? '')) } satisfies Index<RawGroupContent>,
  moverSecrets: { family } satisfies Index<RawSecret>,
  tenants: {
    namespace: ({ spec }) => [spec.namespace],
    namespaceUID: ({ spec }) => [spec.namespaceUID],
    location: ({ spec }) => [spec.location],
  } satisfies Index<BackupTenant>,
  policies: { namespace, location: ({ spec }) => [spec.location], verification: ({ status }) => listed(status?.verification?.phase) } satisfies Index<BackupPolicy>,
  backups: { namespace, policy: ({ metadata, spec }) => [`${metadata.namespace ?? ''}/${spec.policy}`], stage: stagesOfBackup, deletion: deletionKeys, family: familyOfBackup } satisfies Index<Backup>,
  restores: {
    namespace,
    source: (restore) => [`${restore.metadata.namespace ?? ''}/${restoredBackup(restore) ?? ''}`],
    stage: (restore) => (hasEnded(restore) ? [] : ['open']),
  } satisfies Index<Restore>,
  jobs: { namespace: homes, owner: ({ metadata }) => ownersOf(metadata).map(({ uid }) => uid), family } satisfies Index<RawJob>,
  moverPods: {
    namespace: homes,
    job: ({ metadata }) => [`${metadata.namespace ?? ''}/${jobOfPod(metadata)}`],
    node: ({ spec }) => [spec?.nodeName ?? ''],
  } satisfies Index<RawPod>,
  warnings: { about: aboutMover } satisfies Index<RawEvent>,
};

/** All of them, e.g. to run them. */
export function allInformers(caches: Caches): readonly Pick<Informer<KubeObject>, 'run' | 'synced' | 'size'>[] {
  const { warnings, ...others } = caches;
  return [...Object.values(others), ...warnings];
}

export function jobOfPod(metadata: RawPod['metadata']): string {
  return metadata.labels?.['batch.kubernetes.io/job-name'] ?? metadata.labels?.['job-name'] ?? '';
}

function namespace({ metadata }: KubeObject): readonly string[] {
  return [metadata.namespace ?? ''];
}

function listed(value: string | undefined): readonly string[] {
  return value === undefined ? [] : [value];
}

function family({ metadata }: KubeObject): readonly string[] {
  return listed(familyOf(metadata.name));
}

/** Its own namespace, and that of the customer whom it is for. */
function homes({ metadata }: KubeObject): readonly string[] {
  const own = metadata.namespace ?? '';
  const home = metadata.labels?.[LABEL_NAMESPACE];
  return home === undefined || home === own ? [own] : [own, home];
}

/** A mover in another namespace than its Backup's has no owner reference; its labels name the owner. */
export function ownersOf({ ownerReferences, labels }: RawJob['metadata']): readonly { readonly kind: string; readonly uid: string }[] {
  const uid = labels?.[LABEL_BACKUP_UID];
  if (ownerReferences !== undefined && ownerReferences.length > 0) return ownerReferences;
  return uid === undefined ? [] : [{ kind: 'Backup', uid }];
}

/** Of those that have not ended: the others are many, and nothing is made for them. */
function familyOfBackup({ metadata, status }: Backup): readonly string[] {
  return isTerminal(status?.phase) ? [] : [familyOfUid(metadata.uid)];
}

/** What of the work on a backup is under way. */
export function stagesOfBackup(backup: Backup): readonly string[] {
  const phase = backup.status?.phase ?? 'Pending';
  const stages: string[] = [];
  if (phase === 'Queued') stages.push('waiting');
  if (phase === 'Snapshotting' || phase === 'Transferring') stages.push('transferring');
  if (backup.metadata.deletionTimestamp !== undefined || (backup.spec.cancel && !isTerminal(phase))) stages.push('ending');
  return stages;
}
