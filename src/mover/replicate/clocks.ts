import { StorageError } from '../../storage/index.ts';
import type { VersionedStore } from './work.ts';

/** Less than S3 lets a signature be off, and more than machines are that ask for the time at all. */
const MOST_APART_MS = 5 * 60_000;

/**
 * Locks end by the service's clock and are set by ours: one that is ahead sets locks that nobody can take back, for as long as it is ahead, and one that is behind lets them end. The SDK corrects
 * signatures by what a service answers, so nobody else would notice.
 * @throws {StorageError} `ClockSkewed`
 */
export function assertSameTime({ versions, location }: Pick<VersionedStore, 'versions' | 'location'>, now: Date): void {
  const theirs = versions.serviceTime?.();
  if (theirs === undefined || Math.abs(now.getTime() - theirs) <= MOST_APART_MS) return;
  const minutes = Math.round(Math.abs(now.getTime() - theirs) / 60_000);
  const way = now.getTime() > theirs ? 'ahead of' : 'behind';
  throw new StorageError('ClockSkewed', `the clock of this machine is ${minutes} minutes ${way} that of ${location}: locks are set by the one and end by the other, so none is set. Set the clock of the node`, {
    retryable: true,
    context: { ours: now.toISOString(), theirs: new Date(theirs).toISOString() },
  });
}
