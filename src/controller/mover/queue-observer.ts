import { LABEL_COMPONENT, LABEL_NAMESPACE, type Backup, type Restore } from '../../api/index.ts';
import {
  LABEL_LOCATION,
  holdsForgetPlace,
  isActive,
  isEnding,
  labelValue,
  likelyNode,
  safetyFor,
  waitingBackup,
  waitingRestore,
  type MoverTask,
  type QueueFacts,
  type RunningMover,
  type WaitingMover,
} from '../../decide/index.ts';
import type { RawJob } from '../raw-objects.ts';
import { jobFact } from './facts.ts';
import { tenantOf } from './ground-observer.ts';
import type { MoverContext } from './mover-context.ts';

/** Who has a mover and who wants one, at one location. */
export function observeQueue(context: MoverContext, location: string): QueueFacts | undefined {
  const { caches, clock } = context;
  const found = caches.locations.get(location);
  if (found === undefined) return undefined;
  const running = new Map<string, RunningMover>();
  const add = (mover: RunningMover) => {
    if (mover.location === location && !running.has(mover.uid)) running.set(mover.uid, mover);
  };
  for (const backup of caches.backups.byIndex('stage', 'transferring')) if (!isEnding(backup)) add(holding(context, backup, 'backup'));
  for (const backup of caches.backups.byIndex('stage', 'ending'))
    if (isEnding(backup) && holdsForgetPlace(backup)) add(holding(context, backup, 'forget'));
  const open = caches.restores.byIndex('stage', 'open');
  for (const restore of open) if (isActive(restore)) add(holding(context, restore, 'restore'));
  for (const job of caches.jobs.list()) {
    const mover = moverOfJob(context, job, location);
    if (mover !== undefined) add(mover);
  }
  return {
    location,
    running: [...running.values()],
    waiting: [...waitingBackups(context, clock.now(), found.spec.limits.moversPerNode !== undefined), ...waitingRestores(context, open)],
    limit: found.spec.limits.movers,
    limitPerNode: found.spec.limits.moversPerNode,
  };
}

/** Where a backup is, or would be, kept. */
export function locationOf(context: MoverContext, backup: Backup): string {
  const { caches } = context;
  const namespace = backup.metadata.namespace ?? '';
  const tenant = backup.status?.tenant === undefined ? undefined : caches.tenants.get(backup.status.tenant);
  return (
    tenant?.spec.location ?? caches.policies.get(backup.spec.policy, namespace)?.spec.location ?? tenantOf(context, namespace)?.spec.location ?? ''
  );
}

function holding(context: MoverContext, object: Backup | Restore, task: MoverTask): RunningMover {
  const namespace = object.metadata.namespace ?? '';
  const isBackup = 'policy' in object.spec;
  const location = isBackup ? locationOf(context, object as Backup) : (tenantOf(context, namespace)?.spec.location ?? '');
  const node = isBackup ? likelyNode(object as Backup, siblingsOf(context, object as Backup)) : nodeOfMoverFor(context, object.metadata.uid);
  return { uid: object.metadata.uid, task, namespace, location, safetyFor: isBackup ? safetyFor(object as Backup) : undefined, node };
}

function nodeOfMoverFor({ caches }: MoverContext, owner: string): string | undefined {
  const [job] = caches.jobs.byIndex('owner', owner);
  if (job === undefined) return undefined;
  const [pod] = caches.moverPods.byIndex('job', `${job.metadata.namespace ?? ''}/${job.metadata.name}`);
  return pod?.spec?.nodeName === '' ? undefined : pod?.spec?.nodeName;
}

function siblingsOf({ caches }: MoverContext, { metadata, spec }: Backup): readonly Backup[] {
  return caches.backups.byIndex('policy', `${metadata.namespace ?? ''}/${spec.policy}`);
}

/** @param byNode - whether the node matters; to look for it costs a look at every sibling of everything that waits */
function waitingBackups(context: MoverContext, now: number, byNode: boolean): WaitingMover[] {
  return context.caches.backups.byIndex('stage', 'waiting').flatMap((backup) => {
    const due = Date.parse(backup.status?.nextAttemptAt ?? '');
    if (isEnding(backup) || due > now) return [];
    return [waitingBackup(backup, locationOf(context, backup), byNode ? siblingsOf(context, backup) : [])];
  });
}

function waitingRestores(context: MoverContext, open: readonly Restore[]): WaitingMover[] {
  return open.flatMap((restore) =>
    restore.status?.phase === 'Queued' ? [waitingRestore(restore, tenantOf(context, restore.metadata.namespace ?? '')?.spec.location ?? '')] : [],
  );
}

/** A Job counts until it has ended, whatever became of its owner: its pod still works. */
function moverOfJob(context: MoverContext, job: RawJob, location: string): RunningMover | undefined {
  const { ended, owners } = jobFact(job);
  const [owner] = owners;
  const labels = job.metadata.labels ?? {};
  if (ended !== undefined || owner === undefined || labels[LABEL_LOCATION] !== labelValue(location)) return undefined;
  const task = labels[LABEL_COMPONENT] === 'mover-restore' ? 'restore' : labels[LABEL_COMPONENT] === 'mover-forget' ? 'forget' : 'backup';
  return { uid: owner.uid, task, namespace: labels[LABEL_NAMESPACE] ?? job.metadata.namespace ?? '', location, safetyFor: undefined, node: nodeOfMoverFor(context, owner.uid) };
}
