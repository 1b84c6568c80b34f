/** The new volumes of a restore that leaves the customer's own alone: what they are like, when they are made, and when they go again. */
import { LABEL_MANAGED_BY, LABEL_RESTORE, LABEL_RESTORE_UID, MANAGED_BY, ObjectName, type Backup, type NewVolume, type Restore, type RestoreStatus } from '../api/index.ts';
import { labelValue } from './child-names.ts';
import { findCondition } from './conditions.ts';
import { displayBytes, displayList } from './display.ts';
import type { Failure } from './failure-reason.ts';
import { leftBehind } from './lost-node.ts';
import type { ClaimFact } from './observed.ts';
import type { RestoreFacts, RestoreStep } from './restore-facts.ts';
import { concluded, OUTCOME, underWay, writeRestore, type RestorePlan } from './restore-status.ts';
import { bytesOfQuantity, quantityFor } from './storage-size.ts';
import { strangersOn } from './volumes.ts';

/** A pod that was told to end is looked at this often, though its end is watched. */
const LEAVING_LOOK_MS = 10_000;

export type PlannedVolume = NonNullable<RestoreStatus['newVolumes']>[number];
export type PlannedVolumes = { readonly ok: true; readonly volumes: readonly PlannedVolume[] } | ({ readonly ok: false } & Failure);

/** Decided once, before the first is made: what comes later, a storage class of the source that goes or a claim that grows, changes nothing. */
export function planNewVolumes(restore: Restore, source: Backup, names: readonly string[], claims: readonly ClaimFact[]): PlannedVolumes {
  const wanted = restore.spec.target.newVolume;
  const byName = new Map(claims.map((claim) => [claim.name, claim]));
  const volumes = names.map((claim) => plannedVolume(restore, claim, byName.get(claim), source, wanted));
  for (const { claim, name, size } of volumes) {
    if (!ObjectName.safeParse(name).success)
      return refuse('NewVolumeNameInvalid', `The new volume for ${claim} would be called "${name}", which no PersistentVolumeClaim can be. Give another spec.target.newVolume.name in a new Restore.`);
    if (volumes.some((other) => other.claim !== claim && other.name === name))
      return refuse('NewVolumeNameInvalid', `Two of the new volumes would be called "${name}". Put {claim} into spec.target.newVolume.name of a new Restore.`);
    const taken = byName.get(name);
    if (taken !== undefined && taken.restoreUid !== restore.metadata.uid)
      return refuse('NewVolumeNameTaken', `PersistentVolumeClaim ${name} exists and was not made for this restore. Nothing is restored into it: give another spec.target.newVolume.name in a new Restore, or delete the claim.`);
    const least = leastBytes(source, byName.get(claim));
    if ((bytesOfQuantity(size) ?? 0) < least)
      return refuse('NewVolumeTooSmall', `The new volume for ${claim} would have ${size}, and the backup's data need ${displayBytes(least)}. Give a larger spec.target.newVolume.size in a new Restore, or leave it out.`);
  }
  return { ok: true, volumes };
}

function plannedVolume(restore: Restore, claim: string, source: ClaimFact | undefined, backup: Backup, wanted: NewVolume | undefined): PlannedVolume {
  const template = wanted?.name ?? '{claim}-{restore}';
  const storageClassName = wanted?.storageClassName ?? source?.storageClassName;
  return {
    claim,
    name: template.replaceAll('{claim}', claim).replaceAll('{restore}', restore.metadata.name),
    size: wanted?.size ?? source?.size ?? quantityFor(dataBytes(backup)),
    // A class of no name means that a volume was bound by hand; nobody would bind the new one.
    ...(storageClassName === undefined || storageClassName === '' ? {} : { storageClassName }),
    accessModes: [...(wanted?.accessModes ?? modesOf(source))],
  };
}

function modesOf(source: ClaimFact | undefined): readonly string[] {
  const modes = (source?.accessModes ?? []).filter((mode) => mode !== 'ReadOnlyMany');
  return modes.length === 0 ? ['ReadWriteOnce'] : modes;
}

/** Files with holes look larger than the room that they take: what fitted into the source's volume fits into one as large. */
function leastBytes(backup: Backup, source: ClaimFact | undefined): number {
  const isOnlyOne = backup.status?.volumes?.length === 1;
  return isOnlyOne ? Math.min(dataBytes(backup), bytesOfQuantity(source?.size) ?? Infinity) : 0;
}

/** Of all volumes together: no more is known. */
function dataBytes(backup: Backup): number {
  return backup.status?.bytesProcessed ?? 0;
}

