/** What is made to copy a volume, as it is sent to the API server. */
import { LABEL_BACKUP, LABEL_BACKUP_UID, LABEL_COMPONENT, LABEL_MANAGED_BY, LABEL_NAMESPACE, MANAGED_BY, type Backup, type VolumeCopy } from '../api/index.ts';
import { copyName, groupLabel, groupName, labelValue } from './child-names.ts';
import type { ContentFact } from './copy-facts.ts';
import type { ClaimFact } from './observed.ts';

export interface CopyObject {
  /** `label`: not made, but laid over the labels of a claim that is there. */
  readonly kind: 'snapshot' | 'content' | 'claim' | 'group' | 'label';
  readonly manifest: { readonly metadata: { readonly name: string; readonly namespace?: string; readonly labels?: Readonly<Record<string, string>> } } & Readonly<Record<string, unknown>>;
}

/** Annotation with which the scheduler tells a provisioner for which node to make a volume. */
export const ANNOTATION_SELECTED_NODE = 'volume.kubernetes.io/selected-node';
const SNAPSHOT_API = 'snapshot.storage.k8s.io';

interface Target {
  readonly backup: Backup;
  readonly index: number;
}

/** Of the live volume. */
export function snapshotOf(target: Target, copy: VolumeCopy): CopyObject {
  const spec = { ...(copy.className === undefined ? {} : { volumeSnapshotClassName: copy.className }), source: { persistentVolumeClaimName: copy.claim } };
  return { kind: 'snapshot', manifest: { apiVersion: `${SNAPSHOT_API}/v1`, kind: 'VolumeSnapshot', metadata: meta(target, target.backup.metadata.namespace ?? ''), spec } };
}

/** Of all live volumes that have the label, at one moment. Its version is the server's. */
export function groupOf(backup: Backup, className: string): CopyObject {
  const { uid, namespace = '' } = backup.metadata;
  const metadata = { ...meta({ backup, index: 0 }, namespace), name: groupName(backup) };
  const spec = { volumeGroupSnapshotClassName: className, source: { selector: { matchLabels: { [groupLabel(uid)]: 'true' } } } };
  return { kind: 'group', manifest: { kind: 'VolumeGroupSnapshot', metadata, spec } };
}

/** A group snapshot finds its volumes by a label, so the customer's claims have one for a while. */
export function groupLabelOf(backup: Backup, claim: string): CopyObject {
  const { uid, namespace = '' } = backup.metadata;
  return { kind: 'label', manifest: { metadata: { name: claim, namespace, labels: { [groupLabel(uid)]: 'true' } } } };
}

/**
 * The same snapshot for the movers' namespace. It is retained, so that whatever happens to this one, the driver is told to delete
 * the snapshot once, through the content that it was made with.
 */
export function reboundContent(target: Target, namespace: string, content: ContentFact, handle: string): CopyObject {
  const metadata = { ...meta(target), annotations: content.annotations };
  const spec = {
    deletionPolicy: 'Retain',
    driver: content.driver,
    source: { snapshotHandle: handle },
    ...(content.className === undefined ? {} : { volumeSnapshotClassName: content.className }),
    ...(content.volumeMode === undefined ? {} : { sourceVolumeMode: content.volumeMode }),
    volumeSnapshotRef: { apiVersion: `${SNAPSHOT_API}/v1`, kind: 'VolumeSnapshot', namespace, name: metadata.name },
  };
  return { kind: 'content', manifest: { apiVersion: `${SNAPSHOT_API}/v1`, kind: 'VolumeSnapshotContent', metadata, spec } };
}

export function reboundSnapshot(target: Target, namespace: string): CopyObject {
  const metadata = meta(target, namespace);
  const spec = { source: { volumeSnapshotContentName: metadata.name } };
  return { kind: 'snapshot', manifest: { apiVersion: `${SNAPSHOT_API}/v1`, kind: 'VolumeSnapshot', metadata, spec } };
}

export interface CopiedVolume {
  readonly namespace: string;
  readonly source: ClaimFact;
  readonly from: 'VolumeSnapshot' | 'PersistentVolumeClaim';
  /** A quantity. */
  readonly size: string;
  /** For a clone that no pod waits for: the node to make it for. */
  readonly node: string | undefined;
}

/** A claim whose volume is made from the snapshot of the same name, or from the live claim. */
export function copiedClaim(target: Target, volume: CopiedVolume): CopyObject {
  const { namespace, source, from, size, node } = volume;
  const base = meta(target, namespace);
  const metadata = node === undefined ? base : { ...base, annotations: { [ANNOTATION_SELECTED_NODE]: node } };
  const dataSource = from === 'VolumeSnapshot' ? { apiGroup: SNAPSHOT_API, kind: from, name: base.name } : { kind: from, name: source.name };
  const spec = {
    ...(source.storageClassName === undefined ? {} : { storageClassName: source.storageClassName }),
    accessModes: [accessMode(source.accessModes)],
    volumeMode: 'Filesystem',
    dataSource,
    resources: { requests: { storage: size } },
  };
  return { kind: 'claim', manifest: { apiVersion: 'v1', kind: 'PersistentVolumeClaim', metadata, spec } };
}

/** One pod reads it, so the plainest mode that the source shows its driver to know; no API tells of others. */
function accessMode(modes: readonly string[]): string {
  const shared = modes.find((mode) => mode === 'ReadWriteMany') ?? modes.find((mode) => mode === 'ReadOnlyMany');
  const single = modes.some((mode) => mode === 'ReadWriteOnce' || mode === 'ReadWriteOncePod');
  return single || shared === undefined ? 'ReadWriteOnce' : shared;
}

function meta({ backup, index }: Target, namespace?: string) {
  const { uid, name, namespace: home = '' } = backup.metadata;
  return {
    name: copyName(backup, index),
    ...(namespace === undefined ? {} : { namespace }),
    labels: {
      [LABEL_MANAGED_BY]: MANAGED_BY,
      [LABEL_COMPONENT]: 'copy',
      [LABEL_BACKUP]: labelValue(name),
      [LABEL_BACKUP_UID]: uid,
      [LABEL_NAMESPACE]: labelValue(home),
    },
  };
}
