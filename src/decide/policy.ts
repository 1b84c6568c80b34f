import { durationToMs, type Backup, type BackupLocation, type BackupPolicy, type BackupPolicyStatus, type BackupTenant, type ConditionInput, type Restore, type VolumeCopy } from '../api/index.ts';
import { mergeConditions } from './conditions.ts';
import type { ScheduleParser } from './cron.ts';
import { displayTime } from './display.ts';
import type { Failure } from './failure-reason.ts';
import type { StorageFacts } from './copy-facts.ts';
import type { ClaimFact } from './observed.ts';
import { checkVolumes, checkWritableGround } from './preconditions.ts';
import { isGood, storedAt } from './good.ts';
import { excessBackups, excessRestores } from './history.ts';
import type { Quota } from './quota.ts';
import { policyReplication, type ReplicaStanding } from './policy-replication.ts';
import { decideRotation } from './rotation.ts';
import { isReadOnly } from './tenant-record.ts';
import type { VerificationPlan } from './verification-facts.ts';
import { decideSchedule, type Missed, type Run, type ScheduleDecision } from './schedule.ts';

export type WorkloadFinding = { readonly ok: true } | { readonly ok: false; readonly reason: string; readonly message: string };

export interface PolicyFacts {
  readonly namespace: { readonly uid: string; readonly terminating: boolean } | undefined;
  readonly location: BackupLocation | undefined;
  readonly tenant: BackupTenant | undefined;
  readonly claims: readonly ClaimFact[];
  readonly storage: StorageFacts;
  /** Every backup of the policy. */
  readonly backups: readonly Backup[];
  /** Restores of backups of the policy; those whose backup is gone belong to the first policy of the namespace. */
  readonly restores: readonly Restore[];
  readonly workload: WorkloadFinding;
  readonly quota: Quota;
  /** Reads schedules; left out, each is read anew. */
  readonly parse?: ScheduleParser | undefined;
  /** What the last copy into the second data center left of the tenant. */
  readonly standing?: ReplicaStanding | undefined;
  /** What was decided of its verification. */
  readonly verification: VerificationPlan;
}

export interface PolicyDecision {
  readonly status: BackupPolicyStatus;
  /** The automatic backup that is to be made before the status is written. */
  readonly run?: Run;
  readonly missed?: Missed;
  /** Automatic backups that are to go, oldest first. */
  readonly rotate: readonly Backup[];
  /** Whether they are so many that a person is to confirm their deletion: `keep` was lowered, or holds were let go. */
  readonly rotatesMany: boolean;
  /** What ended long ago and only fills etcd, oldest first. */
  readonly tidy: { readonly backups: readonly Backup[]; readonly restores: readonly Restore[] };
  /** Milliseconds since the epoch: when something changes though nothing happens. */
  readonly wakeAt?: number;
}

export function decidePolicy(policy: BackupPolicy, facts: PolicyFacts, now: number): PolicyDecision {
  const stored = facts.backups.filter((backup) => backup.status?.phase === 'Stored').sort((a, b) => storedAt(a) - storedAt(b));
  const good = stored.findLast(isGood);
  const readiness = ready(policy, facts);
  const schedule = decideSchedule({ policy, backups: facts.backups, hindrance: readiness.hindrance, parse: facts.parse }, now);
  const maxAge = maxAgeOf(policy);
  const protectedUntil = good === undefined ? undefined : storedAt(good) + durationToMs(maxAge);
  const replication = policyReplication(policy, facts.location, stored, facts.standing, now);
  const conditions = [
    readiness.condition,
    protectedCondition(maxAge, good, protectedUntil, now),
    quotaFull(facts.quota),
    scheduled(schedule),
    isolated(facts.location),
    facts.verification.condition,
    ...(replication.condition === undefined ? [] : [replication.condition]),
  ];
  const { history } = policy.spec;
  // A module that was ended leaves what it made: a person decides about that.
  const isCopy = facts.location !== undefined && isReadOnly(facts.location);
  const rotate = policy.spec.automatic === undefined || isCopy ? [] : decideRotation(facts.backups, policy.spec.automatic.keep);
  const oldBackups = excessBackups(facts.backups, history.failedBackups, now);
  const oldRestores = excessRestores(facts.restores, history.restores, now);
  const times = [protectedUntil, schedule.wakeAt, oldBackups.wakeAt, oldRestores.wakeAt, facts.verification.wakeAt, replication.wakeAt].filter((time) => time !== undefined).filter((time) => time > now);
  return {
    status: {
      observedGeneration: policy.metadata.generation,
      tenant: facts.tenant?.metadata.name,
      volumes: readiness.volumes === undefined ? undefined : [...readiness.volumes],
      quota: facts.quota,
      automatic: automaticStatus(policy, schedule, stored),
      lastVerified: facts.verification.lastVerified,
      verification: facts.verification.status,
      replicatedUpTo: replication.replicatedUpTo,
      lastBackup: stored.at(-1)?.metadata.name,
      lastSuccess: good?.status?.completedAt,
      // Only a location that has no second data center any more takes a condition away.
      conditions: mergeConditions(policy.status?.conditions, conditions, policy.metadata.generation, displayTime(now)).filter(({ type }) => type !== 'Replicated' || replication.condition !== undefined),
    },
    ...(schedule.run === undefined ? {} : { run: schedule.run }),
    ...(schedule.missed === undefined ? {} : { missed: schedule.missed }),
    rotate,
    rotatesMany: rotate.length >= policy.spec.confirmDeletionsFrom,
    tidy: { backups: oldBackups.remove, restores: oldRestores.remove },
    ...(times.length > 0 ? { wakeAt: Math.min(...times) } : {}),
  };
}

