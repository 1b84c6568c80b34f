import { ORDERS_FILE, type BackupLocation, type ReplicationOrders } from '../../api/index.ts';
import {
  ANNOTATION_CREDENTIALS_EXPIRE,
  ANNOTATION_CREDENTIALS_RENEWED,
  ANNOTATION_STALLED_AFTER,
  NOT_REPLICATED,
  NO_ATTEMPT,
  decideReplication,
  decideWorkersRefused,
  displayTime,
  expectedSnapshots,
  isErasureOrdered,
  spokenTogether,
  moverLabels,
  patienceOf,
  replicationAttempt,
  replicationSetup,
  resultsTold,
  workersJob,
  type ReplicationFacts,
  type ReplicationPlan,
  type ReplicationStep,
  type ShardResults,
  type WorkersStart,
} from '../../decide/index.ts';
import type { LockFinding } from '../../decide/location.ts';
import { rememberingParser } from '../../decide/cron.ts';
import { ResourceClient, isKubeError, resourceTypes } from '../../kube/index.ts';
import { fromCaches, refusalOf, secretData, type MoverContext } from '../mover/index.ts';
import { PortError, type ReplicationAccess } from '../ports.ts';
import type { RawJob, RawSecret } from '../raw-objects.ts';
import type { ReplicaStandings } from './replica-standings.ts';

/** Observes the copy of a location and does what was decided; the location's controller writes the status. */
export class Replications {
  readonly #context: MoverContext;
  readonly #access: ReplicationAccess;
  readonly #standings: ReplicaStandings;
  readonly #wake: (location: string) => void;
  /** Pods that were listened to, by the name of their Job. */
  readonly #heard = new Map<string, Set<string>>();
  readonly #parse = rememberingParser();
  readonly #jobs: ResourceClient<RawJob>;
  readonly #secrets: ResourceClient<RawSecret>;

  /** @param wake - puts a location back into the controller's queue */
  constructor(context: MoverContext, access: ReplicationAccess, standings: ReplicaStandings, wake: (location: string) => void) {
    this.#context = context;
    this.#wake = wake;
    this.#access = access;
    this.#standings = standings;
    this.#jobs = new ResourceClient(context.connection, resourceTypes.jobs);
    this.#secrets = new ResourceClient(context.connection, resourceTypes.secrets);
  }

