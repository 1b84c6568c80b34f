import type { BackupPolicy, Backup } from '../../api/index.ts';
import {
  NO_ATTEMPT,
  decideVerification,
  decideVerificationRefused,
  verificationIdentity,
  verificationJob,
  type VerificationFacts,
  type VerificationPlan,
  type VerificationStep,
} from '../../decide/index.ts';
import { keyOf } from '../../kube/index.ts';
import { MoverChildren, fromCaches, liveJobs, observeAttempt, observeGround, refusalOf, type MoverContext, type Refusal } from '../mover/index.ts';

/** Observes the verification of a policy's backups and does what was decided; the policy's controller writes the status. */
export class Verifications {
  readonly #context: MoverContext;
  readonly #children: MoverChildren;
  readonly #wake: (key: string) => void;

  /** @param wake - puts a policy's key back into the controller's queue */
  constructor(context: MoverContext, wake: (key: string) => void) {
    this.#context = context;
    this.#children = new MoverChildren(context);
    this.#wake = wake;
  }

  async decide(policy: BackupPolicy, backups: readonly Backup[], signal: AbortSignal): Promise<{ readonly facts: VerificationFacts; readonly plan: VerificationPlan }> {
    const facts = await this.#observe(policy, backups, signal);
    this.#listen(policy, facts);
    return { facts, plan: decideVerification(facts, this.#context.clock.now()) };
  }

  async #observe(policy: BackupPolicy, backups: readonly Backup[], signal: AbortSignal): Promise<VerificationFacts> {
    const context = this.#context;
    const { namespace = '', name } = policy.metadata;
    const ground = observeGround(context, namespace, name);
    const phase = policy.status?.verification?.phase;
    return {
      policy,
      backups,
      siblings: context.caches.policies.byIndex('namespace', namespace).filter(({ metadata, spec }) => metadata.uid !== policy.metadata.uid && spec.location === policy.spec.location),
      ground: { ...ground, policy },
      attempt: await this.#attempt(policy, backups, ground, signal),
      liveJobs: phase === 'Running' ? liveJobs(context, namespace) : new Set(),
      queue: phase === 'Queued' ? context.queueOf(policy.spec.location) : undefined,
      defaultImage: context.defaultImage,
    };
  }

  async #attempt(policy: BackupPolicy, backups: readonly Backup[], ground: VerificationFacts['ground'], signal: AbortSignal): Promise<VerificationFacts['attempt']> {
    const verification = policy.status?.verification;
    if (verification === undefined) return NO_ATTEMPT;
    const identity = verificationIdentity(policy, verification);
    const namespace = policy.metadata.namespace ?? '';
    if (verification.phase !== 'Running') return fromCaches(this.#context, identity.name, namespace);
    const sampled = backups.find(({ metadata }) => metadata.name === verification.sampledBackup);
    const { number } = verificationJob(policy, verification);
    return observeAttempt(this.#context, identity, { namespace, location: ground.location, tenant: ground.tenant, keyGeneration: sampled?.status?.keyGeneration ?? 1, attempt: number }, signal);
  }

  #listen(policy: BackupPolicy, { attempt }: VerificationFacts): void {
    const pod = policy.status?.verification?.phase === 'Running' ? attempt.pods.find(({ running }) => running) : undefined;
    if (pod !== undefined) this.#context.listener.listen({ namespace: policy.metadata.namespace ?? '', name: pod.name }, pod.jobName, () => this.#wake(keyOf(policy)));
  }

  /** @returns the plan to go on with: another one when credentials for the mover were refused */
  async before(facts: VerificationFacts, plan: VerificationPlan, signal: AbortSignal): Promise<VerificationPlan> {
    for (const step of plan.before ?? []) {
      const refused = await this.#do(step, facts, signal);
      if (refused !== undefined) return decideVerificationRefused(facts, refused, this.#context.clock.now());
    }
    return plan;
  }

  async after(facts: VerificationFacts, plan: VerificationPlan, signal: AbortSignal): Promise<void> {
    for (const step of plan.after ?? []) await this.#do(step, facts, signal);
  }

  async #do(step: VerificationStep, { policy, ground }: VerificationFacts, signal: AbortSignal): Promise<Refusal | undefined> {
    const { namespace = '', uid } = policy.metadata;
    switch (step.do) {
      case 'startMover':
        return this.#start(step, ground, signal);
      case 'clearMover':
        await this.#children.clear({ name: step.name, namespace, owner: uid }, signal);
        return undefined;
      case 'renewCredentials':
        if (ground.location !== undefined && ground.tenant !== undefined) await this.#children.renew(step.name, namespace, ground.location, ground.tenant.spec.tenantId, signal);
        return undefined;
    }
  }

  async #start({ start }: VerificationStep & { readonly do: 'startMover' }, { location }: VerificationFacts['ground'], signal: AbortSignal): Promise<Refusal | undefined> {
    if (location === undefined) return undefined;
    try {
      await this.#children.start(start, location, signal);
      return undefined;
    } catch (error) {
      const refusal = refusalOf(error);
      if (refusal === undefined) throw error;
      return refusal;
    }
  }
}
