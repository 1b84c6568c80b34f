import { isEnding, familyOf, familyOfLabel, familyOfUid, isTerminal } from '../../decide/index.ts';
import { Controller, type ControllerObserver, type KubeConnection, type KubeObject } from '../../kube/index.ts';
import type { Caches } from '../caches.ts';
import { groupOwner } from '../slim-objects.ts';
import { sweepFamily } from './sweep-family.ts';

export interface SweeperDependencies {
  readonly connection: KubeConnection;
  readonly caches: Caches;
  readonly moverNamespace: string;
  readonly observer: ControllerObserver;
}

const WORKERS = 4;

/**
 * Removes what copies of volumes leave behind. Its keys are families: all that is named after one Backup. It looks at each when the
 * operator starts and whenever something of it changes, so neither a crash nor a Backup that is gone leaves anything.
 */
export function copySweeper({ connection, caches, moverNamespace, observer }: SweeperDependencies): Controller {
  const context = { connection, caches, moverNamespace };
  const controller = new Controller({
    name: 'copy-sweeper',
    workers: WORKERS,
    reconcile: async (family, signal) => {
      await sweepFamily(context, family, signal);
      return {};
    },
    observer,
  });
  const addFamily = (family: string | undefined): void => {
    if (family !== undefined) controller.queue.add(family);
  };
  const add = (name: string | undefined): void => addFamily(familyOf(name ?? ''));
  const byName = ({ object }: { readonly object: KubeObject }): void => add(object.metadata.name);
  caches.claims.listen(({ object: { metadata } }) => {
    add(metadata.name);
    for (const label of Object.keys(metadata.labels ?? {})) addFamily(familyOfLabel(label));
  });
  caches.snapshots.listen(({ object: { metadata } }) => add(familyOf(metadata.name) === undefined ? groupOwner(metadata) : metadata.name));
  caches.groups.listen(byName);
  caches.groupContents.listen(({ object }) => add(object.spec?.volumeGroupSnapshotRef?.name));
  caches.moverSecrets.listen(byName);
  caches.jobs.listen(byName);
  caches.volumes.listen(({ object }) => add(object.spec?.claimRef?.name));
  caches.snapshotContents.listen(({ object }) => add(object.spec?.volumeSnapshotRef?.name));
  caches.backups.listen(({ object, type }) => {
    // Most backups have ended long ago and left nothing; what one left wakes its family itself.
    if (object.status?.copies?.some(({ method }) => method !== 'Direct') !== true) return;
    if (type === 'deleted' || isEnding(object) || isTerminal(object.status.phase)) controller.queue.add(familyOfUid(object.metadata.uid));
  });
  return controller;
}
