import { API_VERSION, FINALIZER, type Backup, type Restore, type RestoreStatus } from '../../api/index.ts';
import {
  NO_ATTEMPT,
  decideRestore,
  decideRestoreRefused,
  decideStepRefused,
  restoreEnded,
  replicaView,
  restoreIdentity,
  restoredBackup,
  type MoverStart,
  type NewClaim,
  type RefusableStep,
  type RestoreFacts,
  type RestorePlan,
  type RestoreStep,
  type SafetyBackupStart,
  type WorkloadFact,
} from '../../decide/index.ts';
import { ResourceClient, isKubeError, resourceTypes, type EventRecorder, type ReconcileResult } from '../../kube/index.ts';
import {
  MoverChildren,
  fromCaches,
  isRefused,
  liveJobs,
  observeAttempt,
  observeClaimWarnings,
  observeClaims,
  observeGround,
  observeUsers,
  recordIfPossible,
  recordUnlessFailed,
  refusalOf,
  transitionEvent,
  type MoverContext,
} from '../mover/index.ts';
import type { RawClaim } from '../raw-objects.ts';
import { Workloads } from './workload-observer.ts';

/** Steps that a plan may ask to follow at once; more would be a decision that never rests. */
const MOST_ROUNDS = 10;
/** A new volume that is not bound this long after the mover's Job was made has a reason, which its provisioner tells in an event. */
const VOLUME_PATIENCE_MS = 5000;

/** Observes a Restore, decides, applies: the only writer of its status. */
export class RestoreReconciler {
  readonly #context: MoverContext;
  readonly #restores: ResourceClient<Restore>;
  readonly #backups: ResourceClient<Backup>;
  readonly #claims: ResourceClient<RawClaim>;
  readonly #children: MoverChildren;
  readonly #workloads: Workloads;
  readonly #events: Pick<EventRecorder, 'record'>;
  readonly #wake: (key: string) => void;

  /** @param wake - puts a key back into the controller's queue */
  constructor(context: MoverContext, events: Pick<EventRecorder, 'record'>, wake: (key: string) => void) {
    this.#context = context;
    this.#restores = new ResourceClient(context.connection, resourceTypes.restores);
    this.#backups = new ResourceClient(context.connection, resourceTypes.backups);
    this.#claims = new ResourceClient(context.connection, resourceTypes.persistentVolumeClaims);
    this.#children = new MoverChildren(context);
    this.#workloads = new Workloads(context.connection);
    this.#events = events;
    this.#wake = wake;
  }

  async reconcile(key: string, signal: AbortSignal): Promise<ReconcileResult> {
    for (let round = 0; round < MOST_ROUNDS; round++) {
      const restore = this.#find(key);
      if (restore === undefined) return {};
      const phase = restore.status?.phase ?? 'Pending';
      const once = () => this.#once(key, signal);
      const plan = phase === 'Pending' || phase === 'Queued' ? await this.#context.admission.run(once) : await once();
      if (plan.again !== true) return plan.wakeAt === undefined ? {} : { requeueAfterMs: Math.max(0, plan.wakeAt - this.#context.clock.now()) };
    }
    return { requeueAfterMs: 0 };
  }

  #find(key: string): Restore | undefined {
    const [namespace, name] = key.split('/');
    return this.#context.caches.restores.get(name ?? '', namespace);
  }

  async #once(key: string, signal: AbortSignal): Promise<RestorePlan> {
    const restore = this.#find(key);
    if (restore === undefined) return { steps: [] };
    const facts = await this.#observe(restore, signal);
    this.#listen(restore, facts, key);
    return this.#apply(facts, decideRestore(facts, this.#context.clock.now()), signal);
  }

