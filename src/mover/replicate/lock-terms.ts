import type { ReplicationLock } from '../../api/index.ts';
import { isWrapping } from './tenant-keys.ts';

const DAY_MS = 86_400_000;
const MOST_SLACK_MS = 7 * DAY_MS;

/** Until when an object is locked that is put or extended now (`docs/layout.md`, "Locks"). Whole seconds: services keep no more. */
export function lockedUntil(key: string, { retainForMs }: Pick<ReplicationLock, 'retainForMs'>, now: Date): Date {
  const stretch = isWrapping(key) ? slackOf(retainForMs) : retainForMs;
  return new Date(Math.floor((now.getTime() + stretch) / 1000) * 1000);
}

/** From when on a lock that ends at `until` is to be extended, milliseconds since the epoch. */
export function dueFrom(key: string, until: number, { retainForMs }: Pick<ReplicationLock, 'retainForMs'>): number {
  const slack = slackOf(retainForMs);
  // A wrapping's lock is as long as the others' slack: it is renewed when half of it is over.
  return isWrapping(key) ? until - slack / 2 : until - retainForMs + slack;
}

/**
 * The latest time at which something is due of what was written down at `storedAt`, milliseconds since the epoch: no lock is set for longer than from then on, so a later
 * one was not written by us.
 */
export function dueAtTheLatest(storedAt: number, { retainForMs }: Pick<ReplicationLock, 'retainForMs'>): number {
  return storedAt + slackOf(retainForMs);
}

/** A quarter of the retention, at most seven days. */
function slackOf(retainForMs: number): number {
  return Math.min(MOST_SLACK_MS, retainForMs / 4);
}
