/**
 * A storage system with its CSI driver, the snapshot controller, the sidecar and the provisioner, in memory: as much of them as
 * tells whether anything is left over. What it holds is in `snapshots` and `volumes`.
 */
import { randomUUID } from 'node:crypto';
import type { FakeCluster, Stored } from './fake-cluster.ts';

type Json = Record<string, unknown>;
const BEING_DELETED = 'snapshot.storage.kubernetes.io/volumesnapshot-being-deleted';
const GROUP_BEING_DELETED = 'groupsnapshot.storage.kubernetes.io/volumegroupsnapshot-being-deleted';
const GROUP_HANDLE = 'groupsnapshot.storage.k8s.io/volumeGroupSnapshotHandle';
export const DRIVER = 'csi.test';

export class FakeStorage {
  readonly cluster: FakeCluster;
  /** Handles of snapshots that exist at the storage system. */
  readonly snapshots = new Set<string>();
  /** Handles of volumes that exist there, beside those that were there before. */
  readonly volumes = new Set<string>();
  /** The snapshots that volumes were made from. */
  readonly restored: string[] = [];
  /** Deletions of one snapshot that was not there any more: two contents fought over it. */
  doubleDeletions = 0;
  /** What the driver says instead of making a snapshot. */
  error: string | undefined;

  constructor(cluster: FakeCluster, options: { groups?: boolean; deletionPolicy?: string; reclaimPolicy?: string; bindingMode?: string; clones?: boolean } = {}) {
    this.cluster = cluster;
    cluster.put('volumesnapshotclasses', undefined, { metadata: { name: 'snap' }, driver: DRIVER, deletionPolicy: options.deletionPolicy ?? 'Delete' } as never);
    if (options.groups === true)
      cluster.put('volumegroupsnapshotclasses', undefined, { metadata: { name: 'group' }, driver: DRIVER, deletionPolicy: options.deletionPolicy ?? 'Delete' } as never);
    cluster.put('storageclasses', undefined, {
      metadata: { name: 'fast', annotations: options.clones === true ? { 'backup.dupp.de/clone': 'true' } : {} },
      provisioner: DRIVER,
      reclaimPolicy: options.reclaimPolicy ?? 'Delete',
      volumeBindingMode: options.bindingMode ?? 'Immediate',
    } as never);
  }

  /** A bound volume of this driver. */
  addVolume(namespace: string, name: string, accessModes: readonly string[] = ['ReadWriteOnce']): void {
    const volume = `pv-${namespace}-${name}`;
    this.cluster.put('persistentvolumes', undefined, { metadata: { name: volume }, spec: { csi: { driver: DRIVER }, claimRef: { namespace, name }, persistentVolumeReclaimPolicy: 'Delete' } });
    const claim = {
      metadata: { name },
      spec: { volumeMode: 'Filesystem', accessModes, volumeName: volume, storageClassName: 'fast' },
      status: { phase: 'Bound', capacity: { storage: '1Gi' } },
    };
    if (this.cluster.find('persistentvolumeclaims', namespace, name) === undefined) this.cluster.put('persistentvolumeclaims', namespace, claim);
    else this.cluster.change('persistentvolumeclaims', namespace, name, claim);
  }

  turn(): void {
    for (const group of this.cluster.all('volumegroupsnapshots')) this.#groupController(group);
    for (const content of this.cluster.all('volumegroupsnapshotcontents')) this.#groupSidecar(content);
    for (const snapshot of this.cluster.all('volumesnapshots')) this.#snapshotController(snapshot);
    for (const content of this.cluster.all('volumesnapshotcontents')) this.#sidecar(content);
    for (const claim of this.cluster.all('persistentvolumeclaims')) this.#provisioner(claim);
    for (const volume of this.cluster.all('persistentvolumes')) this.#volumeController(volume);
  }

