import { durationToMs, LABEL_RESTORE_UID, type Backup, type BackupPhase, type BackupStatus, type ConditionInput } from '../api/index.ts';
import { mergeConditions } from './conditions.ts';
import { displayTime } from './display.ts';

/** A safety backup goes by itself after this long, unless its spec says otherwise. */
const SAFETY_TTL_MS = 14 * 86_400_000;
/** Attempts from this number on forget; those before transfer. Names and results of both never meet. */
export const FIRST_FORGET_ATTEMPT = 101;

export interface StatusChange {
  readonly phase: BackupPhase;
  readonly conditions: readonly ConditionInput[];
  /** Fields to lay over the status; `undefined` removes one. */
  readonly fields?: { readonly [Field in keyof BackupStatus]?: BackupStatus[Field] | undefined };
}

/** The whole status after a change. The same change decided again gives the same status, so nothing is written twice. */
export function changedStatus(backup: Backup, change: StatusChange, now: number): BackupStatus {
  const { generation } = backup.metadata;
  const merged = {
    ...backup.status,
    ...change.fields,
    observedGeneration: generation,
    phase: change.phase,
    conditions: mergeConditions(backup.status?.conditions, change.conditions, generation, displayTime(now)),
  };
  return withoutUndefined(merged);
}

function withoutUndefined(fields: { readonly [Field in keyof BackupStatus]?: BackupStatus[Field] | undefined }): BackupStatus {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) satisfies BackupStatus;
}

export function notStored(reason: string, message: string): ConditionInput {
  return { type: 'Stored', status: 'False', reason, message };
}

export function stored(message: string): ConditionInput {
  return { type: 'Stored', status: 'True', reason: 'Stored', message };
}

/** Why an object that is to be deleted is still there. */
export function notDeleted(reason: string, message: string): ConditionInput {
  return { type: 'Deleted', status: 'False', reason, message };
}

export function isTerminal(phase: BackupPhase | undefined): boolean {
  return phase === 'Stored' || phase === 'Failed' || phase === 'Rejected' || phase === 'Cancelled';
}

/** A backup that is to end, by deletion or by `spec.cancel`, and so is no writer any more. */
export function isEnding(backup: Backup): boolean {
  if (backup.metadata.deletionTimestamp !== undefined) return !backup.spec.hold;
  return backup.spec.cancel && !isTerminal(backup.status?.phase);
}

/** Whether the repository may hold a snapshot of this backup. An attempt whose result was lost may have left one. */
export function mayHaveSnapshot(backup: Backup): boolean {
  const { status } = backup;
  if (status === undefined || status.phase === 'Rejected' || status.phase === 'Cancelled') return false;
  return status.snapshotId !== undefined || (status.attempt ?? 0) > 0;
}

/** Milliseconds since the epoch at which a stored backup goes by itself; undefined for one that is kept. */
export function expiryOf(backup: Backup, completedAt: number): number | undefined {
  if (backup.spec.ttl !== undefined) return completedAt + durationToMs(backup.spec.ttl);
  return backup.spec.trigger === 'Safety' ? completedAt + SAFETY_TTL_MS : undefined;
}

/** UID of the Restore that a safety backup was made for. */
export function safetyFor(backup: Backup): string | undefined {
  return backup.spec.trigger === 'Safety' ? backup.metadata.labels?.[LABEL_RESTORE_UID] : undefined;
}

/** Milliseconds since the epoch of an RFC 3339 time in a status. */
export function timeOf(time: string | undefined): number | undefined {
  return time === undefined ? undefined : Date.parse(time);
}
