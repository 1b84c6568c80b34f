import { FINALIZER, type Backup, type BackupStatus } from '../../api/index.ts';
import {
  DEFAULT_CONFIRM_FROM,
  DELETIONS,
  FIRST_FORGET_ATTEMPT,
  NO_ATTEMPT,
  backupDeleted,
  backupEnded,
  coveredBy,
  forgetIdentity,
  decideBackup,
  decideCopyRefused,
  decideForgetRefused,
  decideStartRefused,
  deletionBreaker,
  identityOf,
  isEnding,
  isTerminal,
  liveClaims,
  takesPlace,
  wantsForgetting,
  type BackupFacts,
  type BackupStep,
  type ForgetFacts,
  type MoverStart,
  type Plan,
} from '../../decide/index.ts';
import { ResourceClient, isKubeError, resourceTypes, type EventRecorder, type ReconcileResult } from '../../kube/index.ts';
import {
  MoverChildren,
  fromCaches,
  liveJobs,
  locationOf,
  observeAttempt,
  observeClaims,
  observeExecPods,
  observeGround,
  observeUsers,
  newWarnings,
  recordIfPossible,
  recordUnlessFailed,
  refusalOf,
  transitionEvent,
  type MoverContext,
} from '../mover/index.ts';
import { makeCopy, observeCopies, observeStorage } from '../copy/index.ts';
import { jobFact } from '../mover/facts.ts';
import { HookRunner } from './hook-runner.ts';

/** Steps that a plan may ask to follow at once; more would be a decision that never rests. */
const MOST_ROUNDS = 8;

/** Observes a Backup, decides, applies: the only writer of its status. */
export class BackupReconciler {
  readonly #context: MoverContext;
  readonly #backups: ResourceClient<Backup>;
  readonly #children: MoverChildren;
  readonly #hooks: HookRunner;
  readonly #events: Pick<EventRecorder, 'record'>;
  readonly #wake: (key: string) => void;

  /** @param wake - puts a key back into the controller's queue */
  constructor(context: MoverContext, events: Pick<EventRecorder, 'record'>, wake: (key: string) => void) {
    this.#context = context;
    this.#backups = new ResourceClient(context.connection, resourceTypes.backups);
    this.#children = new MoverChildren(context);
    this.#hooks = new HookRunner(context.exec, () => context.clock.now());
    this.#events = events;
    this.#wake = wake;
  }

  async reconcile(key: string, signal: AbortSignal): Promise<ReconcileResult> {
    for (let round = 0; round < MOST_ROUNDS; round++) {
      const backup = this.#find(key);
      if (backup === undefined) return {};
      if (isTerminal(backup.status?.phase)) this.#hooks.forget(backup.metadata.uid);
      const once = () => this.#once(key, signal);
      const plan = takesPlace(backup) ? await this.#context.admission.run(once) : await once();
      if (plan.again !== true) return plan.wakeAt === undefined ? {} : { requeueAfterMs: Math.max(0, plan.wakeAt - this.#context.clock.now()) };
    }
    return { requeueAfterMs: 0 };
  }

  #find(key: string): Backup | undefined {
    const [namespace, name] = key.split('/');
    return this.#context.caches.backups.get(name ?? '', namespace);
  }

  async #once(key: string, signal: AbortSignal): Promise<Plan<BackupStep>> {
    const backup = this.#find(key);
    if (backup === undefined) return { steps: [] };
    const facts = await this.#observe(backup, signal);
    this.#listen(backup, facts, key);
    const plan = await this.#decide(facts, (seen) => decideBackup(seen, this.#context.clock.now()), signal);
    return this.#apply(plan.facts, plan.plan, signal);
  }

  /** Customers' pods are not watched: they are read when a decision cannot do without. */
  async #decide(facts: BackupFacts, decide: (facts: BackupFacts) => Plan<BackupStep>, signal: AbortSignal): Promise<{ facts: BackupFacts; plan: Plan<BackupStep> }> {
    const plan = decide(facts);
    if (plan.needsPods !== true) return { facts, plan };
    const pods = await observeExecPods(this.#context, facts.backup.metadata.namespace ?? '', signal);
    const seen: BackupFacts = { ...facts, hooks: { ...facts.hooks, pods } };
    return { facts: seen, plan: decide(seen) };
  }