  /** @returns what was decided, its first steps done */
  async decide(location: BackupLocation, lock: LockFinding | undefined, signal: AbortSignal): Promise<ReplicationPlan> {
    const setup = replicationSetup(location.spec);
    if (setup === undefined) {
      this.#standings.forget(location.metadata.name);
      return { ...NOT_REPLICATED, after: this.#ofLocation(location).map((name) => ({ do: 'clearWorkers', name })) };
    }
    await this.#recall(location, signal);
    let facts = this.#observe(location, { setup, lock });
    let plan = decideReplication(facts, this.#context.clock.now());
    if (plan.needsLogs !== undefined) {
      facts = await this.#withLogs(facts, plan.needsLogs, signal);
      plan = decideReplication(facts, this.#context.clock.now());
    }
    if (plan.needsResults !== true) return this.#before(facts, plan, signal);
    const results = await this.#read(facts, signal);
    return this.#before(facts, decideReplication({ ...facts, results }, this.#context.clock.now()), signal);
  }

  async after(location: BackupLocation, plan: ReplicationPlan, signal: AbortSignal): Promise<void> {
    for (const step of plan.after ?? []) await this.#do(step, location, signal);
  }

  #observe(location: BackupLocation, given: Pick<ReplicationFacts, 'setup' | 'lock'>): ReplicationFacts {
    const { moverNamespace, defaultImage } = this.#context;
    const replication = location.status?.replication;
    const current = replication?.phase === 'Running' ? replicationAttempt(location.metadata.uid, replication).name : undefined;
    return {
      ...given,
      location,
      ...(current === undefined ? { attempt: NO_ATTEMPT, workers: new Map() } : this.#attempt(current, location.metadata.name)),
      results: { state: 'notLooked' },
      leftovers: this.#ofLocation(location).filter((name) => name !== current),
      erased: this.#context.caches.tenants.byIndex('location', location.metadata.name).filter(isErasureOrdered).map(({ spec }) => spec.tenantId),
      expected: () => this.#expected(location.metadata.name),
      moverNamespace,
      defaultImage,
      parse: this.#parse,
    };
  }

  #expected(location: string): ReturnType<typeof expectedSnapshots> {
    const { tenants, backups } = this.#context.caches;
    return tenants.byIndex('location', location).flatMap((tenant) => expectedSnapshots(tenant, backups.byIndex('namespace', tenant.spec.namespace)));
  }

  /** Each shard has a pod of its own, and what they say is counted together. */
  #attempt(job: string, location: string): Pick<ReplicationFacts, 'attempt' | 'workers'> {
    const { listener, moverNamespace: namespace } = this.#context;
    const seen = fromCaches(this.#context, job, namespace);
    const heard = this.#heard.get(job) ?? new Set<string>();
    this.#heard.set(job, heard);
    for (const { name } of seen.pods.filter(({ running }) => running)) {
      heard.add(name);
      listener.listen({ namespace, name }, name, () => this.#wake(location));
    }
    const said = [...heard].map((pod) => [pod, listener.spoken(pod)] as const);
    return { attempt: { ...seen, spoken: spokenTogether(said.map(([, spoken]) => spoken)) }, workers: new Map(said.map(([pod, spoken]) => [pod, { spoken }])) };
  }

  /** What is heard may have broken off: before silence counts, the nodes are asked. */
  async #withLogs(facts: ReplicationFacts, pods: readonly string[], signal: AbortSignal): Promise<ReplicationFacts> {
    const { listener, moverNamespace: namespace } = this.#context;
    const patience = patienceOf(facts.attempt) ?? 0;
    const read = await Promise.all(pods.map(async (name) => [name, { spoken: listener.spoken(name), lately: await listener.lately({ namespace, name }, patience, signal) }] as const));
    return { ...facts, workers: new Map([...facts.workers, ...read]) };
  }

  #ofLocation({ metadata }: BackupLocation): readonly string[] {
    const { caches, moverNamespace } = this.#context;
    return caches.jobs.byIndex('owner', metadata.uid).filter((job) => job.metadata.namespace === moverNamespace).map((job) => job.metadata.name);
  }

  /** After a restart: what the last copy left is read once more. Without it nothing is said anew of any policy. */
  async #recall(location: BackupLocation, signal: AbortSignal): Promise<void> {
    const { copyRunId, copyShards = 1 } = location.status?.replication ?? {};
    const { name } = location.metadata;
    if (copyRunId === undefined || this.#standings.knows(name, copyRunId)) return;
    try {
      this.#standings.take(name, copyRunId, await this.#access.results(location, { task: 'replicate', runId: copyRunId, shards: copyShards, told: new Map() }, signal));
    } catch (error) {
      if (!(error instanceof PortError)) throw error;
    }
  }

  async #read({ location, attempt }: ReplicationFacts, signal: AbortSignal): Promise<ShardResults> {
    const { replication } = location.status ?? {};
    if (replication === undefined) return { state: 'notLooked' };
    const { runId } = replicationAttempt(location.metadata.uid, replication);
    try {
      const told = resultsTold(attempt.pods);
      const shards = await this.#access.results(location, { task: replication.stage === 'Collecting' ? 'collect' : 'replicate', runId, shards: replication.shards ?? 1, told }, signal);
      if (replication.stage !== 'Collecting') this.#standings.take(location.metadata.name, runId, shards);
      return { state: 'found', shards, replaced: [...told.keys()].filter((shard) => shards[shard] === undefined) };
    } catch (error) {
      if (!(error instanceof PortError)) throw error;
      return { state: 'unreachable', message: `${error.reason}: ${error.message}` };
    }
  }

