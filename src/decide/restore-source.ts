/** Which backup is restored: the one that the spec names, or one that is chosen once and stands in the status from then on. */
import type { Backup, Restore } from '../api/index.ts';
import { displayTime } from './display.ts';
import type { Failure } from './failure-reason.ts';
import { newestOf, standsIn, storedAt } from './good.ts';

/** Name of the backup; undefined while the spec asks for one that was not chosen yet. */
export function restoredBackup(restore: Restore): string | undefined {
  return restore.status?.backup ?? restore.spec.source.backup;
}

export type Choice = { readonly ok: true; readonly backup: Backup } | ({ readonly ok: false } & Failure);

/**
 * The newest good backup of the policy that the spec names, or the newest that was stored at or before `asOf`.
 * @param backups - all of that policy
 */
export function chooseBackup(restore: Restore, backups: readonly Backup[], now: number): Choice {
  const { policy = '', asOf } = restore.spec.source;
  const good = backups.filter(standsIn);
  if (asOf === undefined) {
    const backup = newestOf(good);
    if (backup !== undefined) return { ok: true, backup };
    return refuse('NoGoodBackup', `BackupPolicy ${policy} has no good backup: none is stored, complete and beyond doubt. \`kubectl get bk\` shows what there is; name one in spec.source.backup.`);
  }
  const until = Date.parse(asOf);
  if (until > now) return refuse('AsOfInFuture', `spec.source.asOf is ${asOf}, and that is still to come. Name a time that is past, or ask for the newest backup.`);
  const backup = newestOf(good.filter((each) => storedAt(each) <= until));
  if (backup !== undefined) return { ok: true, backup };
  const [oldest] = [...good].sort((a, b) => storedAt(a) - storedAt(b));
  const there = oldest === undefined ? 'It has none at all.' : `The oldest one, ${oldest.metadata.name}, was stored at ${displayTime(storedAt(oldest))}.`;
  return refuse('NoBackupBefore', `BackupPolicy ${policy} has no good backup that was stored at or before ${asOf}. ${there}`);
}

function refuse(reason: string, message: string): Choice {
  return { ok: false, reason, message };
}
