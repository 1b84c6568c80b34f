/** What the caches keep of each object: a cluster has many, and decisions need little of each. */
import { LABEL_GROUP_PREFIX, LABEL_RESTORE_UID, MOVER_NAME_PREFIX } from '../api/index.ts';
import type { RawClaim, RawEvent, RawGroupContent, RawGroupSnapshot, RawJob, RawNamespace, RawNode, RawPod, RawSecret, RawSnapshot, RawSnapshotContent, RawStorageClass, RawVolume } from './raw-objects.ts';

export function aboutMover({ involvedObject }: RawEvent): readonly string[] {
  const name = involvedObject?.name ?? '';
  return name.startsWith(MOVER_NAME_PREFIX) ? [`${involvedObject?.namespace ?? ''}/${name}`] : [];
}

function slimMeta(metadata: RawNamespace['metadata']): RawNamespace['metadata'] {
  const { name, namespace: home, uid, resourceVersion, creationTimestamp, deletionTimestamp, ownerReferences } = metadata;
  return { name, namespace: home, uid, resourceVersion, creationTimestamp, deletionTimestamp, ownerReferences };
}

export function slimNamespace({ metadata, status }: RawNamespace): RawNamespace {
  return { metadata: { ...slimMeta(metadata), labels: metadata.labels }, ...(status === undefined ? {} : { status: { phase: status.phase ?? '' } }) };
}

/** A node tells a lot each few minutes; of all that we read whether it is ready. */
export function slimNode({ metadata, status }: RawNode): RawNode {
  return { metadata: slimMeta(metadata), status: { conditions: (status?.conditions ?? []).filter(({ type }) => type === 'Ready') } };
}

export function slimClaim({ metadata, spec, status }: RawClaim): RawClaim {
  const kept = Object.entries(metadata.labels ?? {}).filter(([label]) => label === LABEL_RESTORE_UID || label.startsWith(LABEL_GROUP_PREFIX));
  const ours = isNamedByUs(metadata) ? { labels: metadata.labels, annotations: metadata.annotations } : {};
  return {
    metadata: { ...slimMeta(metadata), ...(kept.length === 0 ? {} : { labels: Object.fromEntries(kept) }), ...ours },
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

export function slimJob({ metadata, status }: RawJob): RawJob {
  return { metadata: { ...slimMeta(metadata), labels: metadata.labels, annotations: metadata.annotations }, status: { conditions: status?.conditions ?? [] } };
}

export function slimPod({ metadata, spec, status }: RawPod): RawPod {
  return { metadata: { ...slimMeta(metadata), labels: metadata.labels }, spec: { nodeName: spec?.nodeName ?? '' }, ...(status === undefined ? {} : { status }) };
}

/** Of events that are not ours only the key is kept. */
export function slimEvent(event: RawEvent): RawEvent {
  const metadata = slimMeta(event.metadata);
  if (aboutMover(event).length === 0) return { metadata };
  const { involvedObject, reason, message, lastTimestamp, eventTime } = event;
  return { metadata, ...(involvedObject === undefined ? {} : { involvedObject }), reason: reason ?? '', message: message ?? '', lastTimestamp: lastTimestamp ?? null, eventTime: eventTime ?? null };
}

export function slimVolume({ metadata, spec }: RawVolume): RawVolume {
  const { csi, claimRef, persistentVolumeReclaimPolicy = '' } = spec ?? {};
  return {
    metadata: slimMeta(metadata),
    spec: {
      ...(csi === undefined ? {} : { csi: { driver: csi.driver } }),
      claimRef: { namespace: claimRef?.namespace ?? '', name: claimRef?.name ?? '' },
      persistentVolumeReclaimPolicy,
    },
  };
}

export function slimStorageClass({ metadata, volumeBindingMode = 'Immediate' }: RawStorageClass): RawStorageClass {
  return { metadata: { ...slimMeta(metadata), annotations: metadata.annotations }, volumeBindingMode };
}

/** On the content of a snapshot that is part of a group. */
export const ANNOTATION_GROUP_HANDLE = 'groupsnapshot.storage.k8s.io/volumeGroupSnapshotHandle';

/** The sidecar deletes a driver's snapshot, or lets go of a content, only once this says that the VolumeSnapshot is going. */
export const ANNOTATION_BEING_DELETED = 'snapshot.storage.kubernetes.io/volumesnapshot-being-deleted';

/** Name of the group that a snapshot is part of. */
export function groupOwner({ ownerReferences }: RawSnapshot['metadata']): string | undefined {
  return ownerReferences?.find(({ kind }) => kind === 'VolumeGroupSnapshot')?.name;
}

/** Of snapshots that are neither ours nor of a group of ours only the key is kept. */
export function slimSnapshot({ metadata, spec, status }: RawSnapshot): RawSnapshot {
  if (!isNamedByUs(metadata) && !isNamedByUs({ name: groupOwner(metadata) ?? '' })) return { metadata: slimMeta(metadata) };
  return { metadata: { ...slimMeta(metadata), labels: metadata.labels }, ...(spec === undefined ? {} : { spec }), ...(status === undefined ? {} : { status }) };
}

/** Of contents of others' snapshots only the key is kept; whose group one is of cannot be seen on it. */
export function slimContent({ metadata, spec, status }: RawSnapshotContent): RawSnapshotContent {
  const isOfGroup = metadata.annotations?.[ANNOTATION_GROUP_HANDLE] !== undefined;
  if (!isOfGroup && !isNamedByUs({ name: spec?.volumeSnapshotRef?.name ?? '' })) return { metadata: slimMeta(metadata) };
  return {
    metadata: { ...slimMeta(metadata), annotations: metadata.annotations },
    ...(spec === undefined ? {} : { spec }),
    ...(status === undefined ? {} : { status }),
  };
}

export function slimGroup({ metadata, status }: RawGroupSnapshot): RawGroupSnapshot {
  if (!isNamedByUs(metadata)) return { metadata: slimMeta(metadata) };
  return { metadata: { ...slimMeta(metadata), labels: metadata.labels }, ...(status === undefined ? {} : { status }) };
}

export function slimGroupContent({ metadata, spec, status }: RawGroupContent): RawGroupContent {
  if (!isNamedByUs({ name: spec?.volumeGroupSnapshotRef?.name ?? '' })) return { metadata: slimMeta(metadata) };
  const { volumeGroupSnapshotHandle: handle } = status ?? {};
  return { metadata: slimMeta(metadata), ...(spec === undefined ? {} : { spec }), ...(handle === undefined ? {} : { status: { volumeGroupSnapshotHandle: handle } }) };
}

/** The data stay out of memory. */
export function slimSecret({ metadata }: RawSecret): RawSecret {
  return { metadata: { ...slimMeta(metadata), labels: metadata.labels } };
}

function isNamedByUs({ name }: { readonly name: string }): boolean {
  return name.startsWith(MOVER_NAME_PREFIX);
}
