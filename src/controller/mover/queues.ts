import { LABEL_COMPONENT, LABEL_NAMESPACE, type Backup, type BackupPolicy, type Restore } from '../../api/index.ts';
import {
  LABEL_LOCATION,
  MoverLine,
  hasEnded,
  holdsForgetPlace,
  isActive,
  isEnding,
  labelValue,
  likelyNode,
  safetyFor,
  waitingBackup,
  waitingRestore,
  waitingVerification,
  type MoverTask,
  type RunningMover,
  type WaitingMover,
} from '../../decide/index.ts';
import { keyOf } from '../../kube/index.ts';
import { jobOfPod, stagesOfBackup, type Caches } from '../caches.ts';
import type { RawJob } from '../raw-objects.ts';
import { jobFact } from './facts.ts';
import { tenantOf } from './ground-observer.ts';
import type { MoverContext } from './mover-context.ts';

type Context = { readonly caches: MoverContext['caches']; readonly clock: MoverContext['clock'] };

const TASKS = ['backup', 'restore', 'forget', 'verify'] as const satisfies readonly MoverTask[];

/** What one Backup, Restore or verification has of a queue, by itself and through Jobs that work for it. */
interface Entry {
  object: { readonly running?: RunningMover | undefined; readonly waiting?: WaitingMover | undefined; readonly dueAt?: number };
  readonly jobs: Map<string, RunningMover>;
}

/**
 * Who has a mover and who wants one, at every location. Follows the caches: each change of one object changes its own entry, so that
 * nobody has to look at all of them. Lost in a restart and then read from the caches again.
 */
export class MoverQueues {
  readonly #context: Context;
  readonly #lines = new Map<string, MoverLine>();
  readonly #entries = new Map<string, Entry>();
  /** UIDs of those whose entries have Jobs, by key: of several owners the garbage collector takes the first away that is gone. */
  readonly #ownerOf = new Map<string, string>();
  /** Backups that wait for their next attempt, by UID, with the time of it. */
  readonly #later = new Map<string, number>();
  #nextDue = Infinity;

  constructor(context: Context) {
    this.#context = context;
  }

