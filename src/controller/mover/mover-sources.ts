import { jobOfPod, type Caches } from '../caches.ts';
import type { RawJob } from '../raw-objects.ts';

/** Wakes the owners of a mover's Job when the Job, its pod, or a warning about either has changed. */
export function watchMovers(caches: Caches, ownerKind: 'Backup' | 'Restore', wake: (key: string) => void): void {
  const wakeOwners = (job: RawJob) => {
    for (const { kind, name } of job.metadata.ownerReferences ?? []) if (kind === ownerKind) wake(`${job.metadata.namespace ?? ''}/${name}`);
  };
  const wakeOwnersOf = (namespace: string | undefined, jobName: string) => {
    const job = caches.jobs.get(jobName, namespace ?? '');
    if (job !== undefined) wakeOwners(job);
  };
  caches.jobs.listen(({ object }) => wakeOwners(object));
  caches.moverPods.listen(({ object }) => wakeOwnersOf(object.metadata.namespace, jobOfPod(object.metadata)));
  for (const warnings of caches.warnings) {
    warnings.listen(({ object: { involvedObject } }) => {
      if (involvedObject?.name === undefined) return;
      const { namespace = '', name } = involvedObject;
      const pod = caches.moverPods.get(name, namespace);
      wakeOwnersOf(namespace, pod === undefined ? name : jobOfPod(pod.metadata));
    });
  }
}