  #contentOf(snapshot: Stored): Stored | undefined {
    return this.cluster.all('volumesnapshotcontents').find(({ spec }) => {
      const ref = spec?.['volumeSnapshotRef'] as { namespace: string; name: string };
      return ref.namespace === snapshot.metadata.namespace && ref.name === snapshot.metadata.name;
    });
  }

  #snapshotController(snapshot: Stored): void {
    const { name, namespace, uid } = snapshot.metadata;
    const content = this.#contentOf(snapshot);
    const dynamic = (snapshot.spec?.['source'] as Json | undefined)?.['persistentVolumeClaimName'];
    const group = snapshot.metadata.ownerReferences?.find(({ kind }) => kind === 'VolumeGroupSnapshot')?.name;
    const isGrouped = group !== undefined && this.cluster.find('volumegroupsnapshots', namespace, group) !== undefined;
    // The garbage collector's work.
    if (group !== undefined && !isGrouped && snapshot.metadata.deletionTimestamp === undefined) this.#delete('volumesnapshots', namespace, name);
    if (snapshot.metadata.deletionTimestamp !== undefined) {
      if (isGrouped) return;
      if (content !== undefined) {
        this.cluster.change('volumesnapshotcontents', undefined, content.metadata.name, { metadata: { annotations: { [BEING_DELETED]: 'yes' } } });
        if (content.spec?.['deletionPolicy'] === 'Delete') this.#delete('volumesnapshotcontents', undefined, content.metadata.name);
      }
      // With the policy Delete it stays until the content is gone.
      if (content === undefined || content.spec?.['deletionPolicy'] !== 'Delete') this.#release('volumesnapshots', snapshot);
      return;
    }
    if (dynamic !== undefined && content === undefined && !(snapshot.status?.['boundVolumeSnapshotContentName'] !== undefined)) {
      this.cluster.put('volumesnapshotcontents', undefined, {
        metadata: { name: `snapcontent-${uid}`, finalizers: ['bound'] },
        spec: { driver: DRIVER, deletionPolicy: this.#classPolicy(), volumeSnapshotClassName: 'snap', source: { volumeHandle: 'h' }, volumeSnapshotRef: { namespace, name, uid } },
      });
    } else if (content !== undefined) {
      const bound = { ...(content.status ?? {}), boundVolumeSnapshotContentName: content.metadata.name };
      const ref = content.spec?.['volumeSnapshotRef'] as Json;
      if (ref['uid'] === undefined) this.cluster.change('volumesnapshotcontents', undefined, content.metadata.name, { metadata: { finalizers: ['bound'] }, spec: { volumeSnapshotRef: { uid } } });
      if (JSON.stringify(bound) !== JSON.stringify(snapshot.status))
        this.cluster.change('volumesnapshots', namespace, name, { metadata: { finalizers: ['source'] }, status: bound });
    }
  }

  #groupController(group: Stored): void {
    const { name, namespace, uid } = group.metadata;
    const content = this.cluster.all('volumegroupsnapshotcontents').find(({ spec }) => {
      const ref = spec?.['volumeGroupSnapshotRef'] as { namespace: string; name: string };
      return ref.namespace === namespace && ref.name === name;
    });
    if (group.metadata.deletionTimestamp !== undefined) {
      if (content !== undefined) {
        this.cluster.change('volumegroupsnapshotcontents', undefined, content.metadata.name, { metadata: { annotations: { [GROUP_BEING_DELETED]: 'yes' } } });
        if (content.spec?.['deletionPolicy'] === 'Delete') this.#delete('volumegroupsnapshotcontents', undefined, content.metadata.name);
      }
      for (const member of this.#membersOf(group)) this.#delete('volumesnapshots', namespace, member.metadata.name);
      if (content === undefined || content.spec?.['deletionPolicy'] !== 'Delete') this.#release('volumegroupsnapshots', group);
      return;
    }
    const selector = (group.spec?.['source'] as { selector: { matchLabels: Record<string, string> } }).selector.matchLabels;
    const claims = this.cluster.all('persistentvolumeclaims').filter(({ metadata }) => metadata.namespace === namespace && Object.entries(selector).every(([key, value]) => metadata.labels?.[key] === value));
    if (content === undefined && group.status === undefined) {
      const policy = String((this.cluster.find('volumegroupsnapshotclasses', undefined, 'group') as unknown as Json)['deletionPolicy']);
      const spec = { deletionPolicy: policy, volumeGroupSnapshotRef: { namespace, name, uid }, claims: claims.map(({ metadata }) => metadata.name) };
      this.cluster.put('volumegroupsnapshotcontents', undefined, { metadata: { name: `groupcontent-${uid}`, finalizers: ['bound'] }, spec });
      this.cluster.change('volumegroupsnapshots', namespace, name, { metadata: { finalizers: ['bound'] }, status: { boundVolumeGroupSnapshotContentName: `groupcontent-${uid}` } });
    } else if (content?.status?.['volumeGroupSnapshotHandle'] !== undefined && group.status?.['readyToUse'] !== true) {
      this.#makeMembers(group, content);
    }
  }

  #membersOf({ metadata: { uid } }: Stored): Stored[] {
    return this.cluster.all('volumesnapshots').filter(({ metadata }) => metadata.ownerReferences?.some((owner) => owner.uid === uid) === true);
  }

  #makeMembers(group: Stored, content: Stored): void {
    const { name, namespace, uid } = group.metadata;
    const handle = String(content.status?.['volumeGroupSnapshotHandle']);
    const creationTime = new Date(this.cluster.now).toISOString();
    for (const claim of content.spec?.['claims'] as string[]) {
      const member = `snapshot-${uid}-${claim}`;
      if (this.cluster.find('volumesnapshots', namespace, member) !== undefined) continue;
      const status = { snapshotHandle: `${handle}/${claim}`, readyToUse: true, creationTime, restoreSize: '1Gi' };
      const made = this.cluster.put('volumesnapshots', namespace, {
        metadata: { name: member, finalizers: ['group'], ownerReferences: [{ kind: 'VolumeGroupSnapshot', name, uid }] },
        spec: { source: { persistentVolumeClaimName: claim } },
        status: { ...status, boundVolumeSnapshotContentName: `snapcontent-${member}` },
      });
      this.cluster.put('volumesnapshotcontents', undefined, {
        metadata: { name: `snapcontent-${member}`, finalizers: ['bound'], annotations: { [GROUP_HANDLE]: handle } },
        spec: { driver: DRIVER, deletionPolicy: content.spec?.['deletionPolicy'], source: { volumeHandle: 'h' }, volumeSnapshotRef: { namespace, name: member, uid: made.metadata.uid } },
        status,
      });
      return;
    }
    this.cluster.change('volumegroupsnapshots', namespace, name, { status: { readyToUse: true, creationTime } });
  }

  #groupSidecar(content: Stored): void {
    const { name, annotations, deletionTimestamp } = content.metadata;
    const claims = content.spec?.['claims'] as string[];
    const handle = `group-${name}`;
    if (deletionTimestamp !== undefined) {
      if (annotations?.[GROUP_BEING_DELETED] === undefined) return;
      if (content.spec?.['deletionPolicy'] === 'Delete') for (const claim of claims) this.snapshots.delete(`${handle}/${claim}`);
      this.#release('volumegroupsnapshotcontents', content);
    } else if (content.status === undefined) {
      for (const claim of claims) this.snapshots.add(`${handle}/${claim}`);
      this.cluster.change('volumegroupsnapshotcontents', undefined, name, { status: { volumeGroupSnapshotHandle: handle } });
    }
  }

  #classPolicy(): string {
    return String((this.cluster.find('volumesnapshotclasses', undefined, 'snap') as unknown as Json)['deletionPolicy']);
  }

  #sidecar(content: Stored): void {
    const { name, annotations, deletionTimestamp } = content.metadata;
    const source = content.spec?.['source'] as { snapshotHandle?: string };
    const unbound = source.snapshotHandle !== undefined && (content.spec?.['volumeSnapshotRef'] as Json)['uid'] === undefined;
    if (deletionTimestamp !== undefined) {
      if (!unbound && annotations?.[BEING_DELETED] === undefined) return;
      const handle = annotations?.[GROUP_HANDLE] === undefined ? content.status?.['snapshotHandle'] : undefined;
      if (content.spec?.['deletionPolicy'] === 'Delete' && typeof handle === 'string' && !this.snapshots.delete(handle)) this.doubleDeletions++;
      this.#release('volumesnapshotcontents', content);
      return;
    }
    if (content.status?.['readyToUse'] === true) return;
    if (this.error !== undefined && source.snapshotHandle === undefined) {
      this.cluster.change('volumesnapshotcontents', undefined, name, { status: { error: { message: this.error } } });
      return;
    }
    const handle = source.snapshotHandle ?? `snap-${name}`;
    if (source.snapshotHandle === undefined) this.snapshots.add(handle);
    const creationTime = new Date(this.cluster.now).toISOString();
    this.cluster.change('volumesnapshotcontents', undefined, name, { status: { snapshotHandle: handle, readyToUse: true, creationTime, restoreSize: '1Gi', error: null } });
  }

  #provisioner(claim: Stored): void {
    const { name, namespace, deletionTimestamp, uid } = claim.metadata;
    const source = claim.spec?.['dataSource'] as { kind: string; name: string } | undefined;
    if (deletionTimestamp !== undefined) {
      const used = this.cluster.all('pods').some((pod) => {
        const mounts = (pod.spec?.['volumes'] ?? []) as { persistentVolumeClaim?: { claimName: string } }[];
        const running = pod.status?.['phase'] === 'Running' && pod.metadata.namespace === namespace;
        return running && mounts.some(({ persistentVolumeClaim }) => persistentVolumeClaim?.claimName === name);
      });
      if (!used) this.#release('persistentvolumeclaims', claim);
      return;
    }
    if (source === undefined || claim.status?.['phase'] === 'Bound') return;
    const used = this.cluster.all('pods').some((pod) => JSON.stringify(pod.spec?.['volumes'] ?? []).includes(`"${name}"`));
    const waits = (this.cluster.find('storageclasses', undefined, 'fast') as unknown as Json)['volumeBindingMode'] === 'WaitForFirstConsumer';
    if (waits && !used && claim.metadata.annotations?.['volume.kubernetes.io/selected-node'] === undefined) return;
    const handle = `vol-${randomUUID().slice(0, 8)}`;
    if (source.kind === 'VolumeSnapshot') {
      const snapshot = this.cluster.find('volumesnapshots', namespace, source.name);
      const content = snapshot === undefined ? undefined : this.#contentOf(snapshot);
      const from = content?.status?.['snapshotHandle'];
      if (typeof from !== 'string' || !this.snapshots.has(from)) return;
      this.restored.push(from);
    }
    this.volumes.add(handle);
    const reclaim = String((this.cluster.find('storageclasses', undefined, 'fast') as unknown as Json)['reclaimPolicy']);
    this.cluster.put('persistentvolumes', undefined, {
      metadata: { name: `pvc-${uid}`, finalizers: ['provisioner'] },
      spec: { csi: { driver: DRIVER, volumeHandle: handle }, claimRef: { namespace, name, uid }, persistentVolumeReclaimPolicy: reclaim },
    });
    this.cluster.change('persistentvolumeclaims', namespace, name, { metadata: { finalizers: ['protection'] }, spec: { volumeName: `pvc-${uid}` }, status: { phase: 'Bound' } });
  }

  #volumeController(volume: Stored): void {
    const spec = volume.spec as { claimRef: { namespace: string; name: string; uid?: string }; persistentVolumeReclaimPolicy: string; csi: { volumeHandle?: string } };
    if (spec.csi.volumeHandle === undefined) return;
    const claim = this.cluster.find('persistentvolumeclaims', spec.claimRef.namespace, spec.claimRef.name);
    if (claim?.metadata.uid === spec.claimRef.uid || spec.persistentVolumeReclaimPolicy !== 'Delete') return;
    this.volumes.delete(spec.csi.volumeHandle);
    this.#release('persistentvolumes', volume);
  }

  #delete(collection: string, namespace: string | undefined, name: string): void {
    this.cluster.remove(collection, namespace, name);
  }

  /** Lets an object go that waited for us. */
  #release(collection: string, { metadata: { namespace, name } }: Stored): void {
    this.cluster.change(collection, namespace, name, { metadata: { finalizers: null } });
    this.cluster.remove(collection, namespace, name);
  }
}