  async #observe(restore: Restore, signal: AbortSignal): Promise<RestoreFacts> {
    const context = this.#context;
    const namespace = restore.metadata.namespace ?? '';
    const source = this.#source(restore);
    const chosenFrom = restore.spec.source.policy;
    const home = observeGround(context, namespace, source?.spec.policy ?? chosenFrom ?? '');
    const ground = readFrom(restore, home);
    const isChosen = restoredBackup(restore) !== undefined;
    const claims = observeClaims(context, namespace);
    const phase = restore.status?.phase ?? 'Pending';
    const attempt = await this.#attempt(restore, ground, signal);
    const writesSoon = phase === 'ScalingDown' || phase === 'CleaningUp' || (phase === 'Restoring' && attempt.job === undefined && restore.status?.nextAttemptAt === undefined);
    const safety = restore.status?.safetyBackup;
    return {
      restore,
      source,
      candidates: chosenFrom === undefined || isChosen ? [] : context.caches.backups.byIndex('policy', `${namespace}/${chosenFrom}`),
      ground,
      home,
      claims,
      claimWarnings: await this.#claimWarnings(restore, claims, attempt, signal),
      users: writesSoon ? await observeUsers(context, namespace, signal) : [],
      workload: await this.#workload(restore, ground, signal),
      safety: safety === undefined ? undefined : context.caches.backups.get(safety, namespace),
      attempt,
      liveJobs: liveJobs(context, namespace),
      queue: context.queueOf(ground.tenant?.spec.location ?? ''),
      defaultImage: context.defaultImage,
    };
  }

  #source(restore: Restore): Backup | undefined {
    const name = restoredBackup(restore);
    return name === undefined ? undefined : this.#context.caches.backups.get(name, restore.metadata.namespace);
  }

  /** Asked for only while a mover's pod waits for a new volume longer than one usually takes. */
  async #claimWarnings(restore: Restore, claims: RestoreFacts['claims'], { job, pods }: RestoreFacts['attempt'], signal: AbortSignal): Promise<RestoreFacts['claimWarnings']> {
    const made = new Set(restore.status?.newVolumes?.map(({ name }) => name));
    const pending = claims.filter(({ name, phase }) => made.has(name) && phase !== 'Bound').map(({ name }) => name);
    const isYoung = job === undefined || this.#context.clock.now() - job.createdAt < VOLUME_PATIENCE_MS;
    if (pending.length === 0 || isYoung || pods.some(({ running }) => running)) return [];
    return observeClaimWarnings(this.#context, restore.metadata.namespace ?? '', pending, signal);
  }

  async #attempt(restore: Restore, ground: RestoreFacts['ground'], signal: AbortSignal): Promise<RestoreFacts['attempt']> {
    const attempt = restore.status?.attempt ?? 0;
    if (attempt === 0) return NO_ATTEMPT;
    const identity = restoreIdentity(restore);
    const namespace = restore.metadata.namespace ?? '';
    const isStopping = restore.spec.cancel || restore.metadata.deletionTimestamp !== undefined;
    if (restore.status?.phase !== 'Restoring' || isStopping || restore.status.nextAttemptAt !== undefined)
      return fromCaches(this.#context, identity.name, namespace);
    const source = this.#source(restore);
    return observeAttempt(
      this.#context,
      identity,
      { namespace, location: ground.location, tenant: ground.tenant, keyGeneration: source?.status?.keyGeneration ?? 1, attempt },
      signal,
    );
  }

  /** Looked at live, and only when it is about to be scaled. */
  async #workload(restore: Restore, ground: RestoreFacts['ground'], signal: AbortSignal): Promise<WorkloadFact> {
    const namespace = restore.metadata.namespace ?? '';
    const { phase = 'Pending', workload } = restore.status ?? {};
    if (phase === 'Pending' || phase === 'Queued') {
      const isStopping = restore.spec.cancel || restore.metadata.deletionTimestamp !== undefined;
      return isStopping ? { state: 'none' } : this.#workloads.observe(ground.policy?.spec.workload, namespace, true, signal);
    }
    if (phase !== 'ScalingDown' && phase !== 'ScalingUp') return { state: 'none' };
    return this.#workloads.observe(workload, namespace, false, signal);
  }

  #listen(restore: Restore, facts: RestoreFacts, key: string): void {
    if (restore.status?.phase !== 'Restoring') return;
    const pod = facts.attempt.pods.find(({ running }) => running);
    if (pod === undefined) return;
    this.#context.listener.listen({ namespace: restore.metadata.namespace ?? '', name: pod.name }, pod.jobName, () => this.#wake(key));
  }

  /** @returns the plan that was carried out: another one when credentials for a mover were refused */
  async #apply(facts: RestoreFacts, plan: RestorePlan, signal: AbortSignal): Promise<RestorePlan> {
    let current = facts.restore;
    for (const step of plan.steps) {
      if (step.do === 'startMover') {
        const refused = await this.#start(step.start, facts, signal);
        if (refused !== undefined) return this.#apply({ ...facts, restore: current }, refused, signal);
      } else if (step.do === 'scale' || step.do === 'createClaim' || step.do === 'createSafetyBackup') {
        const refused = await this.#try(step, { ...facts, restore: current }, signal);
        if (refused !== undefined) return this.#apply({ ...facts, restore: current }, refused, signal);
      } else {
        current = await this.#do(step, current, facts, signal);
      }
    }
    return plan;
  }

  /** @returns what to do instead when the API server refuses it for good */
  async #try(step: RefusableStep, facts: RestoreFacts, signal: AbortSignal): Promise<RestorePlan | undefined> {
    const { namespace = '' } = facts.restore.metadata;
    try {
      if (step.do === 'scale') await this.#workloads.scale(step.workload, namespace, step.replicas, signal);
      else if (step.do === 'createClaim') await this.#createClaim(step.claim, signal);
      else await this.#createSafetyBackup(step.backup, namespace, signal);
      return undefined;
    } catch (error) {
      if (!isRefused(error)) throw error;
      return decideStepRefused(facts, step, error.message.replace(/[.\s]*$/, ''), this.#context.clock.now());
    }
  }

  async #do(step: Exclude<RestoreStep, RefusableStep | { do: 'startMover' }>, current: Restore, facts: RestoreFacts, signal: AbortSignal): Promise<Restore> {
    const { namespace = '', uid } = current.metadata;
    switch (step.do) {
      case 'addFinalizer':
        return this.#remember(await this.#restores.writeFinalizers(current, [...(current.metadata.finalizers ?? []), FINALIZER], signal));
      case 'removeFinalizer':
        return this.#removeFinalizer(current, signal);
      case 'writeStatus':
        await this.#recordEnd(current, step.status, facts, signal);
        return this.#writeStatus(current, step.status, signal);
      case 'deleteClaim':
        await this.#claims.delete(step.name, namespace, { uid: step.uid, signal });
        return current;
      case 'cancelSafetyBackup':
        this.#context.caches.backups.remember(await this.#backups.patch(step.name, namespace, { spec: { cancel: true } }, { signal }));
        return current;
      case 'stopMover':
        await this.#children.stop({ name: step.name, namespace, owner: uid }, signal);
        return current;
      case 'clearMover':
        await this.#children.clear({ name: step.name, namespace, owner: uid }, signal);
        return current;
      case 'renewCredentials':
        if (facts.ground.location !== undefined && facts.ground.tenant !== undefined) {
          await this.#children.renew(step.name, namespace, facts.ground.location, facts.ground.tenant.spec.tenantId, signal);
        }
        return current;
    }
  }

  /** One that is there already is looked at: the next decision tells whether it is ours. */
  async #createClaim(claim: NewClaim, signal: AbortSignal): Promise<void> {
    const { name, namespace } = claim.metadata;
    try {
      this.#context.caches.claims.remember(await this.#claims.create(claim, signal));
    } catch (error) {
      if (!isKubeError(error, 'AlreadyExists')) throw error;
      const there = await this.#claims.get(name, namespace, signal);
      if (there !== undefined) this.#context.caches.claims.remember(there);
    }
  }

  /** One that is there already is found by the next look, which tells whether it is ours. */
  async #createSafetyBackup(start: SafetyBackupStart, namespace: string, signal: AbortSignal): Promise<void> {
    const metadata = { name: start.name, namespace, labels: start.labels };
    try {
      await this.#backups.create({ apiVersion: API_VERSION, kind: 'Backup', metadata, spec: start.spec }, signal);
    } catch (error) {
      if (!isKubeError(error, 'AlreadyExists')) throw error;
    }
  }

  /** @returns what to do instead when the mover's credentials were refused */
  async #start(start: MoverStart, facts: RestoreFacts, signal: AbortSignal): Promise<RestorePlan | undefined> {
    const { location } = facts.ground;
    if (location === undefined) return undefined;
    try {
      await this.#children.start(start, location, signal, facts.restore.spec.requestedBy);
      return undefined;
    } catch (error) {
      const refusal = refusalOf(error);
      if (refusal === undefined) throw error;
      return decideRestoreRefused(facts, refusal, this.#context.clock.now());
    }
  }

  async #recordEnd(current: Restore, status: RestoreStatus, { ground }: RestoreFacts, signal: AbortSignal): Promise<void> {
    const record = restoreEnded(current, status);
    const { location, tenant } = ground;
    if (record === undefined || location === undefined || tenant === undefined) return;
    const trail = this.#context.caches.locations.get(location.metadata.name) ?? location;
    // The first data center, where the trail is, may be off.
    const tell = current.spec.source.from === 'Replica' ? recordIfPossible : recordUnlessFailed;
    await tell(this.#context.audit, trail, tenant.spec.tenantId, record, signal);
  }

  /** With its last finalizer the object is gone, and a cache that is behind may ask for it once more. */
  async #removeFinalizer(current: Restore, signal: AbortSignal): Promise<Restore> {
    const finalizers = (current.metadata.finalizers ?? []).filter((each) => each !== FINALIZER);
    try {
      return this.#remember(await this.#restores.writeFinalizers(current, finalizers, signal));
    } catch (error) {
      if (!isKubeError(error, 'NotFound')) throw error;
      return current;
    }
  }

  async #writeStatus(current: Restore, status: RestoreStatus, signal: AbortSignal): Promise<Restore> {
    const written = this.#remember(await this.#restores.writeStatus(current, status, signal));
    const event = transitionEvent(current.status, status, ['Succeeded']);
    if (event !== undefined) this.#events.record(current, event);
    return written;
  }

  #remember(restore: Restore): Restore {
    this.#context.caches.restores.remember(restore);
    return restore;
  }
}

/** What is to be read from the second data center sees the location as that one has it. */
function readFrom(restore: Restore, ground: RestoreFacts['ground']): RestoreFacts['ground'] {
  if (restore.spec.source.from !== 'Replica' || ground.location === undefined) return ground;
  const view = replicaView(ground.location);
  return view.ok ? { ...ground, location: view.location } : { ...ground, locationRefused: view };
}
