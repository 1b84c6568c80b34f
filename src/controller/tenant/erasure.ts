/** Carries an erasure on by one step: record, then do, then say. */
import { LABEL_TENANT, type Backup, type BackupPolicy, type BackupTenant, type BackupTenantStatus, type ConditionInput } from '../../api/index.ts';
import { decideErasure, displayTime, erasureAfter, erasureRefused, findCondition, labelValue, mergeConditions, type ErasureFacts, type ErasureStatus } from '../../decide/index.ts';
import type { EventRecorder } from '../../kube/index.ts';
import type { Caches } from '../caches.ts';
import { PortError, type AuditRecorder, type Clock, type TenantEraser } from '../ports.ts';

export interface ErasureDependencies {
  readonly caches: Pick<Caches, 'jobs' | 'locations'>;
  readonly audit: AuditRecorder;
  readonly eraser: TenantEraser;
  readonly clock: Clock;
}

export interface ErasureOutcome {
  readonly status: ErasureStatus;
  readonly condition: ConditionInput;
  /** Milliseconds since the epoch. */
  readonly wakeAt?: number | undefined;
}

export function erasureFacts(
  { jobs, locations }: Pick<Caches, 'jobs' | 'locations'>,
  tenant: BackupTenant,
  home: { readonly namespaceUid: string | undefined; readonly policies: readonly BackupPolicy[]; readonly backups: readonly Backup[] },
): ErasureFacts {
  const label = labelValue(tenant.metadata.name);
  const hasEnded = (job: { readonly status?: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] | undefined } | undefined }): boolean =>
    (job.status?.conditions ?? []).some(({ type, status }) => status === 'True' && (type === 'Complete' || type === 'Failed'));
  const asked = tenant.spec.erasure !== undefined;
  return {
    isNamespaceThere: home.namespaceUid === tenant.spec.namespaceUID,
    policies: home.policies.length,
    backups: home.backups,
    movers: asked ? jobs.list().filter((job) => job.metadata.labels?.[LABEL_TENANT] === label && !hasEnded(job)).map(({ metadata }) => metadata.name) : [],
    location: locations.get(tenant.spec.location),
  };
}

/** @returns undefined where none was asked for */
export async function carryOutErasure({ audit, eraser, clock }: ErasureDependencies, tenant: BackupTenant, facts: ErasureFacts, signal: AbortSignal): Promise<ErasureOutcome | undefined> {
  const plan = decideErasure(tenant, facts, clock.now());
  const { tenantId } = tenant.spec;
  switch (plan.do) {
    case 'nothing':
      return undefined;
    case 'wait':
      return plan;
    case 'order':
    case 'destroyKeys':
    case 'removeAll':
      try {
        if (plan.do === 'order') {
          await audit.record(plan.location, tenantId, plan.record, signal);
          return { status: plan.status, condition: plan.condition, wakeAt: clock.now() };
        }
        const progress = await eraser.step(plan.location, tenantId, plan.do, signal);
        const after = erasureAfter(tenant, plan.do, plan.status, progress, clock.now());
        if (after.record !== undefined) await audit.record(plan.location, tenantId, after.record, signal);
        return after;
      } catch (error) {
        if (!(error instanceof PortError)) throw error;
        return erasureRefused(plan.do === 'order' ? { phase: 'Blocked' } : plan.status, error, clock.now());
      }
  }
}

export function withErasure(status: BackupTenantStatus, tenant: BackupTenant, outcome: ErasureOutcome | undefined, now: number): BackupTenantStatus {
  if (outcome === undefined) return status;
  const { generation } = tenant.metadata;
  return { ...status, erasure: outcome.status, conditions: mergeConditions(status.conditions, [outcome.condition], generation, displayTime(now)) };
}

/** Each change of reason is worth an event: no other work destroys what a customer has. */
export function tellErasure(events: EventRecorder, before: BackupTenant, after: BackupTenantStatus): void {
  const was = findCondition(before.status?.conditions, 'Erased');
  const is = findCondition(after.conditions, 'Erased');
  if (is === undefined || was?.reason === is.reason) return;
  events.record(before, { type: 'Warning', reason: is.reason, action: 'Erase', message: is.message });
}
