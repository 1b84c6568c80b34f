/**
 * How each volume of a backup is read. What was asked for by name is done or refused. `Auto` never refuses where a lesser way is
 * left, and says why it took that: a platform that gets a second VolumeSnapshotClass goes on having backups.
 */
import type { BackupPolicy, VolumeCopy } from '../api/index.ts';
import { displayList } from './display.ts';
import type { SnapshotClassFact, StorageFacts } from './copy-facts.ts';
import type { Failure } from './failure-reason.ts';
import type { ClaimFact } from './observed.ts';

type Wish = Pick<BackupPolicy['spec'], 'copyMethod' | 'snapshotClassName'> & Partial<Pick<BackupPolicy['spec'], 'groupSnapshot'>>;

export interface ChosenCopies {
  readonly ok: true;
  readonly copies: readonly VolumeCopy[];
  /** Where the mover runs; undefined for the customer's own. */
  readonly namespace: string | undefined;
  /** The VolumeGroupSnapshotClass with which all are cut at one moment. */
  readonly groupClass: string | undefined;
}

export type Copies = ChosenCopies | ({ readonly ok: false } & Failure);

/** Claims that can be mounted, in the order of the backup. */
export function chooseCopies(wish: Wish, claims: readonly ClaimFact[], storage: StorageFacts): Copies {
  const copies: VolumeCopy[] = [];
  for (const claim of claims) {
    const choice = chooseFor(wish, claim, storage);
    if ('reason' in choice) return { ok: false, ...choice };
    if (choice.method === 'Direct' && isSinglePod(claim)) return { ok: false, ...singlePod(claim, choice.because) };
    copies.push(choice);
  }
  // One pod mounts them all, and what is read live can be mounted in the customer's namespace only.
  if (copies.length === 0 || copies.some(({ method }) => method !== 'Snapshot')) return { ok: true, copies, namespace: undefined, groupClass: undefined };
  const { name, exists } = storage.moverNamespace;
  if (exists) return { ok: true, copies, namespace: name, groupClass: groupClass(wish, claims, storage) };
  return {
    ok: false,
    reason: 'MoverNamespaceMissing',
    message: `Namespace ${name}, where movers of snapshots run, does not exist. The Helm chart makes it; or create it, or set spec.copyMethod: Direct.`,
  };
}

/** For people: the one method of all, or `Mixed`. */
export function overallMethod(copies: readonly VolumeCopy[]): string {
  const methods = new Set(copies.map(({ method }) => method));
  return methods.size === 1 ? ([...methods][0] ?? 'Direct') : 'Mixed';
}

function chooseFor(wish: Wish, claim: ClaimFact, storage: StorageFacts): VolumeCopy | Failure {
  switch (wish.copyMethod) {
    case 'Direct':
      return { claim: claim.name, method: 'Direct', because: 'The policy asks for it.' };
    case 'Snapshot': {
      const found = snapshotClass(wish, claim, storage);
      return 'reason' in found ? found : { claim: claim.name, method: 'Snapshot', className: found.name, because: 'The policy asks for it.' };
    }
    case 'Clone': {
      const refusal = cannotClone(claim);
      return refusal ?? { claim: claim.name, method: 'Clone', ...(claim.storageClassName ? { className: claim.storageClassName } : {}), because: 'The policy asks for it.' };
    }
    case 'Auto':
      return best(wish, claim, storage);
  }
}

function best(wish: Wish, claim: ClaimFact, storage: StorageFacts): VolumeCopy {
  const found = snapshotClass(wish, claim, storage);
  if (!('reason' in found)) {
    return { claim: claim.name, method: 'Snapshot', className: found.name, because: `VolumeSnapshotClass ${found.name} is there for driver ${found.driver}.` };
  }
  const { storageClassName } = claim;
  if (storageClassName !== undefined && storage.cloningClasses.has(storageClassName) && cannotClone(claim) === undefined) {
    return { claim: claim.name, method: 'Clone', className: storageClassName, because: `No snapshot: ${found.message} StorageClass ${storageClassName} says that it clones.` };
  }
  return { claim: claim.name, method: 'Direct', because: `No snapshot: ${found.message}` };
}

