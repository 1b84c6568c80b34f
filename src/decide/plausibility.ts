import { ANNOTATION_ACKNOWLEDGED, type Backup, type BackupPolicy, type ConditionInput } from '../api/index.ts';
import { findCondition } from './conditions.ts';
import { displayBytes, displayList } from './display.ts';
import { isGood, newestOf } from './good.ts';

/**
 * Whether what was stored can be what the customer has: a volume that was not mounted reads as empty, and one that was wiped or
 * encrypted away shrinks. The backup is kept either way, but is not good until a person says so.
 * @param siblings - other backups of the policy
 * @returns the condition `Plausible`, False; `undefined` where nothing is odd
 */
export function implausible(
  done: { readonly files: number; readonly bytesProcessed: number },
  backup: Backup,
  siblings: readonly Backup[],
  policy: BackupPolicy | undefined,
): ConditionInput | undefined {
  const advice = `If this is as it should be: \`kubectl annotate backups.backup.dupp.de ${backup.metadata.name} -n ${backup.metadata.namespace ?? ''} ${ANNOTATION_ACKNOWLEDGED}=true\`.`;
  const of = (reason: string, message: string): ConditionInput => ({ type: 'Plausible', status: 'False', reason, message: `${message} ${advice}` });
  if (done.files === 0) return of('Empty', 'It holds not a single file. Look whether the volume is mounted and filled.');
  // A dump whose command fails without saying so ends well and is empty.
  if (done.bytesProcessed === 0 && (backup.status?.streams ?? []).length > 0)
    return of('Empty', `Its streams (${displayList(backup.status?.streams ?? [])}) hold not a single byte. Look whether their commands do what they should.`);
  const before = newestOf(siblings.filter((other) => isGood(other) && other.metadata.deletionTimestamp === undefined));
  const size = before?.status?.bytesProcessed ?? 0;
  const share = policy?.spec.shrinkWarningPercent ?? 50;
  if (before === undefined || done.bytesProcessed >= size * (1 - share / 100)) return undefined;
  const gone = Math.floor((1 - done.bytesProcessed / size) * 100);
  return of('Shrunk', `It holds ${displayBytes(done.bytesProcessed)}, ${gone} % less than the last good one, ${before.metadata.name}, with ${displayBytes(size)}. Look whether data was lost.`);
}

/** The condition once a person has acknowledged an odd backup; `undefined` where there is nothing to write. */
export function acknowledged({ metadata, status }: Backup): ConditionInput | undefined {
  if (metadata.annotations?.[ANNOTATION_ACKNOWLEDGED] !== 'true' || findCondition(status?.conditions, 'Plausible')?.status !== 'False') return undefined;
  return { type: 'Plausible', status: 'True', reason: 'Acknowledged', message: 'A person said that this is as it should be.' };
}
