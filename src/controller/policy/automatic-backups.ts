import { ANNOTATION_ROTATED_AT, ANNOTATION_SCHEDULED_AT, API_VERSION, LABEL_POLICY, LABEL_TRIGGER, type Backup, type BackupPolicy, type Restore } from '../../api/index.ts';
import { displayTime, labelValue } from '../../decide/index.ts';
import { MOST_COUNTED, type Missed, type Run } from '../../decide/schedule.ts';
import { isKubeError, type EventRecorder, type ResourceClient } from '../../kube/index.ts';
import type { Caches } from '../caches.ts';

export interface AutomaticDependencies {
  readonly caches: { readonly backups: Pick<Caches['backups'], 'remember'> };
  readonly restores: Pick<ResourceClient<Restore>, 'delete'>;
  readonly backups: Pick<ResourceClient<Backup>, 'create' | 'get' | 'patch' | 'delete'>;
  readonly events: Pick<EventRecorder, 'record'>;
}

/** Makes the Backup of a scheduled time. One that is there already was made before a crash, or by another replica; somebody else's does not keep it from being made. */
export async function applyRun({ backups, caches, events }: AutomaticDependencies, policy: BackupPolicy, run: Run, signal: AbortSignal): Promise<void> {
  const { name: policyName, namespace } = policy.metadata;
  const scheduledAt = displayTime(run.slot);
  const labels = { [LABEL_POLICY]: labelValue(policyName), [LABEL_TRIGGER]: 'Automatic' };
  const annotations = { [ANNOTATION_SCHEDULED_AT]: scheduledAt };
  for (const name of [run.name, run.secondName]) {
    try {
      const metadata = { name, namespace, labels, annotations };
      const made = await backups.create({ apiVersion: API_VERSION, kind: 'Backup', metadata, spec: { policy: policyName, trigger: 'Automatic' } }, signal);
      caches.backups.remember(made);
      const why = name === run.name ? '' : ` Its name has an end of its own, for somebody else made Backup ${run.name}.`;
      events.record(policy, { type: 'Normal', reason: 'BackupCreated', action: 'Schedule', message: `Backup ${name} is made, as scheduled for ${scheduledAt}.${why}` });
      return;
    } catch (error) {
      if (!isKubeError(error, 'AlreadyExists')) throw error;
      const present = await backups.get(name, namespace, signal);
      // Gone in between: the next look finds the name free.
      if (present === undefined) throw error;
      if (present.spec.policy === policyName && present.spec.trigger === 'Automatic' && present.metadata.annotations?.[ANNOTATION_SCHEDULED_AT] === scheduledAt) return;
    }
  }
  const message = `No automatic backup is made for ${scheduledAt}: Backups ${run.name} and ${run.secondName} exist and were not made by the schedule. Create one by hand, and leave names of this form to the operator.`;
  events.record(policy, { type: 'Warning', reason: 'BackupNameTaken', action: 'Schedule', message });
}

export function tellMissed(events: Pick<EventRecorder, 'record'>, policy: BackupPolicy, { count, newest }: Missed): void {
  const many = count >= MOST_COUNTED ? `${MOST_COUNTED} or more scheduled backups` : count === 1 ? 'A scheduled backup' : `${count} scheduled backups`;
  const message = `${many} could not be made in time, the newest that of ${displayTime(newest)}. The next one is made as scheduled; create a Backup for one now.`;
  events.record(policy, { type: 'Warning', reason: 'RunMissed', action: 'Schedule', message });
}

/**
 * Deletes what rotated out; the Backup's own controller forgets its snapshot. It is marked before, so that nights of them that wait for
 * a location to come back are not taken for a mass deletion.
 */
export async function applyRotation(
  { backups, events }: AutomaticDependencies,
  policy: BackupPolicy,
  rotation: { readonly rotate: readonly Backup[]; readonly rotatesMany: boolean; readonly at: string },
  signal: AbortSignal,
): Promise<void> {
  for (const backup of rotation.rotate) {
    const { name, namespace, uid } = backup.metadata;
    if (!rotation.rotatesMany && !(await mark(backups, backup, rotation.at, signal))) continue;
    await backups.delete(name, namespace, { uid, signal });
    events.record(policy, { type: 'Normal', reason: 'Rotated', action: 'Delete', message: `Backup ${name} is deleted: newer automatic ones are kept in its place.` });
  }
}

/** @returns whether it is still there: a cache that is behind may show one that has gone */
async function mark(backups: AutomaticDependencies['backups'], { metadata }: Backup, at: string, signal: AbortSignal): Promise<boolean> {
  try {
    await backups.patch(metadata.name, metadata.namespace, { metadata: { uid: metadata.uid, annotations: { [ANNOTATION_ROTATED_AT]: at } } }, { signal });
    return true;
  } catch (error) {
    if (!isKubeError(error, 'NotFound', 'Conflict')) throw error;
    return false;
  }
}

/** Removes the resources of what ended long ago; nothing of it is stored. */
export async function applyTidying(
  { backups, restores, events }: AutomaticDependencies,
  tidy: { readonly backups: readonly Backup[]; readonly restores: readonly Restore[] },
  signal: AbortSignal,
): Promise<void> {
  const message = 'Removed: it ended long ago, and newer ones are kept to look at.';
  for (const [client, old] of [[backups, tidy.backups], [restores, tidy.restores]] as const) {
    for (const each of old) {
      const { name, namespace, uid } = each.metadata;
      await client.delete(name, namespace, { uid, signal });
      events.record(each, { type: 'Normal', reason: 'Tidied', action: 'Delete', message });
    }
  }
}
