/**
 * Erasure of a tenant: asked for and confirmed on its BackupTenant, never implied by anything else. Each step has its event first: ordered, the wrapped keys
 * destroyed, completed.
 */
import type { Backup, BackupLocation, BackupTenant, BackupTenantStatus, ConditionInput } from '../api/index.ts';
import { objectOf, type AuditRecord } from './audit-records.ts';
import { timeOf } from './backup-status.ts';
import { displayList, displayTime } from './display.ts';

export type ErasureStatus = NonNullable<BackupTenantStatus['erasure']>;

export interface ErasureFacts {
  /** Whether the tenant's own namespace is there. */
  readonly isNamespaceThere: boolean;
  readonly policies: number;
  /** Of the namespace, in every phase. */
  readonly backups: readonly Pick<Backup, 'metadata' | 'spec' | 'status'>[];
  /** Jobs of the tenant's movers that have not ended. */
  readonly movers: readonly string[];
  readonly location: BackupLocation | undefined;
}

/** What a step has found and done in the buckets. */
export interface ErasureProgress {
  /** Versions that went in this step. */
  readonly removed: number;
  /** Their bytes. */
  readonly bytes: number;
  /** Versions that are left: under a lock, or not reached yet. The audit trail stays and does not count. */
  readonly remaining: number;
  /** Milliseconds since the epoch at which the last lock ends that is known to hold something back. */
  readonly lockedUntil: number | undefined;
  /** Versions of the second data center that are left; absent where this installation has none. */
  readonly replicaRemaining: number | undefined;
}

export type ErasurePlan =
  | { readonly do: 'nothing' }
  | { readonly do: 'wait'; readonly status: ErasureStatus; readonly condition: ConditionInput; readonly wakeAt: number | undefined }
  /** The order is to be recorded, then written into the status. */
  | { readonly do: 'order'; readonly location: BackupLocation; readonly record: AuditRecord; readonly status: ErasureStatus; readonly condition: ConditionInput }
  /** The next step in the buckets. */
  | { readonly do: 'destroyKeys' | 'removeAll'; readonly location: BackupLocation; readonly status: ErasureStatus };

/** A lock's end may be past by somebody else's clock, and the second data center is collected at night. */
const LOOK_EVERY_MS = 3_600_000;
const RETRY_MS = 60_000;

/** Whether nothing may be stored for this tenant any more. */
export function isErasureOrdered({ spec }: Pick<BackupTenant, 'spec'>): boolean {
  return spec.erasure?.confirm !== undefined && spec.erasure.confirm === spec.tenantId;
}

export function decideErasure(tenant: BackupTenant, facts: ErasureFacts, now: number): ErasurePlan {
  const { erasure } = tenant.spec;
  const before = tenant.status?.erasure;
  if (erasure === undefined) return { do: 'nothing' };
  if (before?.phase === 'Erased') return wait(before, condition('True', 'Erased', tenant.status?.conditions?.find(({ type }) => type === 'Erased')?.message ?? 'Everything of this tenant is gone.'));
  if (!isErasureOrdered(tenant)) {
    const message = `Erasure is asked for, not ordered. To destroy every backup of this customer for good, set spec.erasure.confirm to ${tenant.spec.tenantId}. It cannot be taken back.`;
    return wait({ phase: 'Asked' }, condition('False', 'ErasureUnconfirmed', message));
  }
  if (facts.location === undefined) return wait(before ?? { phase: 'Blocked' }, condition('False', 'LocationMissing', `BackupLocation ${tenant.spec.location} does not exist. Create it, for it knows the bucket.`), now + RETRY_MS);
  if (before?.orderedAt === undefined) {
    const blocked = blockedBy(facts);
    if (blocked !== undefined) return wait({ phase: 'Blocked' }, condition('False', 'ErasureBlocked', blocked), now + RETRY_MS);
    return {
      do: 'order',
      location: facts.location,
      record: ordered(tenant),
      status: { phase: 'Erasing', orderedAt: displayTime(now), removed: 0, bytes: 0 },
      condition: condition('False', 'Erasing', 'Erasure is ordered: the wrapped keys are destroyed first, then everything else.'),
    };
  }
  if (facts.movers.length > 0) {
    return wait(before, condition('False', 'MoversRunning', `It goes on when these Jobs have ended: ${displayList(facts.movers)}.`), now + RETRY_MS);
  }
  if (before.phase === 'Waiting' && before.nextLookAt !== undefined && Date.parse(before.nextLookAt) > now && !hasCollectedSince(before, facts.location)) {
    const said = tenant.status?.conditions?.find(({ type }) => type === 'Erased');
    return wait(before, condition('False', said?.reason ?? 'ErasureWaiting', said?.message ?? ''), Date.parse(before.nextLookAt));
  }
  return { do: before.keysDestroyedAt === undefined ? 'destroyKeys' : 'removeAll', location: facts.location, status: before };
}

/** What the second data center held may have gone since the last look. */
function hasCollectedSince({ lookedAt }: ErasureStatus, { status }: BackupLocation): boolean {
  const ended = timeOf(status?.replication?.completedAt);
  return ended !== undefined && ended > (timeOf(lookedAt) ?? Infinity);
}

