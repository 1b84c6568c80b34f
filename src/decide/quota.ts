import { MOST_SLOTS, type Backup, type BackupPolicy, type BackupPolicyStatus } from '../api/index.ts';

export type Quota = NonNullable<BackupPolicyStatus['quota']>;
type Slot = Quota['slots'][number];

/** Ended without being kept: their slots are free for others. */
const holdsNothing: ReadonlySet<string> = new Set(['Rejected', 'Failed', 'Cancelled']);

/**
 * The slots of a policy, from a live listing of its backups. Slots once granted stay until their backup is gone or has ended without
 * being kept; free ones go to who asked first; who finds none is refused, for good.
 */
export function decideQuota(policy: BackupPolicy, backups: readonly Backup[]): Quota {
  const max = policy.spec.quota.maxBackups;
  const manual = backups.filter((backup) => backup.spec.policy === policy.metadata.name && backup.spec.trigger === 'Manual');
  const asking = manual.filter((backup) => !holdsNothing.has(backup.status?.phase ?? 'Pending')).sort(byAge);
  const before = policy.status?.quota;
  const held = new Set(before?.slots.map(({ uid }) => uid));
  const refusedBefore = new Set(before?.refused?.map(({ uid }) => uid));

  const slots: Slot[] = asking.filter(({ metadata }) => held.has(metadata.uid)).map(slotOf);
  const refused: Slot[] = [];
  for (const backup of asking) {
    if (held.has(backup.metadata.uid)) continue;
    // One that runs or is stored holds a slot, whatever became of the list: a status that was lost must not free it.
    const isKept = backup.status?.phase !== undefined && backup.status.phase !== 'Pending';
    const isLeaving = backup.metadata.deletionTimestamp !== undefined || backup.spec.cancel;
    if (isKept) slots.push(slotOf(backup));
    else if (refusedBefore.has(backup.metadata.uid) || (slots.length >= max && !isLeaving)) refused.push(slotOf(backup));
    else if (!isLeaving) slots.push(slotOf(backup));
  }
  return {
    used: slots.length,
    max,
    display: `${slots.length}/${max}`,
    slots,
    // The oldest first: once those are marked as rejected, others follow. A list that is too long would never be written.
    ...(refused.length > 0 ? { refused: refused.slice(0, MOST_SLOTS) } : {}),
  };
}

function slotOf(backup: Backup): Slot {
  return { uid: backup.metadata.uid, name: backup.metadata.name };
}

function byAge(a: Backup, b: Backup): number {
  return (
    a.metadata.creationTimestamp.localeCompare(b.metadata.creationTimestamp) ||
    a.metadata.name.localeCompare(b.metadata.name) ||
    a.metadata.uid.localeCompare(b.metadata.uid)
  );
}
