import { isEnding, familyOf, familyOfUid, isTerminal } from '../../decide/index.ts';
import { Controller, type ControllerObserver, type KubeConnection, type KubeObject } from '../../kube/index.ts';
import type { Caches } from '../caches.ts';
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
  const add = (name: string | undefined): void => {
    const family = familyOf(name ?? '');
    if (family !== undefined) controller.queue.add(family);
  };
  const byName = ({ object }: { readonly object: KubeObject }): void => add(object.metadata.name);
  caches.claims.listen(byName);
  caches.snapshots.listen(byName);
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
