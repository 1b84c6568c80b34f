import { ANNOTATION_SCHEDULED_AT, type Backup } from '../api/index.ts';
import { standsIn, storedAt } from './good.ts';

/**
 * The automatic backups that are to go, oldest first, so that `keep` of them stay. Held ones neither go nor count; and the newest good backup of
 * the policy never goes, however many bad ones came after it.
 * @param backups - every backup of the policy
 */
export function decideRotation(backups: readonly Backup[], keep: number): readonly Backup[] {
  const living = backups.filter(({ metadata, status }) => metadata.deletionTimestamp === undefined && status?.phase === 'Stored');
  const rotating = living.filter(({ spec }) => spec.trigger === 'Automatic' && !spec.hold).sort(newestFirst);
  const excess = rotating.slice(keep);
  const lastGood = living.filter(standsIn).sort(newestFirst)[0];
  return excess.filter((backup) => backup !== lastGood).reverse();
}

/** By the time that the schedule named: a clock that was set back in between does not turn their order round. */
function newestFirst(a: Backup, b: Backup): number {
  return timeOf(b) - timeOf(a) || (a.metadata.name < b.metadata.name ? 1 : -1);
}

function timeOf(backup: Backup): number {
  const scheduled = backup.metadata.annotations?.[ANNOTATION_SCHEDULED_AT];
  return scheduled === undefined ? storedAt(backup) : Date.parse(scheduled);
}
