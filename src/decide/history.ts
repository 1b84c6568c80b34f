import type { Backup, Restore } from '../api/index.ts';
import { isTerminal } from './backup-status.ts';
import { hasEnded } from './restore-status.ts';

/** Whoever waits for the end of a Restore or Backup sees it, however many follow at once. */
export const HISTORY_MIN_AGE_MS = 3_600_000;

export interface Tidying<T> {
  /** Oldest first. */
  readonly remove: readonly T[];
  /** Milliseconds since the epoch: when the next is old enough to go. */
  readonly wakeAt?: number;
}

/** Backups that ended without being kept and are more than `keep`: the newest tell why, the rest only fill etcd. */
export function excessBackups(backups: readonly Backup[], keep: number, now: number): Tidying<Backup> {
  return excess(backups.filter(({ status, spec }) => isTerminal(status?.phase) && status?.phase !== 'Stored' && !spec.hold), keep, now);
}

/** The same of Restores that have ended, however they did. */
export function excessRestores(restores: readonly Restore[], keep: number, now: number): Tidying<Restore> {
  return excess(restores.filter(hasEnded), keep, now);
}

function excess<T extends Backup | Restore>(ended: readonly T[], keep: number, now: number): Tidying<T> {
  const living = ended.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
  const over = [...living].sort((a, b) => endedAt(b) - endedAt(a) || (a.metadata.name < b.metadata.name ? 1 : -1)).slice(keep).reverse();
  const young = over.find((each) => endedAt(each) + HISTORY_MIN_AGE_MS > now);
  return {
    remove: over.filter((each) => endedAt(each) + HISTORY_MIN_AGE_MS <= now),
    ...(young === undefined ? {} : { wakeAt: endedAt(young) + HISTORY_MIN_AGE_MS }),
  };
}

function endedAt({ metadata, status }: Backup | Restore): number {
  return Date.parse(status?.completedAt ?? metadata.creationTimestamp);
}
