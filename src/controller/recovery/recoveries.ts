import { createHash } from 'node:crypto';
import type { BackupLocation, BackupLocationStatus, BackupTenant } from '../../api/index.ts';
import { backupObject, planRecovery, policyObject, recoveryOrder, tenantObject, type RecordTrust, type RecoveryPlan } from '../../decide/recovery.ts';
import { displayTime } from '../../decide/index.ts';
import { ResourceClient, isKubeError, resourceTypes, type KubeConnection, type KubeObject, type NewObject, type ResourceType } from '../../kube/index.ts';
import { PortError, type Clock, type RecoverySource } from '../ports.ts';
import type { RawNamespace } from '../raw-objects.ts';

type RecoveryStatus = NonNullable<BackupLocationStatus['recovery']>;

export interface RecoveryStanding {
  readonly status: RecoveryStatus | undefined;
  /** There is more to do at once. */
  readonly again: boolean;
}

interface Progress {
  readonly of: string;
  readonly tenants: readonly string[];
  readonly trust: RecordTrust;
  next: number;
  recovered: number;
  backups: number;
  readonly problems: string[];
}

export interface RecoveryDependencies {
  readonly connection: KubeConnection;
  readonly source: RecoverySource;
  readonly clock: Clock;
}

/** Tenants between two writes of the status. */
const TENANTS_AT_A_TIME = 20;
const MOST_PROBLEMS = 20;

/**
 * Makes namespaces, tenants, policies and backups anew, each looked for first: a run that ended in between is begun again and finds what it made. Nothing
 * that is there is changed, and a namespace that belongs to another tenant is left alone.
 */
export class Recoveries {
  readonly #connection: KubeConnection;
  readonly #source: RecoverySource;
  readonly #clock: Clock;
  readonly #progress = new Map<string, Progress>();

  constructor({ connection, source, clock }: RecoveryDependencies) {
    this.#connection = connection;
    this.#source = source;
    this.#clock = clock;
  }

  /** Does some of it. @param ready - whether the bucket answers */
  async goOn(location: BackupLocation, ready: boolean, signal: AbortSignal): Promise<RecoveryStanding> {
    const { name, uid, generation } = location.metadata;
    const before = location.status?.recovery;
    if (!location.spec.recover) {
      this.#progress.delete(name);
      return { status: before, again: false };
    }
    const trusts = trustedBy(location.spec);
    if (!ready || (before?.completedAt !== undefined && before.trusts === trusts)) return { status: before, again: false };
    const of = `${uid}/${generation}`;
    const progress = await this.#begun(location, of, signal);
    if ('refused' in progress) return { status: { tenants: 0, recovered: 0, backups: 0, problems: [progress.refused], trusts }, again: false };
    for (const tenantId of progress.tenants.slice(progress.next, progress.next + TENANTS_AT_A_TIME)) {
      await this.#recover(location, tenantId, progress, signal);
      progress.next++;
    }
    const isDone = progress.next >= progress.tenants.length;
    const { recovered, backups, problems } = progress;
    const status: RecoveryStatus = { tenants: progress.tenants.length, recovered, backups, ...(problems.length === 0 ? {} : { problems: problems.slice(0, MOST_PROBLEMS) }), trusts };
    if (!isDone) return { status, again: true };
    this.#progress.delete(name);
    return { status: { ...status, completedAt: displayTime(this.#clock.now()) }, again: false };
  }

  async #begun(location: BackupLocation, of: string, signal: AbortSignal): Promise<Progress | { readonly refused: string }> {
    const known = this.#progress.get(location.metadata.name);
    if (known?.of === of) return known;
    try {
      const { tenants, oldestKey } = await this.#source.tenants(location, signal);
      const { trustedKeys = [], acceptedRecords = [] } = location.spec.recovery ?? {};
      const keys = trustedKeys.length > 0 || oldestKey === undefined ? trustedKeys : [oldestKey];
      const trust: RecordTrust = { keys, accepted: acceptedRecords };
      const inOrder = recoveryOrder(await this.#source.claims(location, tenants, trust, signal));
      const begun: Progress = { of, tenants: inOrder, trust, next: 0, recovered: 0, backups: 0, problems: [] };
      this.#progress.set(location.metadata.name, begun);
      return begun;
    } catch (error) {
      if (!(error instanceof PortError)) throw error;
      return { refused: `${error.reason}: ${error.message}` };
    }
  }

  async #recover(location: BackupLocation, tenantId: string, progress: Progress, signal: AbortSignal): Promise<void> {
    try {
      const decision = planRecovery(await this.#source.tenant(location, tenantId, progress.trust, signal));
      if (!decision.ok) {
        progress.problems.push(decision.problem);
        return;
      }
      const { plan } = decision;
      progress.problems.push(...plan.problems);
      const problem = await this.#make(plan, tenantId, location.metadata.name, signal);
      if (problem === undefined) progress.recovered++;
      else progress.problems.push(problem);
      progress.backups += plan.backups.length;
    } catch (error) {
      // One tenant that the API server or the bucket refuses keeps no other from its data.
      if (!(error instanceof PortError) && !isKubeError(error, 'Invalid', 'Forbidden', 'BadRequest', 'Conflict', 'AlreadyExists', 'NotFound')) throw error;
      progress.problems.push(`tenant ${tenantId}: ${error.message}`);
    }
  }

  /** @returns why it cannot be, in words */
  async #make(plan: RecoveryPlan, tenantId: string, location: string, signal: AbortSignal): Promise<string | undefined> {
    const { namespace } = plan;
    const home = await this.#ensure<RawNamespace>(resourceTypes.namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } }, signal);
    if (home.metadata.deletionTimestamp !== undefined) return `namespace ${namespace} is being deleted; once it is gone, change the location's spec.recovery, and it is begun again`;
    const object = tenantObject(plan, tenantId, home.metadata.uid, location);
    const tenant = await this.#ensure<BackupTenant>(resourceTypes.backupTenants, object, signal);
    if (tenant.spec.tenantId !== tenantId) return `namespace ${namespace} belongs to tenant ${tenant.spec.tenantId} already, which had it last; tenant ${tenantId} was not recovered into it. Read what it has with \`tenant-backup restore --from-replica\``;
    for (const policy of plan.policies) await this.#ensure(resourceTypes.backupPolicies, policyObject(plan, policy, location), signal);
    for (const backup of plan.backups) await this.#ensure(resourceTypes.backups, backupObject(plan, backup), signal);
    return undefined;
  }

  async #ensure<T extends KubeObject>(type: ResourceType, object: NewObject, signal: AbortSignal): Promise<T> {
    const client = new ResourceClient<T>(this.#connection, type);
    const { name, namespace } = object.metadata;
    try {
      return (await client.get(name, namespace, signal)) ?? (await client.create(object, signal));
    } catch (error) {
      const there = isKubeError(error, 'AlreadyExists') ? await client.get(name, namespace, signal) : undefined;
      if (there === undefined) throw error;
      return there;
    }
  }
}

/** In a few digits: what was refused is looked at again when a person trusts something else. */
function trustedBy({ recovery }: Pick<BackupLocation['spec'], 'recovery'>): string {
  const { trustedKeys = [], acceptedRecords = [] } = recovery ?? {};
  return createHash('sha256').update(JSON.stringify([trustedKeys, acceptedRecords])).digest('hex').slice(0, 16);
}
