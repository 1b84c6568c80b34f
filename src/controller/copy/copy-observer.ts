import { ANNOTATION_CLONES, type Backup } from '../../api/index.ts';
import { copyName, type CopyFacts, type StorageFacts, type VolumeCopyFact } from '../../decide/index.ts';
import type { MoverContext } from '../mover/index.ts';
import { contentFact, copiedClaimFact, snapshotFact } from './copy-facts.ts';

const DEFAULT_CLASS = 'snapshot.storage.kubernetes.io/is-default-class';

type StorageCaches = Pick<MoverContext['caches'], 'namespaces' | 'storageClasses' | 'snapshotClasses'>;

export function observeStorage(caches: StorageCaches, moverNamespace: string): StorageFacts {
  const classes = caches.storageClasses.list();
  const home = caches.namespaces.get(moverNamespace);
  return {
    snapshotClasses: caches.snapshotClasses.absent
      ? undefined
      : caches.snapshotClasses
          .list()
          .map(({ metadata, driver }) => ({ name: metadata.name, driver: driver ?? '', isDefault: metadata.annotations?.[DEFAULT_CLASS] === 'true' })),
    cloningClasses: new Set(classes.filter(({ metadata }) => metadata.annotations?.[ANNOTATION_CLONES] === 'true').map(({ metadata }) => metadata.name)),
    waitingClasses: new Set(classes.filter(({ volumeBindingMode }) => volumeBindingMode === 'WaitForFirstConsumer').map(({ metadata }) => metadata.name)),
    moverNamespace: { name: moverNamespace, exists: home !== undefined && home.metadata.deletionTimestamp === undefined },
  };
}

/** What is there of a backup's copies, from the caches. */
export function observeCopies(context: MoverContext, backup: Backup): CopyFacts {
  const copies = backup.status?.copies ?? [];
  return { storage: observeStorage(context.caches, context.moverNamespace), volumes: copies.map((_, index) => observeVolume(context, backup, index)) };
}

function observeVolume({ caches }: MoverContext, backup: Backup, index: number): VolumeCopyFact {
  const { uid, namespace: home = '' } = backup.metadata;
  const name = copyName(uid, index);
  const mover = backup.status?.moverNamespace;
  const snapshot = caches.snapshots.get(name, home);
  const bound = mover === undefined ? undefined : caches.snapshots.get(name, mover);
  const contentName = snapshot?.status?.boundVolumeSnapshotContentName;
  const content = contentName === undefined ? undefined : caches.snapshotContents.get(contentName);
  const boundContent = mover === undefined ? undefined : caches.snapshotContents.get(name);
  const claim = caches.claims.get(name, mover ?? home);
  const warnings = caches.warnings.flatMap((cache) => cache.byIndex('about', `${mover ?? home}/${name}`));
  return {
    snapshot: snapshot && snapshotFact(snapshot),
    content: content && contentFact(content),
    boundSnapshot: bound && snapshotFact(bound),
    boundContent: boundContent && contentFact(boundContent),
    claim: claim && copiedClaimFact(claim),
    trouble: warnings.findLast(({ reason }) => reason === 'ProvisioningFailed')?.message,
  };
}
