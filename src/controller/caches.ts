/**
 * Everything that the operator watches, in one place: each kind once, shared by all controllers, with the indexes that they look up
 * by. Pods and events are watched only where they are movers', for a cluster has thousands of others.
 */
import { LABEL_MANAGED_BY, LABEL_RESTORE_UID, MANAGED_BY, MOVER_NAME_PREFIX, type Backup, type BackupLocation, type BackupPolicy, type BackupTenant, type Restore } from '../api/index.ts';
import { hasEnded, isTerminal, restoredBackup } from '../decide/index.ts';
import { Informer, ResourceClient, resourceTypes, type KubeConnection, type KubeObject, type ResourceType } from '../kube/index.ts';
import type { RawClaim, RawEvent, RawJob, RawNamespace, RawPod } from './raw-objects.ts';

/** What a controller needs of an informer. */
export type Cache<T extends KubeObject> = Pick<Informer<T>, 'get' | 'list' | 'byIndex' | 'remember'>;

export interface Caches {
  readonly namespaces: Informer<RawNamespace>;
  /** By `namespace`. */
  readonly claims: Informer<RawClaim>;
  readonly locations: Informer<BackupLocation>;
  /** By `namespace`, `namespaceUID` and `location`. */
  readonly tenants: Informer<BackupTenant>;
  /** By `namespace` and `location`. */
  readonly policies: Informer<BackupPolicy>;
  /** By `namespace`; by `policy` (`namespace/policy`); by `stage`: `waiting`, `transferring`, `ending`. */
  readonly backups: Informer<Backup>;
  /** By `namespace`; by `source` (`namespace/backup`); by `stage`: `open`. */
  readonly restores: Informer<Restore>;
  /** Our movers', by `namespace` and `owner` (UID). */
  readonly jobs: Informer<RawJob>;
  /** Our movers', by `namespace` and `job` (`namespace/job`). */
  readonly moverPods: Informer<RawPod>;
  /** FailedMount and FailedCreate of our movers, by `about` (`namespace/name`). */
  readonly warnings: readonly Informer<RawEvent>[];
}

const ours = `${LABEL_MANAGED_BY}=${MANAGED_BY}`;

export function makeCaches(connection: KubeConnection, onError: (error: unknown) => void): Caches {
  const informer = <T extends KubeObject>(type: ResourceType, options: ConstructorParameters<typeof Informer<T>>[1] = {}) =>
    new Informer<T>(new ResourceClient<T>(connection, type), { ...options, onError });
  const warning = (reason: string) =>
    informer<RawEvent>(resourceTypes.coreEvents, { fieldSelector: `reason=${reason}`, project: slimEvent, indexes: cacheIndexes.warnings });
  return {
    namespaces: informer(resourceTypes.namespaces, { project: slimNamespace }),
    claims: informer(resourceTypes.persistentVolumeClaims, { project: slimClaim, indexes: cacheIndexes.claims }),
    locations: informer<BackupLocation>(resourceTypes.backupLocations),
    tenants: informer<BackupTenant>(resourceTypes.backupTenants, { indexes: cacheIndexes.tenants }),
    policies: informer<BackupPolicy>(resourceTypes.backupPolicies, { indexes: cacheIndexes.policies }),
    backups: informer<Backup>(resourceTypes.backups, { indexes: cacheIndexes.backups }),
    restores: informer<Restore>(resourceTypes.restores, { indexes: cacheIndexes.restores }),
    jobs: informer<RawJob>(resourceTypes.jobs, { labelSelector: ours, project: slimJob, indexes: cacheIndexes.jobs }),
    moverPods: informer<RawPod>(resourceTypes.pods, { labelSelector: ours, project: slimPod, indexes: cacheIndexes.moverPods }),
    warnings: [warning('FailedMount'), warning('FailedCreate')],
  };
}

type Index<T> = Readonly<Record<string, (object: T) => readonly string[]>>;