  async #before(facts: ReplicationFacts, plan: ReplicationPlan, signal: AbortSignal): Promise<ReplicationPlan> {
    try {
      for (const step of plan.before ?? []) await this.#do(step, facts.location, signal);
      return plan;
    } catch (error) {
      const refusal = refusalOf(error, 'the workers need');
      if (refusal === undefined) throw error;
      return decideWorkersRefused(facts, refusal, this.#context.clock.now());
    }
  }

  async #do(step: ReplicationStep, location: BackupLocation, signal: AbortSignal): Promise<void> {
    switch (step.do) {
      case 'startWorkers':
        return this.#start(step.start, location, signal);
      case 'renewWorkers':
        return this.#renew(step.name, step.task, location, signal);
      case 'clearWorkers':
        return this.#clear(step.name, location, signal);
    }
  }

  /** The Secret, then the Job. Either may be there already from a run that ended in between: they have the same content. */
  async #start(start: WorkersStart, location: BackupLocation, signal: AbortSignal): Promise<void> {
    const { job, orders } = start;
    const { files, expiresAt } = await this.#access.credentials(location, orders.task, signal);
    const data = secretData({ [ORDERS_FILE]: orders, ...files });
    const metadata = { name: job.name, namespace: job.namespace, labels: moverLabels(job), ownerReferences: [...job.owners] };
    await createOnce(() => this.#secrets.create({ apiVersion: 'v1', kind: 'Secret', metadata, type: 'Opaque', data }, signal));
    const jobAnnotations = { ...job.jobAnnotations, [ANNOTATION_STALLED_AFTER]: location.spec.mover.stalledAfter, ...(expiresAt === undefined ? {} : { [ANNOTATION_CREDENTIALS_EXPIRE]: displayTime(expiresAt) }) };
    await createOnce(() => this.#jobs.create(workersJob({ ...start, job: { ...job, jobAnnotations } }), signal));
  }

  /** Fresh sessions into the Secret, then their end into the Job: after a crash in between they are only renewed again. Where none can be made, the next look tries once more. */
  async #renew(name: string, task: ReplicationOrders['task'], location: BackupLocation, signal: AbortSignal): Promise<void> {
    const { caches, clock, moverNamespace } = this.#context;
    try {
      const { files, expiresAt } = await this.#access.credentials(location, task, signal);
      await this.#secrets.patch(name, moverNamespace, { data: secretData(files) }, { signal });
      const annotations = { [ANNOTATION_CREDENTIALS_RENEWED]: displayTime(clock.now()), [ANNOTATION_CREDENTIALS_EXPIRE]: expiresAt === undefined ? null : displayTime(expiresAt) };
      caches.jobs.remember(await this.#jobs.patch(name, moverNamespace, { metadata: { annotations } }, { signal }));
    } catch (error) {
      if (!(error instanceof PortError) && !isKubeError(error, 'NotFound')) throw error;
    }
  }

  /** The Job last: while it is there, the next look finds both again. */
  async #clear(name: string, { metadata }: BackupLocation, signal: AbortSignal): Promise<void> {
    const { caches, listener, moverNamespace } = this.#context;
    for (const pod of this.#heard.get(name) ?? []) listener.forget(pod);
    this.#heard.delete(name);
    const job = caches.jobs.get(name, moverNamespace);
    if (job !== undefined && job.metadata.ownerReferences?.some(({ uid }) => uid === metadata.uid) !== true) return;
    await this.#secrets.delete(name, moverNamespace, { signal });
    await this.#jobs.delete(name, moverNamespace, { propagationPolicy: 'Background', signal, ...(job === undefined ? {} : { uid: job.metadata.uid }) });
  }
}

async function createOnce(create: () => Promise<unknown>): Promise<void> {
  try {
    await create();
  } catch (error) {
    if (!isKubeError(error, 'AlreadyExists')) throw error;
  }
}