  async #observe(backup: Backup, signal: AbortSignal): Promise<BackupFacts> {
    const context = this.#context;
    const namespace = backup.metadata.namespace ?? '';
    const ground = observeGround(context, namespace, backup.spec.policy);
    const attempt = await this.#attempt(backup, ground, signal);
    // Most backups of a cluster are at rest; a look at one of them must not cost a look at the whole queue.
    const atRest = isTerminal(backup.status?.phase) && !isEnding(backup);
    const clones = backup.status?.phase === 'Snapshotting' && backup.status.copiedAt === undefined && backup.status.copies?.some(({ method }) => method === 'Clone') === true;
    const starting = backup.status?.phase === 'Transferring' && !isEnding(backup) && attempt.job === undefined && backup.status.jobName === undefined;
    // Who uses a volume tells where it can be read; a snapshot can be wherever its volume can.
    const looksForUsers = clones || (starting && liveClaims(backup).length > 0);
    return {
      backup,
      ground,
      claims: atRest ? [] : observeClaims(context, namespace),
      copies: atRest ? { storage: observeStorage(context.caches, context.moverNamespace), group: undefined, volumes: [] } : observeCopies(context, backup),
      users: looksForUsers ? await observeUsers(context, namespace, signal) : [],
      attempt,
      liveJobs: liveJobs(context, namespace),
      isReplicated: this.#isReplicated(backup, ground),
      hooks: { pods: undefined, run: this.#hooks.seen(backup.metadata.uid) },
      forget: await this.#forget(backup, ground, signal),
      queue: atRest ? undefined : context.queueOf(locationOf(context, backup)),
      siblings: context.caches.backups
        .byIndex('policy', `${namespace}/${backup.spec.policy}`)
        .filter(({ metadata }) => metadata.uid !== backup.metadata.uid),
      defaultImage: context.defaultImage,
    };
  }

