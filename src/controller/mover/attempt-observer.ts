import { LABEL_COMPONENT, resultKey, type BackupLocation, type BackupTenant } from '../../api/index.ts';
import { attemptState, familyOf, isLost, patienceOf, type AttemptFacts, type AttemptIdentity, type MoverPodFact, type StoredResultFact } from '../../decide/index.ts';
import { jobOfPod } from '../caches.ts';
import { ResourceClient, resourceTypes } from '../../kube/index.ts';
import { PortError } from '../ports.ts';
import type { RawPod } from '../raw-objects.ts';
import { hasEnded, jobFact, moverPodFact, warningFact } from './facts.ts';
import type { MoverContext } from './mover-context.ts';

export interface AttemptPlace {
  readonly namespace: string;
  readonly location: BackupLocation | undefined;
  readonly tenant: BackupTenant | undefined;
  readonly keyGeneration: number;
  /** Number of the attempt. */
  readonly attempt: number;
}

/** Gathers what can be seen of an attempt: from the caches, and, where the pod cannot tell its end, from the API server and the bucket. */
export async function observeAttempt(
  context: MoverContext,
  identity: AttemptIdentity,
  place: AttemptPlace,
  signal: AbortSignal,
): Promise<AttemptFacts> {
  const cached = await withLog(context, identity, place.namespace, fromCaches(context, identity.name, place.namespace), signal);
  if (attemptState(identity, cached, context.clock.now()).kind !== 'resultWanted') return cached;
  // The watch of pods may be behind that of Jobs; the bucket is asked only when the API server has no pod that tells.
  const pods = (
    await new ResourceClient<RawPod>(context.connection, resourceTypes.pods).list(
      { namespace: place.namespace, labelSelector: `job-name=${identity.name}` },
      signal,
    )
  ).items;
  const live: AttemptFacts = { ...cached, pods: pods.map((pod) => podFact(context, pod)) };
  if (attemptState(identity, live, context.clock.now()).kind !== 'resultWanted') return live;
  return { ...live, stored: await readStored(context, identity, place, signal) };
}

/** What is heard may have broken off, or have begun just now: before silence counts, the node is asked. */
async function withLog(context: MoverContext, identity: AttemptIdentity, namespace: string, facts: AttemptFacts, signal: AbortSignal): Promise<AttemptFacts> {
  const patience = patienceOf(facts);
  const pod = facts.pods.find(({ running }) => running);
  if (patience === undefined || pod === undefined || attemptState(identity, facts, context.clock.now()).kind !== 'logWanted') return facts;
  return { ...facts, lately: await context.listener.lately({ namespace, name: pod.name }, patience, signal) };
}

export function fromCaches(context: MoverContext, name: string, namespace: string): AttemptFacts {
  const { caches, listener } = context;
  const job = caches.jobs.get(name, namespace);
  const pods = caches.moverPods.byIndex('job', `${namespace}/${name}`);
  const copies = caches.claims.byIndex('family', familyOf(name) ?? '').filter(({ metadata }) => metadata.namespace === namespace);
  const abouts = [name, ...[...pods, ...copies].map(({ metadata }) => metadata.name)];
  const warnings = caches.warnings.flatMap((cache) => abouts.flatMap((about) => cache.byIndex('about', `${namespace}/${about}`)));
  return {
    job: job === undefined ? undefined : jobFact(job),
    pods: pods.map((pod) => podFact(context, pod)),
    warnings: warnings.map(warningFact),
    stored: { state: 'notLooked' },
    spoken: listener.spoken(name),
  };
}

async function readStored(context: MoverContext, identity: AttemptIdentity, place: AttemptPlace, signal: AbortSignal): Promise<StoredResultFact> {
  if (place.location === undefined || place.tenant === undefined)
    return { state: 'unreachable', message: 'the BackupLocation or BackupTenant is gone.' };
  try {
    const value = await context.results.read(
      place.location,
      place.tenant.spec.tenantId,
      resultKey(place.keyGeneration, identity.uid, place.attempt),
      signal,
    );
    return value === undefined ? { state: 'absent' } : { state: 'found', value };
  } catch (error) {
    if (!(error instanceof PortError)) throw error;
    return { state: 'unreachable', message: `${error.reason}: ${error.message}` };
  }
}

function podFact({ caches }: MoverContext, pod: RawPod): MoverPodFact {
  return moverPodFact(pod, caches.nodes.get(pod.spec?.nodeName ?? ''));
}

/**
 * Names of Jobs of the namespace of which a pod has not ended, as far as is known. One that was lost with its node counts as dead, so that its lock may go:
 * if it lives all the same, it ends when it finds that out. Not so one that removes data: it must not go on for a moment beside others, and the lock of one that
 * is dead is taken over when it is stale.
 */
export function liveJobs(context: MoverContext, namespace: string): ReadonlySet<string> {
  const now = context.clock.now();
  const isLive = (pod: RawPod) => !hasEnded(pod.status?.phase) && !(isLost(podFact(context, pod), now) && pod.metadata.labels?.[LABEL_COMPONENT] !== 'mover-forget');
  return new Set(context.caches.moverPods.byIndex('namespace', namespace).filter(isLive).map(({ metadata }) => jobOfPod(metadata)));
}