/** Nobody's customer of today is erased: what still makes or needs backups goes first. */
function blockedBy({ isNamespaceThere, policies, backups }: ErasureFacts): string | undefined {
  if (!isNamespaceThere) return undefined;
  const held = backups.filter(({ spec }) => spec.hold).map(({ metadata }) => metadata.name);
  if (held.length > 0) return `These Backups are held (spec.hold): ${displayList(held)}. Whoever holds them has to let go first.`;
  if (policies + backups.length === 0) return undefined;
  return `The namespace still has ${policies} BackupPolicies and ${backups.length} Backups. Delete the namespace, or these, first: erasure is for customers who have left.`;
}

/** The status after a step, and what is to be recorded before it is written. */
export function erasureAfter(
  tenant: BackupTenant,
  step: 'destroyKeys' | 'removeAll',
  before: ErasureStatus,
  progress: ErasureProgress,
  now: number,
): { readonly status: ErasureStatus; readonly condition: ConditionInput; readonly record: AuditRecord | undefined; readonly wakeAt: number | undefined } {
  const sums = { removed: (before.removed ?? 0) + progress.removed, bytes: (before.bytes ?? 0) + progress.bytes };
  const object = objectOf('BackupTenant', tenant);
  if (step === 'destroyKeys' && progress.remaining === 0) {
    return {
      status: { ...before, ...sums, phase: 'Erasing', keysDestroyedAt: displayTime(now), nextLookAt: undefined, lockedUntil: undefined },
      condition: condition('False', 'Erasing', 'The wrapped keys in this data center are destroyed; everything else follows.'),
      record: { id: 'erasure/keys-destroyed', action: 'erasure.keys-destroyed', object, details: { removed: progress.removed } },
      wakeAt: now,
    };
  }
  const left = progress.remaining + (progress.replicaRemaining ?? 0);
  if (step === 'removeAll' && left === 0) {
    const replica = progress.replicaRemaining === undefined ? 'none of this installation' : 'empty';
    return {
      status: { ...before, ...sums, phase: 'Erased', completedAt: displayTime(now), nextLookAt: undefined, lockedUntil: undefined, remaining: 0 },
      condition: condition('True', 'Erased', `Everything of this tenant is gone but the audit trail, in which the certificate stands (erasure.completed).`),
      // The certificate: what went, since when, and what was found when all was listed once more.
      record: { id: 'erasure/completed', action: 'erasure.completed', object, details: { ...sums, orderedAt: before.orderedAt ?? '', keysDestroyedAt: before.keysDestroyedAt ?? '', remaining: 0, secondDataCenter: replica } },
      wakeAt: undefined,
    };
  }
  const isMoving = progress.removed > 0 && progress.lockedUntil === undefined && progress.remaining > 0;
  const nextLook = isMoving ? now : Math.max(now + 1000, Math.min(progress.lockedUntil ?? Infinity, now + LOOK_EVERY_MS));
  const until = progress.lockedUntil === undefined ? '' : `, the last known lock of this data center until ${displayTime(progress.lockedUntil)}`;
  const second = progress.replicaRemaining === undefined || progress.replicaRemaining === 0 ? '' : ` The second data center has ${progress.replicaRemaining}; they are collected when their locks have ended.`;
  return {
    status: {
      ...before,
      ...sums,
      phase: isMoving ? 'Erasing' : 'Waiting',
      remaining: left,
      lookedAt: displayTime(now),
      nextLookAt: isMoving ? undefined : displayTime(nextLook),
      lockedUntil: progress.lockedUntil === undefined ? undefined : displayTime(progress.lockedUntil),
    },
    condition: isMoving
      ? condition('False', 'Erasing', `${sums.removed} versions are removed, ${progress.remaining} are left here.${second}`)
      : condition('False', 'ErasureWaiting', `${sums.removed} versions are removed. ${progress.remaining} are left here${until}.${second} It goes on by itself.`),
    record: undefined,
    wakeAt: nextLook,
  };
}

/** The buckets or the trail refused. */
export function erasureRefused(before: ErasureStatus, refusal: { readonly reason: string; readonly message: string }, now: number) {
  return { status: before, condition: condition('False', refusal.reason, `Erasure cannot go on and is tried again: ${refusal.message}`), wakeAt: now + RETRY_MS };
}

function ordered(tenant: BackupTenant): AuditRecord {
  const { erasure } = tenant.spec;
  return {
    id: 'erasure/ordered',
    action: 'erasure.ordered',
    requestedBy: erasure?.requestedBy,
    object: objectOf('BackupTenant', tenant),
    details: { ...(erasure?.reason === undefined ? {} : { reason: erasure.reason }) },
  };
}

function condition(status: 'True' | 'False', reason: string, message: string): ConditionInput {
  return { type: 'Erased', status, reason, message };
}

function wait(status: ErasureStatus, said: ConditionInput, wakeAt?: number): ErasurePlan {
  return { do: 'wait', status, condition: said, wakeAt };
}
