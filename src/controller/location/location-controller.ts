import type { BackupLocation } from '../../api/index.ts';
import { isReady, locationStatus, nextProbeIn, nextProofIn } from '../../decide/location.ts';
import { Controller, type ControllerObserver, type EventRecorder, type Informer, type ReconcileResult, type ResourceClient } from '../../kube/index.ts';
import type { Caches } from '../caches.ts';
import { displayTime } from '../../decide/index.ts';
import type { Clock, LocationFindings, LocationProbe, LockFinding, LockProver, RecoverySource, ReplicationAccess } from '../ports.ts';
import { Recoveries } from '../recovery/index.ts';
import { watchMovers, type MoverContext } from '../mover/index.ts';
import { Replications } from './replications.ts';
import type { ReplicaStandings } from './replica-standings.ts';
import type { RawSecret } from '../raw-objects.ts';
import { secretNames } from './secret-names.ts';

export interface LocationDependencies {
  readonly caches: Caches;
  /** Secrets of the operator's own namespace. */
  readonly secrets: Informer<RawSecret>;
  readonly operatorNamespace: string;
  readonly locations: ResourceClient<BackupLocation>;
  readonly probe: LocationProbe;
  readonly prover: LockProver;
  readonly replication: ReplicationAccess;
  /** What the copies left of each tenant; policies and backups look there. */
  readonly standings: ReplicaStandings;
  readonly recovery: RecoverySource;
  /** What workers are started and watched with. */
  readonly movers: MoverContext;
  readonly events: EventRecorder;
  readonly clock: Clock;
  readonly observer: ControllerObserver;
}

const WORKERS = 2;
/** Between two looks for the sake of time alone. */
const LEAST_WAIT_MS = 1000;
/** Counts in the status follow a storm of movers at this pace. */
const COUNT_EVERY_MS = 5000;

/** What the last probe found, and of which spec and Secrets. Lost in a restart, which then probes anew. */
interface Probed {
  readonly of: string;
  readonly findings: LocationFindings;
  readonly dueAt: number;
  readonly failures: number;
}

/** As above, of the second bucket's lock. */
interface Proved {
  readonly of: string;
  readonly finding: LockFinding | undefined;
  /** RFC 3339 */
  readonly provenAt: string | undefined;
  readonly dueAt: number;
  readonly failures: number;
}

/** Tries each location's storage and keys, at once when its spec or a Secret changes, and says what works. */
export function locationController(dependencies: LocationDependencies): Controller {
  const replications = new Replications(dependencies.movers, dependencies.replication, dependencies.standings, (name) => controller.queue.add(name));
  const recoveries = new Recoveries({ connection: dependencies.movers.connection, source: dependencies.recovery, clock: dependencies.clock });
  const memory: Memory = { recoveries, replications, probes: new Map(), proofs: new Map(), countedAt: new Map() };
  const controller = new Controller({
    name: 'location',
    workers: WORKERS,
    reconcile: (key, signal) => reconcile(dependencies, memory, key, signal),
    observer: dependencies.observer,
  });
  const { caches, secrets } = dependencies;
  caches.locations.listen(({ object }) => controller.queue.add(object.metadata.name));
  secrets.listen(({ object }) => {
    for (const location of caches.locations.list()) {
      if (secretNames(location.spec).includes(object.metadata.name)) controller.queue.add(location.metadata.name);
    }
  });
  caches.tenants.listen(({ type, object }) => {
    if (type !== 'modified') controller.queue.add(object.spec.location);
  });
  caches.jobs.listen(({ type }) => {
    if (type === 'modified') return;
    for (const location of caches.locations.list()) controller.queue.addAfter(location.metadata.name, COUNT_EVERY_MS);
  });
  watchMovers(caches, 'BackupLocation', (key) => controller.queue.add(key.split('/').at(-1) ?? ''));
  return controller;
}

interface Memory {
  readonly recoveries: Recoveries;
  readonly replications: Replications;
  readonly probes: Map<string, Probed>;
  readonly proofs: Map<string, Proved>;
  readonly countedAt: Map<string, number>;
}