/** What the caches can be asked for, beside by name. */
export const cacheIndexes = {
  claims: { namespace } satisfies Index<RawClaim>,
  tenants: {
    namespace: ({ spec }) => [spec.namespace],
    namespaceUID: ({ spec }) => [spec.namespaceUID],
    location: ({ spec }) => [spec.location],
  } satisfies Index<BackupTenant>,
  policies: { namespace, location: ({ spec }) => [spec.location] } satisfies Index<BackupPolicy>,
  backups: { namespace, policy: ({ metadata, spec }) => [`${metadata.namespace ?? ''}/${spec.policy}`], stage: stagesOfBackup } satisfies Index<Backup>,
  restores: {
    namespace,
    source: (restore) => [`${restore.metadata.namespace ?? ''}/${restoredBackup(restore) ?? ''}`],
    stage: (restore) => (hasEnded(restore) ? [] : ['open']),
  } satisfies Index<Restore>,
  jobs: { namespace, owner: ({ metadata }) => (metadata.ownerReferences ?? []).map(({ uid }) => uid) } satisfies Index<RawJob>,
  moverPods: { namespace, job: ({ metadata }) => [`${metadata.namespace ?? ''}/${jobOfPod(metadata)}`] } satisfies Index<RawPod>,
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

function stagesOfBackup(backup: Backup): readonly string[] {
  const phase = backup.status?.phase ?? 'Pending';
  const stages: string[] = [];
  if (phase === 'Queued') stages.push('waiting');
  if (phase === 'Transferring') stages.push('transferring');
  if (backup.metadata.deletionTimestamp !== undefined || (backup.spec.cancel && !isTerminal(phase))) stages.push('ending');
  return stages;
}

function aboutMover({ involvedObject }: RawEvent): readonly string[] {
  const name = involvedObject?.name ?? '';
  return name.startsWith(MOVER_NAME_PREFIX) ? [`${involvedObject?.namespace ?? ''}/${name}`] : [];
}

function slimMeta(metadata: RawNamespace['metadata']): RawNamespace['metadata'] {
  const { name, namespace: home, uid, resourceVersion, creationTimestamp, deletionTimestamp, ownerReferences } = metadata;
  return { name, namespace: home, uid, resourceVersion, creationTimestamp, deletionTimestamp, ownerReferences };
}

function slimNamespace({ metadata, status }: RawNamespace): RawNamespace {
  return { metadata: { ...slimMeta(metadata), labels: metadata.labels }, ...(status === undefined ? {} : { status: { phase: status.phase ?? '' } }) };
}

function slimClaim({ metadata, spec, status }: RawClaim): RawClaim {
  const restore = metadata.labels?.[LABEL_RESTORE_UID];
  return {
    metadata: { ...slimMeta(metadata), ...(restore === undefined ? {} : { labels: { [LABEL_RESTORE_UID]: restore } }) },
    spec: {
      volumeMode: spec?.volumeMode ?? 'Filesystem',
      accessModes: spec?.accessModes ?? [],
      volumeName: spec?.volumeName ?? '',
      storageClassName: spec?.storageClassName,
      resources: { requests: { storage: spec?.resources?.requests?.storage } },
    },
    status: { phase: status?.phase ?? '', capacity: { storage: status?.capacity?.storage } },
  };
}

function slimJob({ metadata, status }: RawJob): RawJob {
  return { metadata: { ...slimMeta(metadata), labels: metadata.labels, annotations: metadata.annotations }, status: { conditions: status?.conditions ?? [] } };
}

function slimPod({ metadata, spec, status }: RawPod): RawPod {
  return { metadata: { ...slimMeta(metadata), labels: metadata.labels }, spec: { nodeName: spec?.nodeName ?? '' }, ...(status === undefined ? {} : { status }) };
}

/** Of events that are not ours only the key is kept. */
function slimEvent(event: RawEvent): RawEvent {
  const metadata = slimMeta(event.metadata);
  if (aboutMover(event).length === 0) return { metadata };
  const { involvedObject, reason, message, lastTimestamp, eventTime } = event;
  return { metadata, ...(involvedObject === undefined ? {} : { involvedObject }), reason: reason ?? '', message: message ?? '', lastTimestamp: lastTimestamp ?? null, eventTime: eventTime ?? null };
}
