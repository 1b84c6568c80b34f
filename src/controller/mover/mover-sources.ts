import { familyOf, findCondition } from '../../decide/index.ts';
import { keyOf } from '../../kube/index.ts';
import { jobOfPod, type Caches } from '../caches.ts';
import type { RawJob } from '../raw-objects.ts';
import { nodeLostSince } from './facts.ts';

/** Wakes the owners of a mover's Job when the Job, its pod, or a warning about either has changed. */
export function watchMovers(caches: Caches, ownerKind: 'Backup' | 'Restore' | 'BackupPolicy' | 'BackupLocation', wake: (key: string) => void): void {
  const wakeOwners = (job: RawJob) => {
    for (const { kind, name } of job.metadata.ownerReferences ?? []) if (kind === ownerKind) wake(`${job.metadata.namespace ?? ''}/${name}`);
    // One in the movers' namespace has none.
    if (ownerKind === 'Backup') for (const backup of caches.backups.byIndex('family', familyOf(job.metadata.name) ?? '')) wake(keyOf(backup));
  };
  const wakeOwnersOf = (namespace: string | undefined, jobName: string) => {
    const job = caches.jobs.get(jobName, namespace ?? '');
    if (job !== undefined) wakeOwners(job);
  };
  caches.jobs.listen(({ object }) => wakeOwners(object));
  caches.moverPods.listen(({ object }) => wakeOwnersOf(object.metadata.namespace, jobOfPod(object.metadata)));
  const lost = new Map<string, boolean>();
  caches.nodes.listen(({ object, type }) => {
    const { name } = object.metadata;
    const isLost = type !== 'deleted' && nodeLostSince(object) !== undefined;
    if ((lost.get(name) ?? false) === isLost) return;
    lost.set(name, isLost);
    for (const { metadata } of caches.moverPods.byIndex('node', name)) wakeOwnersOf(metadata.namespace, jobOfPod(metadata));
  });
  for (const warnings of caches.warnings) {
    warnings.listen(({ object: { involvedObject } }) => {
      if (involvedObject?.name === undefined) return;
      const { namespace = '', name } = involvedObject;
      const pod = caches.moverPods.get(name, namespace);
      wakeOwnersOf(namespace, pod === undefined ? name : jobOfPod(pod.metadata));
    });
  }
}

/** Calls back when a location's spec, readiness or isolation has changed, not for each count in its status: thousands of objects look at it. */
export function onLocationChange(caches: Pick<Caches, 'locations'>, changed: (location: string) => void): void {
  const seen = new Map<string, string>();
  caches.locations.listen(({ type, object: { metadata, status } }) => {
    const standing = ['Ready', 'Isolated'].map((name) => findCondition(status?.conditions, name)).map((condition) => `${condition?.status ?? ''} ${condition?.reason ?? ''}`);
    const now = type === 'deleted' ? 'gone' : [metadata.generation, ...standing].join(' ');
    if (seen.get(metadata.name) === now) return;
    seen.set(metadata.name, now);
    changed(metadata.name);
  });
}