  /** Hears of every change from now on. To be called before the caches fill, and before anybody else listens who asks for a queue. */
  follow(caches: Caches): void {
    caches.backups.listen(({ type, object }) => this.#see(object.metadata.uid, type === 'deleted' ? {} : this.#ofBackup(object)));
    caches.restores.listen(({ type, object }) => this.#see(object.metadata.uid, type === 'deleted' ? {} : this.#ofRestore(object)));
    caches.jobs.listen(({ type, object }) => this.#seeJob(object, type !== 'deleted'));
    caches.moverPods.listen(({ type, object: { metadata } }) => {
      const job = caches.jobs.get(jobOfPod(metadata), metadata.namespace ?? '');
      if (type !== 'deleted' && job !== undefined) this.#seeJob(job, true);
    });
    // Where a Backup or Restore is kept follows from these.
    caches.policies.listen(({ type, object }) => {
      if (type !== 'modified') this.#seeNamespace(object.metadata.namespace ?? '');
      this.#see(object.metadata.uid, type === 'deleted' ? {} : ofPolicy(object));
    });
    caches.tenants.listen(({ type, object }) => type === 'modified' || this.#seeNamespace(object.spec.namespace));
    caches.namespaces.listen(({ type, object }) => type === 'modified' || this.#seeNamespace(object.metadata.name));
    const nodeLimits = new Map<string, number | undefined>();
    caches.locations.listen(({ object: { metadata, spec } }) => {
      const { moversPerNode } = spec.limits;
      const isNew = !nodeLimits.has(metadata.name);
      if (!isNew && nodeLimits.get(metadata.name) === moversPerNode) return;
      nodeLimits.set(metadata.name, moversPerNode);
      this.fill();
    });
  }

  /** Reads everything from the caches. */
  fill(): void {
    const { caches } = this.#context;
    const open = [...caches.backups.byIndex('stage', 'waiting'), ...caches.backups.byIndex('stage', 'transferring'), ...caches.backups.byIndex('stage', 'ending')];
    for (const backup of open) this.#see(backup.metadata.uid, this.#ofBackup(backup));
    for (const restore of caches.restores.byIndex('stage', 'open')) this.#see(restore.metadata.uid, this.#ofRestore(restore));
    for (const phase of ['Queued', 'Running']) for (const policy of caches.policies.byIndex('verification', phase)) this.#see(policy.metadata.uid, ofPolicy(policy));
    for (const job of caches.jobs.list()) this.#seeJob(job, true);
  }

  /** The queue of a location as it stands; undefined for one that does not exist. */
  of(location: string): MoverLine | undefined {
    const limits = this.#context.caches.locations.get(location)?.spec.limits;
    if (limits === undefined) return undefined;
    this.#letIn();
    const line = this.#line(location);
    line.setLimits({ limit: limits.movers, limitPerNode: limits.moversPerNode });
    return line;
  }

  /** Those whose time has come wait from now on. */
  #letIn(): void {
    const now = this.#context.clock.now();
    if (now < this.#nextDue) return;
    const due = [...this.#later].filter(([, at]) => at <= now).map(([uid]) => uid);
    for (const uid of due) {
      this.#later.delete(uid);
      const entry = this.#entries.get(uid);
      if (entry !== undefined) this.#place(uid, entry, entry);
    }
    this.#nextDue = Math.min(Infinity, ...this.#later.values());
  }

  #seeNamespace(namespace: string): void {
    const { caches } = this.#context;
    for (const backup of caches.backups.byIndex('namespace', namespace)) if (stagesOfBackup(backup).length > 0) this.#see(backup.metadata.uid, this.#ofBackup(backup));
    for (const restore of caches.restores.byIndex('namespace', namespace)) if (!hasEnded(restore)) this.#see(restore.metadata.uid, this.#ofRestore(restore));
    for (const job of caches.jobs.byIndex('namespace', namespace)) this.#seeJob(job, true);
  }

  #ofBackup(backup: Backup): Entry['object'] {
    const stages = stagesOfBackup(backup);
    if (isEnding(backup)) return holdsForgetPlace(backup) ? { running: this.#holding(backup, 'forget') } : {};
    if (stages.includes('transferring')) return { running: this.#holding(backup, 'backup') };
    // One that lacks something would keep its place in the line free for nobody; it asks anew once that is mended.
    if (!stages.includes('waiting') || backup.status?.hinderedSince !== undefined) return {};
    const location = locationOf(this.#context, backup);
    return waitingUntil(backup.status?.nextAttemptAt, waitingBackup(backup, location, this.#siblingsOf(backup, location)));
  }

  #holding(backup: Backup, task: MoverTask): RunningMover {
    const { uid, namespace = '' } = backup.metadata;
    const location = locationOf(this.#context, backup);
    return { uid, task, namespace, location, safetyFor: safetyFor(backup), node: likelyNode(backup, this.#siblingsOf(backup, location)) };
  }

  /** Those that may tell its node, where that matters. */
  #siblingsOf({ metadata, spec }: Backup, location: string): readonly Backup[] {
    const { caches } = this.#context;
    if (caches.locations.get(location)?.spec.limits.moversPerNode === undefined) return [];
    return caches.backups.byIndex('policy', `${metadata.namespace ?? ''}/${spec.policy}`);
  }

  #ofRestore(restore: Restore): Entry['object'] {
    const { uid, namespace = '' } = restore.metadata;
    const location = tenantOf(this.#context, namespace)?.spec.location ?? '';
    if (isActive(restore)) return { running: { uid, task: 'restore', namespace, location, safetyFor: undefined, node: this.#nodeOfRestore(uid) } };
    return restore.status?.phase === 'Queued' ? { waiting: waitingRestore(restore, location) } : {};
  }

  #nodeOfRestore(uid: string): string | undefined {
    const job = this.#context.caches.jobs.byIndex('owner', uid).find((each) => jobFact(each).ended === undefined);
    return job === undefined ? undefined : this.#nodeOf(job);
  }

  #nodeOf({ metadata }: RawJob): string | undefined {
    const [pod] = this.#context.caches.moverPods.byIndex('job', `${metadata.namespace ?? ''}/${metadata.name}`);
    return pod?.spec?.nodeName === '' ? undefined : pod?.spec?.nodeName;
  }

  /** A Job counts until it has ended, whatever became of its owner: its pod still works. */
  #seeJob(job: RawJob, isThere: boolean): void {
    const { ended, owners } = jobFact(job);
    const key = keyOf(job);
    const [owner] = owners;
    const before = this.#ownerOf.get(key);
    if (before !== undefined && before !== owner?.uid) this.#dropJob(before, key);
    if (owner === undefined) return;
    if (isThere) this.#ownerOf.set(key, owner.uid);
    else this.#ownerOf.delete(key);
    this.#placeJob(job, key, { owner: owner.uid, isRunning: isThere && ended === undefined });
  }

  #dropJob(owner: string, key: string): void {
    this.#ownerOf.delete(key);
    const entry = this.#entries.get(owner);
    if (entry === undefined) return;
    const before = { object: entry.object, jobs: new Map(entry.jobs) };
    entry.jobs.delete(key);
    this.#place(owner, before, entry);
  }

  #placeJob(job: RawJob, key: string, { owner, isRunning }: { readonly owner: string; readonly isRunning: boolean }): void {
    const entry = this.#entries.get(owner) ?? { object: {}, jobs: new Map<string, RunningMover>() };
    const before = { object: entry.object, jobs: new Map(entry.jobs) };
    const labels = job.metadata.labels ?? {};
    const location = this.#context.caches.locations.list().find(({ metadata }) => labelValue(metadata.name) === labels[LABEL_LOCATION])?.metadata.name;
    if (isRunning && location !== undefined) {
      const task = TASKS.find((each) => labels[LABEL_COMPONENT] === `mover-${each}`) ?? 'backup';
      entry.jobs.set(key, { uid: owner, task, namespace: labels[LABEL_NAMESPACE] ?? job.metadata.namespace ?? '', location, safetyFor: undefined, node: this.#nodeOf(job) });
    } else {
      entry.jobs.delete(key);
    }
    this.#place(owner, before, entry);
  }

  #see(uid: string, object: Entry['object']): void {
    const before = this.#entries.get(uid) ?? { object: {}, jobs: new Map<string, RunningMover>() };
    const { waiting, dueAt } = object;
    if (waiting !== undefined && dueAt !== undefined && dueAt > this.#context.clock.now()) {
      this.#later.set(uid, dueAt);
      this.#nextDue = Math.min(this.#nextDue, dueAt);
    } else {
      this.#later.delete(uid);
    }
    this.#place(uid, before, { object, jobs: before.jobs });
  }

  #place(uid: string, before: Entry, after: Entry): void {
    const [was, is] = [runningOf(before), runningOf(after)];
    const waiting = this.#later.has(uid) ? undefined : after.object.waiting;
    for (const mover of [was, before.object.waiting]) {
      if (mover === undefined) continue;
      if (mover.location !== is?.location) this.#line(mover.location).setRunning(uid, undefined);
      if (mover.location !== waiting?.location) this.#line(mover.location).setWaiting(uid, undefined);
    }
    if (is !== undefined) this.#line(is.location).setRunning(uid, is);
    if (waiting !== undefined) this.#line(waiting.location).setWaiting(uid, waiting);
    if (is === undefined && after.object.waiting === undefined) this.#entries.delete(uid);
    else this.#entries.set(uid, after);
  }

  #line(location: string): MoverLine {
    const line = this.#lines.get(location) ?? new MoverLine(location, { limit: 0 });
    this.#lines.set(location, line);
    return line;
  }
}

/** Of its verification; a policy has no other mover. */
function ofPolicy(policy: BackupPolicy): Entry['object'] {
  const verification = policy.status?.verification;
  if (verification?.phase === 'Running') return { running: waitingVerification(policy) };
  return verification?.phase === 'Queued' ? waitingUntil(verification.nextAttemptAt, waitingVerification(policy)) : {};
}

/** @param nextAttemptAt - absent: it waits already */
function waitingUntil(nextAttemptAt: string | undefined, waiting: WaitingMover): Entry['object'] {
  const dueAt = Date.parse(nextAttemptAt ?? '');
  return Number.isNaN(dueAt) ? { waiting } : { waiting, dueAt };
}

function runningOf({ object, jobs }: Entry): RunningMover | undefined {
  return object.running ?? jobs.values().next().value;
}

/** Where a backup is, or would be, kept. */
export function locationOf(context: Pick<Context, 'caches'>, backup: Backup): string {
  const { caches } = context;
  const namespace = backup.metadata.namespace ?? '';
  const tenant = backup.status?.tenant === undefined ? undefined : caches.tenants.get(backup.status.tenant);
  return (
    tenant?.spec.location ?? caches.policies.get(backup.spec.policy, namespace)?.spec.location ?? tenantOf(context, namespace)?.spec.location ?? ''
  );
}
