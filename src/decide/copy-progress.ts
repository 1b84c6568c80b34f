/** How far the copy of one volume is, and what to make next. Everything is read from what is there, so a crash anywhere goes on from there. */
import type { Backup, VolumeCopy } from '../api/index.ts';
import { copyName } from './child-names.ts';
import { copiedClaim, groupLabelOf, groupOf, reboundContent, reboundSnapshot, snapshotOf, type CopyObject } from './copy-objects.ts';
import type { GroupFact, SnapshotFact, StorageFacts, VolumeCopyFact } from './copy-facts.ts';
import type { ClaimFact } from './observed.ts';
import { largerQuantity } from './storage-size.ts';

/** A snapshot that the driver has not cut after this long is given up: hooks may hold a database still meanwhile. */
export const CUT_DEADLINE_MS = 10 * 60_000;
/** Some drivers send a snapshot elsewhere before it can be used. */
export const READY_DEADLINE_MS = 4 * 3_600_000;

export type CopyState =
  | { readonly kind: 'make'; readonly objects: readonly CopyObject[] }
  | { readonly kind: 'waiting'; readonly reason: string; readonly message: string; readonly until: number }
  | { readonly kind: 'failed'; readonly code: string; readonly message: string }
  | { readonly kind: 'done' };

export interface CopyOf {
  readonly backup: Backup;
  readonly index: number;
  readonly copy: VolumeCopy;
  readonly fact: VolumeCopyFact;
  /** The live claim; undefined when it is gone. */
  readonly source: ClaimFact | undefined;
  readonly storage: StorageFacts;
  /** Where the mover runs. */
  readonly namespace: string;
  /** The node where the live volume is in use. */
  readonly node: string | undefined;
}

const DONE: CopyState = { kind: 'done' };

/** Until the snapshot or clone is a point in time. What is read live needs none. */
export function cutState(of: CopyOf): CopyState {
  const { copy, fact } = of;
  switch (copy.method) {
    case 'Direct':
      return DONE;
    case 'Snapshot':
      if (fact.snapshot === undefined) return { kind: 'make', objects: [snapshotOf(of, copy)] };
      return snapshotCut(of, fact.snapshot);
    case 'Clone':
      return cloneCut(of);
  }
}

/** The same for all volumes at once. */
export function groupCutState(backup: Backup, className: string, group: GroupFact | undefined, copies: readonly CopyOf[]): CopyState {
  if (group === undefined) {
    const unlabelled = copies.filter(({ fact }) => !fact.labelled).map(({ copy }) => groupLabelOf(backup, copy.claim));
    return { kind: 'make', objects: unlabelled.length > 0 ? unlabelled : [groupOf(backup, className)] };
  }
  const until = group.createdAt + CUT_DEADLINE_MS;
  if (group.backupUid !== backup.metadata.uid) return waiting('NameTaken', `VolumeGroupSnapshot ${group.name} exists but is none of ours. Delete it.`, until);
  if (group.deleting) return { kind: 'failed', code: 'SnapshotLost', message: `VolumeGroupSnapshot ${group.name} was deleted by somebody before it was read.` };
  const missing = copies.find(({ fact: { snapshot } }) => snapshot?.cutAt === undefined && snapshot?.ready !== true);
  if (missing === undefined) return DONE;
  return notYet(group, 'The group snapshot', missing.fact.snapshot === undefined ? 'is not cut yet' : `has not told of ${missing.copy.claim} yet`, until);
}

function snapshotCut({ backup, copy }: CopyOf, snapshot: SnapshotFact): CopyState {
  if (snapshot.backupUid !== backup.metadata.uid || snapshot.sourceClaim !== copy.claim) {
    return waiting('NameTaken', `VolumeSnapshot ${snapshot.name} exists but is none of ours. Delete it.`, snapshot.createdAt + CUT_DEADLINE_MS);
  }
  if (snapshot.deleting) return { kind: 'failed', code: 'SnapshotLost', message: `VolumeSnapshot ${snapshot.name} of ${copy.claim} was deleted by somebody before it was read.` };
  // A snapshot that is ready was cut, even where its driver does not say when.
  if (snapshot.cutAt !== undefined || snapshot.ready) return DONE;
  return notYet(snapshot, `The snapshot of ${copy.claim}`, 'is not cut yet', snapshot.createdAt + CUT_DEADLINE_MS);
}

