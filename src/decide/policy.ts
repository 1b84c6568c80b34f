import { durationToMs, type Backup, type BackupLocation, type BackupPolicy, type BackupPolicyStatus, type BackupTenant, type ConditionInput } from '../api/index.ts';
import { mergeConditions } from './conditions.ts';
import { displayTime } from './display.ts';
import type { ClaimFact } from './observed.ts';
import { checkGround, checkVolumes } from './preconditions.ts';
import type { Quota } from './quota.ts';

export type WorkloadFinding = { readonly ok: true } | { readonly ok: false; readonly reason: string; readonly message: string };

export interface PolicyFacts {
  readonly namespace: { readonly uid: string; readonly terminating: boolean } | undefined;
  readonly location: BackupLocation | undefined;
  readonly tenant: BackupTenant | undefined;
  readonly claims: readonly ClaimFact[];
  /** Every backup of the policy. */
  readonly backups: readonly Backup[];
  readonly workload: WorkloadFinding;
  readonly quota: Quota;
}

export interface PolicyDecision {
  readonly status: BackupPolicyStatus;
  /** Milliseconds since the epoch: when `Protected` ends if nothing happens. */
  readonly wakeAt?: number;
}

export function decidePolicy(policy: BackupPolicy, facts: PolicyFacts, now: number): PolicyDecision {
  const stored = facts.backups.filter((backup) => backup.status?.phase === 'Stored').sort((a, b) => completedAt(a) - completedAt(b));
  const good = stored.findLast(isComplete);
  const { readiness, volumes } = ready(policy, facts);
  const protection = protectedUntil(policy, good);
  const conditions = [readiness, protectedCondition(policy, good, protection, now), quotaFull(facts.quota), isolated(facts.location)];
  return {
    status: {
      observedGeneration: policy.metadata.generation,
      tenant: facts.tenant?.metadata.name,
      volumes: volumes === undefined ? undefined : [...volumes],
      quota: facts.quota,
      lastBackup: stored.at(-1)?.metadata.name,
      lastSuccess: good?.status?.completedAt,
      conditions: mergeConditions(policy.status?.conditions, conditions, policy.metadata.generation, displayTime(now)),
    },
    ...(protection !== undefined && protection > now ? { wakeAt: protection } : {}),
  };
}

function ready(policy: BackupPolicy, facts: PolicyFacts): { readiness: ConditionInput; volumes: readonly string[] | undefined } {
  const volumes = checkVolumes(policy, facts.claims);
  const claims = volumes.ok ? volumes.claims : undefined;
  const ground = checkGround({ namespace: facts.namespace, policyName: policy.metadata.name, policy, location: facts.location, tenant: facts.tenant });
  const wrong = [ground, volumes, facts.workload].find((check) => !check.ok);
  if (wrong?.ok === false) return { readiness: { type: 'Ready', status: 'False', reason: wrong.reason, message: wrong.message }, volumes: claims };
  return { readiness: { type: 'Ready', status: 'True', reason: 'Ready', message: `The next backup holds ${claims?.join(', ') ?? ''}.` }, volumes: claims };
}

/** Milliseconds since the epoch until which the newest complete backup counts as fresh. */
function protectedUntil(policy: BackupPolicy, good: Backup | undefined): number | undefined {
  return good === undefined ? undefined : completedAt(good) + durationToMs(policy.spec.maxAge);
}

function protectedCondition(policy: BackupPolicy, good: Backup | undefined, until: number | undefined, now: number): ConditionInput {
  const type = 'Protected';
  if (good === undefined || until === undefined) {
    return { type, status: 'False', reason: 'NoBackup', message: 'There is no complete backup yet. Create a Backup that names this policy.' };
  }
  if (until <= now) {
    return { type, status: 'False', reason: 'BackupTooOld', message: `The newest complete backup, ${good.metadata.name}, is older than ${policy.spec.maxAge}. Create a new one.` };
  }
  return { type, status: 'True', reason: 'FreshBackup', message: `Backup ${good.metadata.name} is complete and not older than ${policy.spec.maxAge}.` };
}

function quotaFull({ used, max }: Quota): ConditionInput {
  const type = 'QuotaFull';
  if (used >= max) return { type, status: 'True', reason: 'Full', message: `${used} of ${max} backups are kept. The next one is refused until one is deleted.` };
  return { type, status: 'False', reason: 'RoomLeft', message: `${used} of ${max} backups are kept.` };
}

/** As the location's, so that whoever may read only the namespace sees it too. */
function isolated(location: BackupLocation | undefined): ConditionInput {
  const found = location?.status?.conditions?.find(({ type }) => type === 'Isolated');
  if (found === undefined) return { type: 'Isolated', status: 'Unknown', reason: 'LocationNotProbed', message: 'The location was not probed yet.' };
  return { type: 'Isolated', status: found.status, reason: found.reason, message: found.message };
}

function completedAt(backup: Backup): number {
  return Date.parse(backup.status?.completedAt ?? backup.metadata.creationTimestamp);
}

function isComplete(backup: Backup): boolean {
  return backup.status?.conditions?.some(({ type, status }) => type === 'Complete' && status === 'True') ?? false;
}
