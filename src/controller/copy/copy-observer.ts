import { ANNOTATION_CLONES, type Backup } from '../../api/index.ts';
import { copyName, groupLabel, groupName, type CopyFacts, type SnapshotClassFact, type StorageFacts, type VolumeCopyFact } from '../../decide/index.ts';
import type { MoverContext } from '../mover/index.ts';
import type { RawSnapshotClass } from '../raw-objects.ts';
import { contentFact, copiedClaimFact, groupFact, snapshotFact } from './copy-facts.ts';

const DEFAULT_CLASS = 'snapshot.storage.kubernetes.io/is-default-class';
const DEFAULT_GROUP_CLASS = 'groupsnapshot.storage.kubernetes.io/is-default-class';

type StorageCaches = Pick<MoverContext['caches'], 'namespaces' | 'storageClasses' | 'snapshotClasses' | 'groupClasses'>;

export function observeStorage(caches: StorageCaches, moverNamespace: string): StorageFacts {
  const classes = caches.storageClasses.list();
  const home = caches.namespaces.get(moverNamespace);
  return {
    snapshotClasses: caches.snapshotClasses.absent ? undefined : caches.snapshotClasses.list().map((each) => classFact(each, DEFAULT_CLASS)),
    groupClasses: caches.groupClasses.list().map((each) => classFact(each, DEFAULT_GROUP_CLASS)),
    cloningClasses: new Set(classes.filter(({ metadata }) => metadata.annotations?.[ANNOTATION_CLONES] === 'true').map(({ metadata }) => metadata.name)),
    waitingClasses: new Set(classes.filter(({ volumeBindingMode }) => volumeBindingMode === 'WaitForFirstConsumer').map(({ metadata }) => metadata.name)),
    moverNamespace: { name: moverNamespace, exists: home !== undefined && home.metadata.deletionTimestamp === undefined },
  };
}

function classFact({ metadata, driver }: RawSnapshotClass, defaultMark: string): SnapshotClassFact {
  return { name: metadata.name, driver: driver ?? '', isDefault: metadata.annotations?.[defaultMark] === 'true' };
}

/** What is there of a backup's copies, from the caches. */
export function observeCopies(context: MoverContext, backup: Backup): CopyFacts {
  const copies = backup.status?.copies ?? [];
  const group = context.caches.groups.get(groupName(backup), backup.metadata.namespace);
  return {
    storage: observeStorage(context.caches, context.moverNamespace),
    group: group && groupFact(group),
    volumes: copies.map(({ claim }, index) => observeVolume(context, backup, claim, index)),
  };
}

function observeVolume({ caches }: MoverContext, backup: Backup, live: string, index: number): VolumeCopyFact {
  const { uid, namespace: home = '' } = backup.metadata;
  const name = copyName(backup, index);
  const mover = backup.status?.moverNamespace;
  const inGroup = caches.snapshots.byIndex('group', `${home}/${groupName(backup)}`).find(({ spec }) => spec?.source?.persistentVolumeClaimName === live);
  const snapshot = inGroup ?? caches.snapshots.get(name, home);
  const bound = mover === undefined ? undefined : caches.snapshots.get(name, mover);
  const contentName = snapshot?.status?.boundVolumeSnapshotContentName;
  const content = contentName === undefined ? undefined : caches.snapshotContents.get(contentName);
  const boundContent = mover === undefined ? undefined : caches.snapshotContents.get(name);
  const claim = caches.claims.get(name, mover ?? home);
  const warnings = caches.warnings.flatMap((cache) => cache.byIndex('about', `${mover ?? home}/${name}`));
  return {
    labelled: caches.claims.get(live, home)?.metadata.labels?.[groupLabel(uid)] === 'true',
    snapshot: snapshot && snapshotFact(snapshot),
    content: content && contentFact(content),
    boundSnapshot: bound && snapshotFact(bound),
    boundContent: boundContent && contentFact(boundContent),
    claim: claim && copiedClaimFact(claim),
    trouble: warnings.findLast(({ reason }) => reason === 'ProvisioningFailed')?.message,
  };
}