function cloneCut(of: CopyOf): CopyState {
  const { copy, fact, source, storage } = of;
  const { claim } = fact;
  if (claim === undefined) {
    if (source === undefined) return { kind: 'failed', code: 'VolumeMissing', message: `PersistentVolumeClaim ${copy.claim} is gone.` };
    // Without a pod that waits for it such a volume is made for a node that is named; where nobody uses the live one, there is nobody to write either.
    const node = storage.waitingClasses.has(source.storageClassName ?? '') ? of.node : undefined;
    const volume = { namespace: of.namespace, source, from: 'PersistentVolumeClaim', size: source.size ?? '1Gi', node } as const;
    return { kind: 'make', objects: [copiedClaim(of, volume)] };
  }
  if (claim.phase === 'Bound') return DONE;
  if (claim.phase === 'Lost' || claim.deleting) return lost(of);
  if (storage.waitingClasses.has(copy.className ?? '') && claim.selectedNode === undefined) return DONE;
  const until = claim.createdAt + CUT_DEADLINE_MS;
  return fact.trouble === undefined
    ? waiting('Snapshotting', `The clone of ${copy.claim} is not made yet.`, until)
    : waiting('CloneFailing', `The clone of ${copy.claim} cannot be made: ${fact.trouble}`, until);
}

/** From the point in time to a claim that the mover can mount. A claim that no pod waits for may be unbound. */
export function deliveryState(of: CopyOf, cutAt: number): CopyState {
  const { copy, fact } = of;
  if (copy.method === 'Direct') return DONE;
  const { claim } = fact;
  if (claim !== undefined) return claim.phase === 'Lost' || claim.deleting ? lost(of) : DONE;
  if (copy.method === 'Clone' || fact.snapshot === undefined || fact.snapshot.deleting) return lost(of);
  const until = cutAt + READY_DEADLINE_MS;
  if (!fact.snapshot.ready) return notYet(fact.snapshot, `The snapshot of ${copy.claim}`, 'is cut and cannot be used yet', until);
  if (of.namespace === of.backup.metadata.namespace) return claimFrom(of, fact.snapshot);
  return rebind(of, until);
}

function rebind(of: CopyOf, until: number): CopyState {
  const { copy, fact, namespace } = of;
  const { content, boundContent, boundSnapshot } = fact;
  if (content?.handle === undefined) return waiting('Snapshotting', `The snapshot of ${copy.claim} has no content yet.`, until);
  const objects = [
    ...(boundContent === undefined ? [reboundContent(of, namespace, content, content.handle)] : []),
    ...(boundSnapshot === undefined ? [reboundSnapshot(of, namespace)] : []),
  ];
  if (objects.length > 0) return { kind: 'make', objects };
  if (boundSnapshot?.ready === true) return claimFrom(of, boundSnapshot);
  return notYet(boundSnapshot ?? fact.snapshot, `The snapshot of ${copy.claim}`, `is being brought into namespace ${namespace}`, until);
}

function claimFrom(of: CopyOf, snapshot: SnapshotFact): CopyState {
  const { source, copy, namespace } = of;
  if (source === undefined) return { kind: 'failed', code: 'VolumeMissing', message: `PersistentVolumeClaim ${copy.claim} is gone.` };
  const size = largerQuantity(source.size, snapshot.restoreSize) ?? '1Gi';
  return { kind: 'make', objects: [copiedClaim(of, { namespace, source, from: 'VolumeSnapshot', size, node: undefined })] };
}

function notYet(snapshot: Pick<SnapshotFact, 'error'> | undefined, what: string, how: string, until: number): CopyState {
  return snapshot?.error === undefined ? waiting('Snapshotting', `${what} ${how}.`, until) : waiting('SnapshotFailing', `${what} ${how}: ${snapshot.error}`, until);
}

function waiting(reason: string, message: string, until: number): CopyState {
  return { kind: 'waiting', reason, message, until };
}

function lost({ backup, index, copy }: CopyOf): CopyState {
  return { kind: 'failed', code: 'SnapshotLost', message: `The copy of ${copy.claim} (${copyName(backup, index)}) is gone before it was read. Somebody deleted it.` };
}