/** With the module a backup is made every day, and a night that failed shows; without it people are asked for one every two weeks. */
const MAX_AGE = { automatic: '26h', manual: '14d' } as const;

function maxAgeOf({ spec }: BackupPolicy): string {
  return spec.maxAge ?? (spec.automatic === undefined ? MAX_AGE.manual : MAX_AGE.automatic);
}

function automaticStatus(policy: BackupPolicy, schedule: ScheduleDecision, stored: readonly Backup[]): BackupPolicyStatus['automatic'] {
  const kept = stored.filter(({ spec }) => spec.trigger === 'Automatic').length;
  const keep = policy.spec.automatic?.keep;
  if (keep === undefined) return kept === 0 ? undefined : { kept, display: String(kept) };
  return { ...schedule.remembered, kept, display: `${kept}/${keep}` };
}

interface Readiness {
  readonly condition: ConditionInput;
  readonly volumes: readonly string[] | undefined;
  /** Why no backup could be made. A workload that is missing hinders restores only. */
  readonly hindrance: Failure | undefined;
}

function ready(policy: BackupPolicy, facts: PolicyFacts): Readiness {
  const checked = checkVolumes(policy, facts.claims, facts.storage);
  const volumes = checked.ok ? checked.copies.map(({ claim }) => claim) : undefined;
  const ground = checkWritableGround({ namespace: facts.namespace, policyName: policy.metadata.name, policy, location: facts.location, tenant: facts.tenant });
  const hindrance = [ground, checked].find((check) => !check.ok);
  const wrong = hindrance ?? (facts.workload.ok ? undefined : facts.workload);
  const condition: ConditionInput =
    wrong?.ok === false
      ? { type: 'Ready', status: 'False', reason: wrong.reason, message: wrong.message }
      : { type: 'Ready', status: 'True', reason: 'Ready', message: `The next backup holds ${checked.ok ? checked.copies.map(described).join(', ') : ''}.` };
  return { condition, volumes, hindrance: hindrance?.ok === false ? hindrance : undefined };
}

function described({ claim, method, className }: VolumeCopy): string {
  return className === undefined ? `${claim} (${method})` : `${claim} (${method}, ${className})`;
}

function protectedCondition(maxAge: string, good: Backup | undefined, until: number | undefined, now: number): ConditionInput {
  const type = 'Protected';
  if (good === undefined || until === undefined) {
    return { type, status: 'False', reason: 'NoBackup', message: 'There is no good backup yet. Create a Backup that names this policy.' };
  }
  if (until <= now) {
    return { type, status: 'False', reason: 'BackupTooOld', message: `The newest good backup, ${good.metadata.name}, is older than ${maxAge}. Create a new one.` };
  }
  return { type, status: 'True', reason: 'FreshBackup', message: `Backup ${good.metadata.name} is complete and not older than ${maxAge}.` };
}

function quotaFull({ used, max }: Quota): ConditionInput {
  const type = 'QuotaFull';
  if (used >= max) return { type, status: 'True', reason: 'Full', message: `${used} of ${max} backups are kept. The next one is refused until one is deleted.` };
  return { type, status: 'False', reason: 'RoomLeft', message: `${used} of ${max} backups are kept.` };
}

function scheduled({ kind, reason, message }: ScheduleDecision): ConditionInput {
  return { type: 'Scheduled', status: kind === 'waiting' || kind === 'run' ? 'True' : 'False', reason, message };
}

/** As the location's, so that whoever may read only the namespace sees it too. */
function isolated(location: BackupLocation | undefined): ConditionInput {
  const found = location?.status?.conditions?.find(({ type }) => type === 'Isolated');
  if (found === undefined) return { type: 'Isolated', status: 'Unknown', reason: 'LocationNotProbed', message: 'The location was not probed yet.' };
  return { type: 'Isolated', status: found.status, reason: found.reason, message: found.message };
}