/** A PersistentVolumeClaim of ours, as it is sent to the API server. Nothing owns it: it outlives the Restore. */
export function newClaim(restore: Restore, volume: PlannedVolume) {
  const { name, uid, namespace = '' } = restore.metadata;
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: {
      name: volume.name,
      namespace,
      labels: { [LABEL_MANAGED_BY]: MANAGED_BY, [LABEL_RESTORE]: labelValue(name), [LABEL_RESTORE_UID]: uid },
    },
    spec: {
      accessModes: volume.accessModes,
      volumeMode: 'Filesystem',
      resources: { requests: { storage: volume.size } },
      ...(volume.storageClassName === undefined ? {} : { storageClassName: volume.storageClassName }),
    },
  };
}
export type NewClaim = ReturnType<typeof newClaim>;

export type NewVolumesState =
  | { readonly kind: 'there' }
  | { readonly kind: 'toMake'; readonly steps: readonly RestoreStep[] }
  | ({ readonly kind: 'unusable' } & Failure);

/** Whether the mover can be started: it need not wait until they are bound, for some are bound only when a pod wants them. */
export function newVolumesState({ restore, claims }: RestoreFacts): NewVolumesState {
  const byName = new Map(claims.map((claim) => [claim.name, claim]));
  const steps: RestoreStep[] = [];
  for (const volume of restore.status?.newVolumes ?? []) {
    const claim = byName.get(volume.name);
    if (claim === undefined) steps.push({ do: 'createClaim', claim: newClaim(restore, volume) });
    else if (claim.restoreUid !== restore.metadata.uid)
      return { kind: 'unusable', reason: 'NewVolumeNameTaken', message: `PersistentVolumeClaim ${volume.name} was made by somebody else meanwhile.` };
    else if (claim.deleting) return { kind: 'unusable', reason: 'VolumeDeleting', message: `PersistentVolumeClaim ${volume.name} is being deleted.` };
  }
  return steps.length === 0 ? { kind: 'there' } : { kind: 'toMake', steps };
}

/** What the provisioner says of a new volume that is not there, while the mover's pod waits for it. */
export function provisioningTrouble({ restore, claims, claimWarnings }: RestoreFacts): Failure | undefined {
  const pending = claims.find(({ name, phase }) => phase !== 'Bound' && restore.status?.newVolumes?.some((volume) => volume.name === name) === true);
  const warning = claimWarnings.find(({ about }) => about === pending?.name);
  if (warning === undefined) return undefined;
  return {
    reason: 'VolumeNotProvisioned',
    message: `The new volume ${warning.about} is not made: ${warning.message} Check spec.target.newVolume of the Restore, and the storage class.`,
  };
}

/** New volumes that failed go again, but none that somebody uses already, and none that lacks only some of its files. */
export function decideCleaningUp(facts: RestoreFacts, now: number): RestorePlan {
  const { restore, claims, users } = facts;
  const left = leftBehind(facts.attempt.pods, now);
  if (left !== undefined) return { steps: [writeRestore(facts, { phase: 'CleaningUp', conditions: [underWay(left.reason, left.message)] }, now)], wakeAt: now + LEAVING_LOOK_MS };
  const result = findCondition(restore.status?.conditions, OUTCOME);
  const ours = claims.filter(({ restoreUid }) => restoreUid === restore.metadata.uid);
  const names = ours.map(({ name }) => name);
  if (result?.status === 'True' || ours.length === 0) return conclude(facts, [], '', now);
  if (result?.reason === 'RestoreIncomplete') return conclude(facts, [], ` The new volume ${displayList(names)} is kept with what could be restored; delete it when it is not wanted.`, now);
  const inUse = new Set(strangersOn(names, users).map(({ claim }) => claim));
  const going = ours.filter(({ name }) => !inUse.has(name));
  const steps: RestoreStep[] = going.flatMap(({ name, uid, deleting }) => (deleting ? [] : [{ do: 'deleteClaim', name, uid }]));
  const gone = going.length === 0 ? '' : ` The new volume ${displayList(going.map(({ name }) => name))} is removed again.`;
  const kept = inUse.size === 0 ? '' : ` ${displayList([...inUse])} is kept, for a pod uses it.`;
  return conclude(facts, steps, `${gone}${kept}`, now);
}

function conclude(facts: RestoreFacts, steps: readonly RestoreStep[], tail: string, now: number): RestorePlan {
  const { restore } = facts;
  return { steps: [...steps, writeRestore(facts, concluded(restore, tail, now), now)], again: restore.metadata.deletionTimestamp !== undefined };
}

function refuse(reason: string, message: string): PlannedVolumes {
  return { ok: false, reason, message };
}