function snapshotClass(wish: Wish, claim: ClaimFact, storage: StorageFacts): SnapshotClassFact | Failure {
  const { driver } = claim;
  if (driver === undefined) return { reason: 'VolumeNotCSI', message: `The volume of PersistentVolumeClaim ${claim.name} is of no CSI driver, so it has no snapshots.` };
  if (storage.snapshotClasses === undefined) {
    return { reason: 'SnapshotsUnavailable', message: 'The cluster has no snapshot API (CRDs of snapshot.storage.k8s.io/v1). Install the external snapshotter.' };
  }
  if (wish.snapshotClassName !== undefined && !storage.snapshotClasses.some(({ name }) => name === wish.snapshotClassName)) {
    return { reason: 'SnapshotClassMissing', message: `VolumeSnapshotClass ${wish.snapshotClassName} does not exist. Create it, or change spec.snapshotClassName of the BackupPolicy.` };
  }
  const fitting = storage.snapshotClasses.filter((each) => each.driver === driver);
  const named = fitting.find(({ name }) => name === wish.snapshotClassName);
  if (named !== undefined) return named;
  const chosen = preferred(fitting);
  const [only] = chosen;
  if (only === undefined) return { reason: 'SnapshotClassMissing', message: `No VolumeSnapshotClass is there for driver ${driver} of PersistentVolumeClaim ${claim.name}. Create one.` };
  if (chosen.length === 1) return only;
  const which = chosen.some(({ isDefault }) => isDefault) ? 'more than one is the default' : 'none is the default';
  return {
    reason: 'SnapshotClassAmbiguous',
    message: `Driver ${driver} has several VolumeSnapshotClasses (${displayList(chosen.map(({ name }) => name).sort())}) and ${which}. Name one in spec.snapshotClassName of the BackupPolicy.`,
  };
}

/** Without an unmistakable class each is snapshotted by itself, and the condition says so. */
function groupClass(wish: Wish, claims: readonly ClaimFact[], storage: StorageFacts): string | undefined {
  const [first] = claims;
  if (wish.groupSnapshot === 'Never' || claims.length < 2 || claims.some(({ driver }) => driver !== first?.driver)) return undefined;
  const chosen = preferred(storage.groupClasses.filter(({ driver }) => driver === first?.driver));
  return chosen.length === 1 ? chosen[0]?.name : undefined;
}

/** The defaults, or all where none is. */
function preferred(classes: readonly SnapshotClassFact[]): readonly SnapshotClassFact[] {
  const defaults = classes.filter(({ isDefault }) => isDefault);
  return defaults.length > 0 ? defaults : classes;
}

function cannotClone(claim: ClaimFact): Failure | undefined {
  if (claim.driver === undefined) return { reason: 'VolumeNotCSI', message: `The volume of PersistentVolumeClaim ${claim.name} is of no CSI driver, so it cannot be cloned.` };
  if (!claim.storageClassName) {
    return { reason: 'StorageClassMissing', message: `PersistentVolumeClaim ${claim.name} has no StorageClass that a clone could be made with. Use copyMethod Snapshot or Direct.` };
  }
  return undefined;
}

function isSinglePod({ accessModes }: ClaimFact): boolean {
  return accessModes.length > 0 && accessModes.every((mode) => mode === 'ReadWriteOncePod');
}

function singlePod(claim: ClaimFact, because: string): Failure {
  return {
    reason: 'VolumeSinglePod',
    message: `PersistentVolumeClaim ${claim.name} is ReadWriteOncePod: no second pod can mount it beside the workload, and it cannot be read otherwise. ${because} Let its driver take snapshots, or use ReadWriteOnce.`,
  };
}