async function reconcile(dependencies: LocationDependencies, memory: Memory, name: string, signal: AbortSignal): Promise<ReconcileResult> {
  const { caches, locations, clock, events } = dependencies;
  const location = caches.locations.get(name);
  if (location === undefined || location.metadata.deletionTimestamp !== undefined) {
    memory.probes.delete(name);
    memory.proofs.delete(name);
    return {};
  }
  const [probed, proved] = await Promise.all([probeIfDue(dependencies, memory, location, signal), proveIfDue(dependencies, memory, location, signal)]);
  const plan = await memory.replications.decide(location, proved.finding, signal);
  const recovery = await memory.recoveries.goOn(location, isReady(probed.findings), signal);
  const now = clock.now();
  const isCountDue = now - (memory.countedAt.get(name) ?? 0) >= COUNT_EVERY_MS;
  const counts = isCountDue
    ? { tenants: caches.tenants.byIndex('location', name).length, runningMovers: runningMovers(caches, name) }
    : { tenants: location.status?.tenants ?? 0, runningMovers: location.status?.runningMovers ?? 0 };
  if (isCountDue) memory.countedAt.set(name, now);
  const written = await locations.writeStatus(location, locationStatus(location, { ...probed.findings, replicaLocked: proved.finding, lockProvenAt: proved.provenAt, replication: plan, recovery: recovery.status, ...counts }, now), signal);
  caches.locations.remember(written);
  tellChanges(events, location, written);
  await memory.replications.after(location, plan, signal);
  if (plan.again === true || recovery.again) return { requeueAfterMs: 0 };
  const untilProbe = Math.max(0, Math.min(probed.dueAt, proved.dueAt, Math.max(plan.wakeAt ?? Infinity, clock.now() + LEAST_WAIT_MS)) - clock.now());
  // What was not counted now is counted soon, not only with the next probe.
  return { requeueAfterMs: isCountDue ? untilProbe : Math.min(COUNT_EVERY_MS, untilProbe) };
}

async function probeIfDue(dependencies: LocationDependencies, { probes }: Memory, location: BackupLocation, signal: AbortSignal): Promise<Probed> {
  const { probe, clock } = dependencies;
  const { name } = location.metadata;
  const of = versionOf(dependencies, location);
  const known = probes.get(name);
  if (known?.of === of && clock.now() < known.dueAt) return known;
  const findings = await probe.probe(location, signal);
  const failures = isReady(findings) ? 0 : (known?.of === of ? known.failures : 0) + 1;
  const probed = { of, findings, failures, dueAt: clock.now() + nextProbeIn(failures) };
  probes.set(name, probed);
  return probed;
}

async function proveIfDue(dependencies: LocationDependencies, { proofs }: Memory, location: BackupLocation, signal: AbortSignal): Promise<Proved> {
  const { prover, clock } = dependencies;
  const { name } = location.metadata;
  const of = versionOf(dependencies, location);
  const known = proofs.get(name);
  if (known?.of === of && clock.now() < known.dueAt) return known;
  const finding = await prover.prove(location, signal);
  const isDone = finding === undefined || finding.kind === 'proven';
  const failures = isDone ? 0 : (known?.of === of ? known.failures : 0) + 1;
  const before = finding === undefined ? undefined : location.status?.lockProvenAt;
  const proved = { of, finding, provenAt: finding?.kind === 'proven' ? displayTime(clock.now()) : before, failures, dueAt: clock.now() + nextProofIn(failures) };
  proofs.set(name, proved);
  return proved;
}

/** What was tried: a change of the spec or of a Secret is tried at once. */
function versionOf({ secrets, operatorNamespace }: LocationDependencies, location: BackupLocation): string {
  const versions = secretNames(location.spec).map((secret) => secrets.get(secret, operatorNamespace)?.metadata.resourceVersion ?? 'none');
  return [location.metadata.uid, location.metadata.generation, ...versions].join('/');
}

function runningMovers(caches: Caches, location: string): number {
  const namespaces = new Set(caches.tenants.byIndex('location', location).map(({ spec }) => spec.namespace));
  return caches.jobs.list().filter(({ metadata, status }) => namespaces.has(metadata.namespace ?? '') && !(status?.conditions ?? []).some(isEnd)).length;
}

function isEnd(condition: { readonly type: string; readonly status: string }): boolean {
  return condition.status === 'True' && (condition.type === 'Complete' || condition.type === 'Failed');
}

/** Conditions that are worth an event, and what each looks like when all is well. */
const TOLD = { Ready: 'True', ReplicaLocked: 'True', Replicated: 'True', ReplicaDiverged: 'False' } as const;

function tellChanges(events: Pick<EventRecorder, 'record'>, before: BackupLocation, after: BackupLocation): void {
  for (const [type, good] of Object.entries(TOLD)) {
    const was = before.status?.conditions?.find((condition) => condition.type === type);
    const is = after.status?.conditions?.find((condition) => condition.type === type);
    if (is === undefined || is.status === 'Unknown' || (was?.status === is.status && was.reason === is.reason)) continue;
    // That nothing is lost is news only after something was.
    if (type !== 'Ready' && is.status === good && (was === undefined || was.status === 'Unknown')) continue;
    events.record(after, { type: is.status === good ? 'Normal' : 'Warning', reason: is.reason, action: type === 'Ready' ? 'Probe' : type, message: is.message });
  }
  tellRun(events, before, after);
}

/** The end of a copy, also of one that did nothing. */
function tellRun(events: Pick<EventRecorder, 'record'>, before: BackupLocation, after: BackupLocation): void {
  const [was, is] = [before.status?.replication, after.status?.replication];
  if (is === undefined || is.phase === was?.phase || (is.phase !== 'Completed' && is.phase !== 'Failed')) return;
  const reason = is.phase === 'Completed' ? 'ReplicationCompleted' : 'ReplicationFailed';
  events.record(after, { type: is.phase === 'Completed' ? 'Normal' : 'Warning', reason, action: 'Replicate', message: is.message ?? '' });
}
