import type { BackupPolicy, BackupPolicyStatus, Backup, Restore } from '../../api/index.ts';
import { decidePolicy } from '../../decide/policy.ts';
import { rememberingParser, type ScheduleParser } from '../../decide/cron.ts';
import { displayTime, hasEnded, restoredBackup, verificationTakesPlace } from '../../decide/index.ts';
import { decideQuota, type Quota } from '../../decide/quota.ts';
import { Controller, isKubeError, isSame, keyOf, type ControllerObserver, type EventRecorder, type ReconcileResult, type ResourceClient, type ScaleClient } from '../../kube/index.ts';
import type { Caches } from '../caches.ts';
import { observeStorage } from '../copy/index.ts';
import { observeClaims, onLocationChange, watchMovers, type MoverContext } from '../mover/index.ts';
import type { ReplicaStandings } from '../location/index.ts';
import type { Clock } from '../ports.ts';
import { applyRotation, applyRun, applyTidying, tellMissed } from './automatic-backups.ts';
import { Verifications } from './verifications.ts';
import { WorkloadCheck } from './workload-check.ts';

export interface PolicyDependencies {
  readonly caches: Caches;
  readonly policies: ResourceClient<BackupPolicy>;
  readonly backups: ResourceClient<Backup>;
  readonly restores: ResourceClient<Restore>;
  readonly scales: ScaleClient;
  readonly events: EventRecorder;
  readonly clock: Clock;
  /** What movers that verify are started and watched with. */
  readonly movers: MoverContext;
  /** What the second data center has of each tenant. */
  readonly standings: Pick<ReplicaStandings, 'of' | 'listen'>;
  readonly observer: ControllerObserver;
}

/** Most of their time is waiting for the API server. */
const WORKERS = 16;
/** Timers count elapsed time; a wall clock that was set forward is noticed within this. */
const LONGEST_WAIT_MS = 5 * 60_000;

interface Memory {
  readonly workloads: WorkloadCheck;
  readonly parse: ScheduleParser;
  readonly verifications: Verifications;
}

/** Says of each policy whether a backup could be made and whether the customer is protected, grants the slots of its quota, makes and rotates automatic backups, and has what is stored verified. */
export function policyController(dependencies: PolicyDependencies): Controller {
  const { caches, scales, clock } = dependencies;
  const verifications = new Verifications(dependencies.movers, (key) => controller.queue.add(key));
  const memory: Memory = { workloads: new WorkloadCheck(scales, clock), parse: rememberingParser(), verifications };
  const controller: Controller = new Controller({
    name: 'policy',
    workers: WORKERS,
    reconcile: (key, signal) => reconcile(dependencies, memory, key, signal),
    observer: dependencies.observer,
  });
  const addAll = (policies: readonly BackupPolicy[]): void => {
    for (const policy of policies) controller.queue.add(keyOf(policy));
  };
  const ofNamespace = (namespace: string | undefined): void => addAll(caches.policies.byIndex('namespace', namespace ?? ''));
  caches.policies.listen(({ object }) => controller.queue.add(keyOf(object)));
  caches.backups.listen(({ object }) => controller.queue.add(`${object.metadata.namespace ?? ''}/${object.spec.policy}`));
  caches.restores.listen(({ object, type }) => {
    if (type !== 'deleted' && hasEnded(object)) ofNamespace(object.metadata.namespace);
  });
  caches.claims.listen(({ object }) => ofNamespace(object.metadata.namespace));
  caches.volumes.listen(({ object }) => ofNamespace(object.spec?.claimRef?.namespace));
  const all = (): void => addAll(caches.policies.list());
  caches.snapshotClasses.listen(all);
  caches.storageClasses.listen(all);
  caches.tenants.listen(({ object }) => ofNamespace(object.spec.namespace));
  caches.namespaces.listen(({ object }) => ofNamespace(object.metadata.name));
  onLocationChange(caches, (location) => addAll(caches.policies.byIndex('location', location)));
  dependencies.standings.listen((location) => addAll(caches.policies.byIndex('location', location)));
  watchMovers(caches, 'BackupPolicy', (key) => controller.queue.add(key));
  return controller;
}

async function reconcile(dependencies: PolicyDependencies, memory: Memory, key: string, signal: AbortSignal): Promise<ReconcileResult> {
  const [namespace, name = ''] = key.split('/');
  const policy = dependencies.caches.policies.get(name, namespace);
  const once = (): Promise<ReconcileResult> => reconcileOnce(dependencies, memory, key, signal);
  return policy !== undefined && verificationTakesPlace(policy) ? dependencies.movers.admission.run(once) : once();
}

