/** A Backup that the operator made anew from a bucket: it is stored, and nothing is to be done. Pure. */
import { ANNOTATION_ACKNOWLEDGED, ANNOTATION_RECOVERED, FINALIZER, RecoveredBackup, type Backup, type ConditionInput } from '../api/index.ts';
import type { BackupFacts, BackupStep, Plan } from './backup-facts.ts';
import { changedStatus, stored } from './backup-status.ts';

const LOOK_MS = 2000;

/** Whoever restores without a name gets the newest good one: that must not be chosen by who can put a manifest there. */
const NOT_RECORDED: ConditionInput = {
  type: 'Plausible',
  status: 'False',
  reason: 'NotRecorded',
  message: `No sealed record names it, only its manifest, so it is not chosen as the newest. Its mover checks that it is the tenant's; when a restore by its name has shown so, annotate it with ${ANNOTATION_ACKNOWLEDGED}=true.`,
};

/** `undefined` for a Backup like any other. */
export function decideRecovered(facts: BackupFacts, now: number): Plan<BackupStep> | undefined {
  const { backup, ground } = facts;
  const found = recoveredFrom(backup);
  if (found === undefined || backup.status?.phase !== undefined) return undefined;
  // Neither may be seen yet. Without the location's word it is no such backup: the annotation alone proves nothing.
  if (ground.location === undefined || ground.tenant === undefined) return { steps: [], wakeAt: now + LOOK_MS };
  if (!ground.location.spec.recover) return undefined;
  if (!(backup.metadata.finalizers ?? []).includes(FINALIZER)) return { steps: [{ do: 'addFinalizer' }], again: true };
  const { snapshotId, keyGeneration, completedAt, complete, unrecorded, ...fields } = found;
  const words = complete ? 'Every file could be read.' : 'Some files could not be read when it was made; which ones is not recorded.';
  const status = changedStatus(
    backup,
    {
      phase: 'Stored',
      conditions: [stored('It was made anew from the bucket.'), { type: 'Complete', status: complete ? 'True' : 'False', reason: complete ? 'AllFilesRead' : 'UnreadableFiles', message: words }, ...(unrecorded === true ? [NOT_RECORDED] : [])],
      fields: { ...fields, snapshotId, keyGeneration, completedAt, tenant: ground.tenant.metadata.name },
    },
    now,
  );
  return { steps: [{ do: 'writeStatus', status }] };
}

function recoveredFrom({ metadata }: Backup): RecoveredBackup | undefined {
  const text = metadata.annotations?.[ANNOTATION_RECOVERED];
  if (text === undefined) return undefined;
  try {
    return RecoveredBackup.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}