  #isReplicated({ status }: Backup, { location, tenant }: BackupFacts['ground']): boolean {
    if (status?.snapshotId === undefined || location === undefined || tenant === undefined) return false;
    return this.#context.standings?.of(location.metadata.name, tenant.spec.tenantId)?.snapshots.has(status.snapshotId) === true;
  }

  async #attempt(backup: Backup, ground: BackupFacts['ground'], signal: AbortSignal): Promise<BackupFacts['attempt']> {
    const attempt = backup.status?.attempt ?? 0;
    if (attempt === 0) return NO_ATTEMPT;
    const identity = identityOf(backup);
    // Only a transfer's result is asked for: an ended or ending backup needs to know no more than whether its Job is there.
    if (backup.status?.phase !== 'Transferring' || isEnding(backup) || ground.namespace?.terminating !== false)
      return fromCaches(this.#context, identity.name, moverHome(backup));
    return observeAttempt(
      this.#context,
      identity,
      { namespace: moverHome(backup), location: ground.location, tenant: ground.tenant, keyGeneration: backup.status.keyGeneration ?? 1, attempt },
      signal,
    );
  }

  async #forget(backup: Backup, ground: BackupFacts['ground'], signal: AbortSignal): Promise<ForgetFacts> {
    const { caches } = this.#context;
    const namespace = backup.metadata.namespace ?? '';
    const generation = backup.status?.keyGeneration ?? 1;
    const raw = caches.jobs.byIndex('namespace', namespace).find((job) => coveredBy(jobFact(job)).length > 0);
    // Most stay: a look at one of them must not cost a look at all the others of its namespace.
    if (raw === undefined && !isEnding(backup)) return { job: NO_ATTEMPT, wanting: [], stopped: undefined };
    const held = this.#breaker(namespace, raw === undefined ? [] : coveredBy(jobFact(raw)));
    const stopped = isEnding(backup) ? held(backup) : undefined;
    const wanting = () =>
      caches.backups
        .byIndex('deletion', DELETIONS.ending(namespace))
        // A Job opens one repository, and each generation has its own.
        .filter((other) => (other.status?.keyGeneration ?? 1) === generation && held(other) === undefined && wantsForgetting(other, this.#hasOwnMover(other)));
    // Of many that are deleted together most are stopped, or wait for the Job that there is: they need not look at all the others.
    if (raw === undefined) return { job: NO_ATTEMPT, wanting: stopped === undefined ? wanting() : [], stopped };
    const [leader] = coveredBy(jobFact(raw));
    if (leader === undefined || !isEnding(backup)) return { job: fromCaches(this.#context, raw.metadata.name, namespace), wanting: wanting(), stopped };
    const attempt = Number(raw.metadata.name.split('-').at(-1));
    const identity = forgetIdentity(raw.metadata, leader, backup.metadata.uid);
    const job = await observeAttempt(
      this.#context,
      identity,
      { namespace, location: ground.location, tenant: ground.tenant, keyGeneration: backup.status?.keyGeneration ?? 1, attempt },
      signal,
    );
    return { job, wanting: [], stopped };
  }

  #breaker(namespace: string, covered: readonly string[]): ReturnType<typeof deletionBreaker> {
    const { caches, clock } = this.#context;
    const limits = caches.policies.byIndex('namespace', namespace).map(({ spec }) => spec.confirmDeletionsFrom);
    const facts = {
      countOf: (key: string) => caches.backups.countOf('deletion', key),
      find: (key: string) => caches.backups.byIndex('deletion', key),
      ofPolicy: (policy: string) => caches.backups.byIndex('policy', `${namespace}/${policy}`),
      covered: new Set(covered),
      confirmFrom: limits.length === 0 ? DEFAULT_CONFIRM_FROM : Math.min(...limits),
    };
    return deletionBreaker(facts, clock.now());
  }

  #hasOwnMover(backup: Backup): boolean {
    const homes = new Set([backup.metadata.namespace, this.#context.moverNamespace]);
    return this.#context.caches.jobs.byIndex('owner', backup.metadata.uid).some((job) => homes.has(job.metadata.namespace) && coveredBy(jobFact(job)).length === 0);
  }

  #listen(backup: Backup, facts: BackupFacts, key: string): void {
    if (backup.status?.phase !== 'Transferring' || (backup.status.attempt ?? 0) >= FIRST_FORGET_ATTEMPT) return;
    const pod = facts.attempt.pods.find(({ running }) => running);
    if (pod === undefined) return;
    this.#context.listener.listen({ namespace: moverHome(backup), name: pod.name }, pod.jobName, () => this.#wake(key));
  }

  /** @returns the plan that was carried out: another one when credentials for a mover were refused */
  async #apply(facts: BackupFacts, plan: Plan<BackupStep>, signal: AbortSignal): Promise<Plan<BackupStep>> {
    let current = facts.backup;
    for (const step of plan.steps) {
      if (step.do === 'startMover') {
        const refused = await this.#start(step.start, { ...facts, backup: current }, signal);
        if (refused !== undefined) return this.#apply(refused.facts, refused.plan, signal);
      } else if (step.do === 'makeCopy') {
        const refused = await makeCopy(this.#context, step.object, signal);
        if (refused !== undefined) {
          const instead = await this.#decide({ ...facts, backup: current }, (seen) => decideCopyRefused(seen, refused, this.#context.clock.now()), signal);
          return this.#apply(instead.facts, instead.plan, signal);
        }
      } else {
        current = await this.#do(step, current, facts, signal);
      }
    }
    return plan;
  }

  async #do(step: Exclude<BackupStep, { do: 'startMover' | 'makeCopy' }>, current: Backup, facts: BackupFacts, signal: AbortSignal): Promise<Backup> {
    const { name, namespace = '', uid } = current.metadata;
    // The Job that forgets mounts nothing and stays with its Backups.
    const bridgeTo = (current.status?.streams ?? []).length > 0 ? namespace : undefined;
    const homeOf = (mover: string): string => (mover === facts.forget.job.job?.name ? namespace : moverHome(facts.backup));
    switch (step.do) {
      case 'addFinalizer':
        return this.#remember(await this.#backups.writeFinalizers(current, [...(current.metadata.finalizers ?? []), FINALIZER], signal));
      case 'removeFinalizer':
        this.#hooks.forget(uid);
        await this.#recordDeletion(current, facts, signal);
        return this.#removeFinalizer(current, signal);
      case 'writeStatus':
        await this.#recordEnd(current, step.status, facts, signal);
        return this.#writeStatus(current, step.status, signal);
      case 'runHook':
        this.#hooks.start(uid, namespace, step.start, () => this.#wake(`${namespace}/${name}`));
        return current;
      case 'stopMover':
        await this.#children.stop({ name: step.name, namespace: homeOf(step.name), owner: uid, bridgeTo }, signal);
        return current;
      case 'clearMover':
        await this.#children.clear({ name: step.name, namespace: homeOf(step.name), owner: uid, bridgeTo }, signal);
        return current;
      case 'renewCredentials':
        if (facts.ground.location !== undefined && facts.ground.tenant !== undefined) {
          await this.#children.renew(step.name, homeOf(step.name), facts.ground.location, facts.ground.tenant.spec.tenantId, signal);
        }
        return current;
      case 'deleteSelf':
        await this.#backups.delete(name, namespace, { uid, signal });
        this.#events.record(current, { type: 'Normal', reason: 'Expired', action: 'Delete', message: `Deleted, for ${step.because}.` });
        return current;
    }
  }

  /** @returns what to do instead when the mover's credentials were refused */
  async #start(start: MoverStart, facts: BackupFacts, signal: AbortSignal): Promise<{ facts: BackupFacts; plan: Plan<BackupStep> } | undefined> {
    const { location } = facts.ground;
    if (location === undefined) return undefined;
    try {
      await this.#children.start(start, location, signal, start.orders.task === 'backup' ? facts.backup.spec.requestedBy : undefined);
      return undefined;
    } catch (error) {
      const refusal = refusalOf(error);
      if (refusal === undefined) throw error;
      const now = this.#context.clock.now();
      return this.#decide(facts, (seen) => (start.orders.task === 'forget' ? decideForgetRefused(seen, refusal, now) : decideStartRefused(seen, refusal, now)), signal);
    }
  }

  /** A stored backup is on record before anybody sees that it is stored. That one failed is said in any case: the trail may be what failed. */
  async #recordEnd(current: Backup, status: BackupStatus, { ground }: BackupFacts, signal: AbortSignal): Promise<void> {
    const record = backupEnded(current, status);
    const { location, tenant } = ground;
    if (record === undefined || location === undefined || tenant === undefined) return;
    await recordUnlessFailed(this.#context.audit, location, tenant.spec.tenantId, record, signal);
  }

  /** Of what was ever stored. Where location or tenant are gone, there is no trail to write into. */
  async #recordDeletion(current: Backup, { ground, forget }: BackupFacts, signal: AbortSignal): Promise<void> {
    const { location, tenant } = ground;
    if (current.status?.snapshotId === undefined || location === undefined || tenant === undefined) return;
    const isForgotten = forget.job.job !== undefined;
    const record = backupDeleted(current, !isForgotten);
    // Who lets go of a backup without its bucket must not need the bucket for it.
    if (isForgotten) await this.#context.audit.record(location, tenant.spec.tenantId, record, signal);
    else await recordIfPossible(this.#context.audit, location, tenant.spec.tenantId, record, signal);
  }

  /** With its last finalizer the object is gone, and a cache that is behind may ask for it once more. */
  async #removeFinalizer(current: Backup, signal: AbortSignal): Promise<Backup> {
    const finalizers = (current.metadata.finalizers ?? []).filter((each) => each !== FINALIZER);
    try {
      return this.#remember(await this.#backups.writeFinalizers(current, finalizers, signal));
    } catch (error) {
      if (!isKubeError(error, 'NotFound')) throw error;
      return current;
    }
  }

  async #writeStatus(current: Backup, status: BackupStatus, signal: AbortSignal): Promise<Backup> {
    const written = this.#remember(await this.#backups.writeStatus(current, status, signal));
    const event = transitionEvent(current.status, status, ['Deleted', 'Stored']);
    if (event !== undefined) this.#events.record(current, event);
    // A stored backup that lacks something is news beside that it is stored.
    for (const warning of newWarnings(current.status, status, ['Complete', 'Plausible', 'Quiesced'])) this.#events.record(current, warning);
    return written;
  }

  #remember(backup: Backup): Backup {
    this.#context.caches.backups.remember(backup);
    return backup;
  }
}

/** The namespace that its mover runs in. A Job that forgets, whose attempts count on from the transfer's, is in its own. */
function moverHome({ metadata, status }: Backup): string {
  const forgets = (status?.attempt ?? 0) >= FIRST_FORGET_ATTEMPT;
  return (forgets ? undefined : status?.moverNamespace) ?? metadata.namespace ?? '';
}
