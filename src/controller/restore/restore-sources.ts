import { hasEnded } from '../../decide/index.ts';
import { keyOf } from '../../kube/index.ts';
import type { Caches } from '../caches.ts';
import { onLocationChange, tenantOf, watchMovers, type MoverContext, type QueueWaker } from '../mover/index.ts';

/** Tells which Restores to look at when something that they depend on has changed. */
export function watchForRestores(caches: Caches, context: MoverContext, waker: QueueWaker, wake: (key: string) => void): void {
  const wakeNamespace = (namespace: string | undefined) => {
    for (const restore of caches.restores.byIndex('namespace', namespace ?? '')) {
      if (!hasEnded(restore) || restore.metadata.deletionTimestamp !== undefined) wake(keyOf(restore));
    }
  };
  caches.restores.listen(({ object, type }) => {
    wake(keyOf(object));
    if (type !== 'deleted' && !hasEnded(object)) return;
    waker.freed(tenantOf(context, object.metadata.namespace ?? '')?.spec.location ?? '');
    wakeNamespace(object.metadata.namespace);
  });
  // The source, the safety backup, or one that runs and has to end first.
  caches.backups.listen(({ object }) => wakeNamespace(object.metadata.namespace));
  caches.policies.listen(({ object }) => wakeNamespace(object.metadata.namespace));
  caches.tenants.listen(({ object }) => wakeNamespace(object.spec.namespace));
  caches.claims.listen(({ object }) => wakeNamespace(object.metadata.namespace));
  caches.namespaces.listen(({ object }) => wakeNamespace(object.metadata.name));
  onLocationChange(caches, (location) => {
    for (const { metadata } of caches.policies.byIndex('location', location)) wakeNamespace(metadata.namespace);
  });
  watchMovers(caches, 'Restore', wake);
}
