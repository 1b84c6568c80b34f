import type { Backup } from '../api/index.ts';
import { findCondition } from './conditions.ts';

/**
 * A backup that a customer can rely on: stored, every file read, and neither empty nor suddenly small (or a person has said that
 * this is as it should be). Only such a one counts for `Protected`, for rotation and for what is never deleted unasked.
 */
export function isGood(backup: Backup): boolean {
  return backup.status?.phase === 'Stored' && hasGoodContent(backup);
}

/** The same of a backup that is being deleted: its phase says so, its conditions still tell what it holds. */
export function hasGoodContent(backup: Backup): boolean {
  const conditions = backup.status?.conditions;
  return findCondition(conditions, 'Complete')?.status === 'True' && findCondition(conditions, 'Plausible')?.status !== 'False';
}

/**
 * Whether the policy still has this one when others of it go. A safety backup does not count: it holds the state that somebody wanted
 * to be rid of, and expires.
 */
export function standsIn(backup: Backup): boolean {
  return isGood(backup) && backup.metadata.deletionTimestamp === undefined && backup.spec.trigger !== 'Safety';
}

/** Milliseconds since the epoch at which it was stored. */
export function storedAt(backup: Backup): number {
  return Date.parse(backup.status?.completedAt ?? backup.metadata.creationTimestamp);
}

/** The one that was stored last; of equals the first. */
export function newestOf(backups: readonly Backup[]): Backup | undefined {
  return backups.reduce<Backup | undefined>((best, other) => (best === undefined || storedAt(other) > storedAt(best) ? other : best), undefined);
}
