import { LABEL_COMPONENT, type Backup } from '../../api/index.ts';
import { coveredBy, familyOf, familyOfLabel, findCondition, isTerminal } from '../../decide/index.ts';
import { keyOf } from '../../kube/index.ts';
import type { Caches } from '../caches.ts';
import { ANNOTATION_GROUP_HANDLE, groupOwner } from '../slim-objects.ts';
import { jobFact } from '../mover/facts.ts';
import { locationOf, onLocationChange, watchMovers, type MoverContext, type QueueWaker } from '../mover/index.ts';

/** Tells which Backups to look at when something that they depend on has changed. */
export function watchForBackups(caches: Caches, context: MoverContext, waker: QueueWaker, wake: (key: string) => void): void {
  const wakeAll = (backups: readonly Backup[], wanted: (backup: Backup) => boolean = isOpen) => {
    for (const backup of backups) if (wanted(backup)) wake(keyOf(backup));
  };
  const inNamespace = (namespace: string | undefined) => caches.backups.byIndex('namespace', namespace ?? '');
  const atLocation = (location: string) => caches.policies.byIndex('location', location).flatMap(({ metadata }) => inNamespace(metadata.namespace));

  caches.backups.listen(({ object, type }) => {
    wake(keyOf(object));
    const phase = object.status?.phase;
    if (type !== 'deleted' && !isTerminal(phase) && phase !== 'Queued') return;
    // A place, a snapshot or a covering Job may be free now.
    waker.freed(locationOf(context, object));
    wakeAll(inNamespace(object.metadata.namespace), (other) => isWaiting(other) || isLeaving(other) || isCovered(caches, other));
  });
  caches.policies.listen(({ object }) => wakeAll(caches.backups.byIndex('policy', keyOf(object))));
  onLocationChange(caches, (location) => wakeAll(atLocation(location)));
  context.standings?.listen((location) => wakeAll(atLocation(location), ({ status }) => status?.phase === 'Stored' && findCondition(status.conditions, 'Replicated')?.status !== 'True'));
  caches.tenants.listen(({ object }) => wakeAll(inNamespace(object.spec.namespace)));
  caches.namespaces.listen(({ object, type }) => {
    // Others change their labels and annotations all the time, which is nothing to us.
    const isGoing = object.metadata.deletionTimestamp !== undefined || object.status?.phase === 'Terminating';
    if (type === 'added' || isGoing) wakeAll(inNamespace(object.metadata.name), () => true);
  });
  caches.claims.listen(({ object }) => wakeAll(inNamespace(object.metadata.namespace), isWaiting));
  const ofFamily = (name: string | undefined) => wakeAll(caches.backups.byIndex('family', familyOf(name ?? '') ?? ''));
  caches.claims.listen(({ object: { metadata } }) => {
    ofFamily(metadata.name);
    // One of the customer that got the label of a group.
    for (const label of Object.keys(metadata.labels ?? {})) wakeAll(caches.backups.byIndex('family', familyOfLabel(label) ?? ''));
  });
  caches.volumes.listen(({ object: { spec } }) => {
    ofFamily(spec?.claimRef?.name);
    wakeAll(inNamespace(spec?.claimRef?.namespace), isWaiting);
  });
  caches.snapshots.listen(({ object: { metadata } }) => ofFamily(familyOf(metadata.name) === undefined ? groupOwner(metadata) : metadata.name));
  caches.groups.listen(({ object }) => ofFamily(object.metadata.name));
  caches.snapshotContents.listen(({ object: { metadata, spec } }) => {
    ofFamily(spec?.volumeSnapshotRef?.name);
    // Whose group it is part of cannot be seen on it; few are being snapshotted at a time.
    if (metadata.annotations?.[ANNOTATION_GROUP_HANDLE] !== undefined) wakeAll(caches.backups.byIndex('stage', 'transferring'), ({ status }) => status?.groupSnapshotClass !== undefined);
  });
  const anywhere = () => wakeAll(caches.backups.byIndex('stage', 'waiting'));
  caches.snapshotClasses.listen(anywhere);
  caches.groupClasses.listen(anywhere);
  caches.storageClasses.listen(anywhere);
  for (const warnings of caches.warnings) warnings.listen(({ object }) => ofFamily(object.involvedObject?.name));
  caches.restores.listen(({ object }) => wakeAll(inNamespace(object.metadata.namespace), (backup) => isWaiting(backup) || isLeaving(backup)));

  watchMovers(caches, 'Backup', wake);
  caches.jobs.listen(({ object, type }) => {
    if (type === 'deleted') {
      for (const location of caches.locations.list()) waker.freed(location.metadata.name);
      wakeAll(inNamespace(object.metadata.namespace), (backup) => isWaiting(backup) || isLeaving(backup));
    } else if (object.metadata.labels?.[LABEL_COMPONENT] === 'mover-forget') {
      wakeAll(inNamespace(object.metadata.namespace), isLeaving);
    }
  });
}

function isOpen(backup: Backup): boolean {
  return !isTerminal(backup.status?.phase);
}

function isWaiting(backup: Backup): boolean {
  const phase = backup.status?.phase;
  return phase === undefined || phase === 'Pending' || phase === 'Queued';
}

/** Is to be deleted or cancelled. */
function isLeaving(backup: Backup): boolean {
  return backup.metadata.deletionTimestamp !== undefined || (backup.spec.cancel && isOpen(backup));
}

/** A cancelled backup that outlives the forget Job it shared with others. */
function isCovered(caches: Caches, backup: Backup): boolean {
  return backup.status?.phase === 'Cancelled' && caches.jobs.byIndex('owner', backup.metadata.uid).some((job) => coveredBy(jobFact(job)).length > 0);
}