async function reconcileOnce(dependencies: PolicyDependencies, { workloads, parse, verifications }: Memory, key: string, signal: AbortSignal): Promise<ReconcileResult> {
  const { caches, clock } = dependencies;
  const [namespace = '', name = ''] = key.split('/');
  const policy = caches.policies.get(name, namespace);
  if (policy === undefined || policy.metadata.deletionTimestamp !== undefined) return {};
  const seen = caches.backups.byIndex('policy', key);
  const { quota, backups } = await settleQuota(dependencies, policy, seen, signal);
  const home = caches.namespaces.get(namespace);
  const tenant = home && caches.tenants.byIndex('namespaceUID', home.metadata.uid)[0];
  const workload = await workloads.check(namespace, policy.spec.workload, signal);
  const { facts, plan } = await verifications.decide(policy, backups, signal);
  const verification = await verifications.before(facts, plan, signal);
  const decision = decidePolicy(
    policy,
    {
      namespace: home && { uid: home.metadata.uid, terminating: home.status?.phase === 'Terminating' },
      location: caches.locations.get(policy.spec.location),
      tenant,
      standing: tenant && dependencies.standings.of(policy.spec.location, tenant.spec.tenantId),
      claims: observeClaims(dependencies, namespace),
      storage: observeStorage(caches, dependencies.movers.moverNamespace),
      backups,
      restores: restoresOf(caches, policy),
      workload: workload.finding,
      quota,
      parse,
      verification,
    },
    clock.now(),
  );
  // Before the status says that it was dealt with: a crash in between finds the Backup by its name.
  if (decision.run !== undefined) await applyRun(dependencies, policy, decision.run, signal);
  const written = await writeStatus(dependencies, policy, decision.status, signal);
  if (written === undefined) return {};
  tellChanges(dependencies.events, policy, written);
  await verifications.after(facts, verification, signal);
  if (decision.missed !== undefined) tellMissed(dependencies.events, policy, decision.missed);
  await applyRotation(dependencies, policy, { rotate: decision.rotate, rotatesMany: decision.rotatesMany, at: displayTime(clock.now()) }, signal);
  await applyTidying(dependencies, decision.tidy, signal);
  if (verification.again === true) return { requeueAfterMs: 0 };
  const wake = decision.wakeAt === undefined ? undefined : Math.min(decision.wakeAt - clock.now(), LONGEST_WAIT_MS);
  const waits = [wake, workload.againInMs].filter((wait) => wait !== undefined);
  return waits.length > 0 ? { requeueAfterMs: Math.max(1000, Math.min(...waits)) } : {};
}

function restoresOf({ policies, backups, restores }: Caches, { metadata }: BackupPolicy): readonly Restore[] {
  const namespace = metadata.namespace ?? '';
  const [first] = policies.byIndex('namespace', namespace).map(({ metadata: { name } }) => name).sort();
  return restores.byIndex('namespace', namespace).filter((restore) => {
    const owner = backups.get(restoredBackup(restore) ?? '', namespace)?.spec.policy ?? restore.spec.source.policy;
    const isOrphan = owner === undefined || policies.get(owner, namespace) === undefined;
    return isOrphan ? first === metadata.name : owner === metadata.name;
  });
}

interface Settled {
  readonly quota: Quota;
  readonly backups: readonly Backup[];
}

/**
 * Slots are decided on a live read of the backups whenever the cache suggests a change: a cache may lack the one that took the last place. The write
 * that follows goes under the resourceVersion of the policy as it was known before that read: of two operators, or where the cache was behind, one is told `Conflict`.
 */
async function settleQuota({ backups, caches }: PolicyDependencies, cached: BackupPolicy, seen: readonly Backup[], signal: AbortSignal): Promise<Settled> {
  const suggested = decideQuota(cached, seen);
  if (isSame(suggested, cached.status?.quota)) return { quota: suggested, backups: seen };
  const { namespace, name } = cached.metadata;
  const listed = await backups.list({ namespace: namespace ?? '' }, signal);
  const live = listed.items.filter((backup) => backup.spec.policy === name);
  for (const backup of live) caches.backups.remember(backup);
  return { quota: decideQuota(cached, live), backups: live };
}

/**
 * @returns undefined when the policy was deleted meanwhile
 * @throws {KubeError} `Conflict` when somebody wrote in between; then the cache is brought up to date, which its watch may not do for long
 */
async function writeStatus({ policies, caches }: PolicyDependencies, policy: BackupPolicy, status: BackupPolicyStatus, signal: AbortSignal): Promise<BackupPolicy | undefined> {
  try {
    const written = await policies.writeStatus(policy, status, signal);
    caches.policies.remember(written);
    return written;
  } catch (error) {
    if (isKubeError(error, 'NotFound')) return undefined;
    const live = isKubeError(error, 'Conflict') ? await policies.get(policy.metadata.name, policy.metadata.namespace, signal) : undefined;
    if (live !== undefined) caches.policies.remember(live);
    throw error;
  }
}

const TOLD = ['Ready', 'Protected', 'QuotaFull', 'Scheduled', 'Verified', 'Replicated'] as const;
/** A condition that says something bad when it is True. */
const BAD_WHEN_TRUE: ReadonlySet<string> = new Set(['QuotaFull']);

function tellChanges(events: EventRecorder, before: BackupPolicy, after: BackupPolicy): void {
  for (const type of TOLD) {
    const was = before.status?.conditions?.find((condition) => condition.type === type);
    const is = after.status?.conditions?.find((condition) => condition.type === type);
    if (is === undefined || was?.status === is.status) continue;
    const isBad = is.status === (BAD_WHEN_TRUE.has(type) ? 'True' : 'False');
    // A policy that is new has no backup yet; that is no warning.
    if (was === undefined && type !== 'Ready') continue;
    events.record(after, { type: isBad ? 'Warning' : 'Normal', reason: is.reason, action: type, message: is.message });
  }
}
