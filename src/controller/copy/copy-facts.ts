import { LABEL_BACKUP_UID } from '../../api/index.ts';
import { ANNOTATION_SELECTED_NODE, type ContentFact, type CopiedClaimFact, type CopiedVolumeFact, type GroupContentFact, type GroupFact, type SnapshotFact } from '../../decide/index.ts';
import { madeAt } from '../mover/facts.ts';
import { ANNOTATION_BEING_DELETED, ANNOTATION_GROUP_HANDLE } from '../slim-objects.ts';
import type { RawClaim, RawGroupContent, RawGroupSnapshot, RawSnapshot, RawSnapshotContent, RawVolume } from '../raw-objects.ts';

export function snapshotFact({ metadata, spec, status }: RawSnapshot): SnapshotFact {
  const cutAt = Date.parse(status?.creationTime ?? '');
  return {
    name: metadata.name,
    namespace: metadata.namespace ?? '',
    backupUid: metadata.labels?.[LABEL_BACKUP_UID],
    sourceClaim: spec?.source?.persistentVolumeClaimName,
    contentName: status?.boundVolumeSnapshotContentName,
    cutAt: Number.isNaN(cutAt) ? undefined : cutAt,
    ready: status?.readyToUse === true,
    restoreSize: status?.restoreSize,
    error: status?.error?.message,
    deleting: metadata.deletionTimestamp !== undefined,
    createdAt: madeAt(metadata),
  };
}

export function contentFact({ metadata, spec, status }: RawSnapshotContent): ContentFact {
  const { namespace = '', name = '' } = spec?.volumeSnapshotRef ?? {};
  return {
    name: metadata.name,
    driver: spec?.driver ?? '',
    handle: status?.snapshotHandle,
    className: spec?.volumeSnapshotClassName,
    volumeMode: spec?.sourceVolumeMode,
    annotations: secretNames(metadata.annotations),
    deletionPolicy: spec?.deletionPolicy ?? '',
    deleting: metadata.deletionTimestamp !== undefined,
    released: metadata.annotations?.[ANNOTATION_BEING_DELETED] !== undefined,
    inGroup: metadata.annotations?.[ANNOTATION_GROUP_HANDLE] !== undefined,
    snapshot: { namespace, name },
    error: status?.error?.message,
  };
}

export function groupFact({ metadata, status }: RawGroupSnapshot): GroupFact {
  const { name, namespace, backupUid, cutAt, ready, error, deleting, createdAt } = snapshotFact({ metadata, ...(status === undefined ? {} : { status }) });
  return { name, namespace, backupUid, cutAt, ready, error, deleting, createdAt };
}

export function groupContentFact({ metadata, spec, status }: RawGroupContent): GroupContentFact {
  const { namespace = '', name = '' } = spec?.volumeGroupSnapshotRef ?? {};
  return {
    name: metadata.name,
    handle: status?.volumeGroupSnapshotHandle,
    deletionPolicy: spec?.deletionPolicy ?? '',
    deleting: metadata.deletionTimestamp !== undefined,
    group: { namespace, name },
  };
}

/** Those that name a Secret for the driver; others tell what a controller did with that very content. */
function secretNames(annotations: RawSnapshotContent['metadata']['annotations']): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(annotations ?? {}).filter(([key]) => key.includes('secret')));
}

export function copiedClaimFact({ metadata, spec, status }: RawClaim): CopiedClaimFact {
  return {
    name: metadata.name,
    namespace: metadata.namespace ?? '',
    phase: status?.phase ?? '',
    volumeName: spec?.volumeName ? spec.volumeName : undefined,
    deleting: metadata.deletionTimestamp !== undefined,
    selectedNode: metadata.annotations?.[ANNOTATION_SELECTED_NODE],
    createdAt: madeAt(metadata),
  };
}

export function copiedVolumeFact({ metadata, spec }: RawVolume): CopiedVolumeFact {
  return {
    name: metadata.name,
    reclaimPolicy: spec?.persistentVolumeReclaimPolicy ?? '',
    deleting: metadata.deletionTimestamp !== undefined,
    claim: { namespace: spec?.claimRef?.namespace ?? '', name: spec?.claimRef?.name ?? '' },
  };
}
