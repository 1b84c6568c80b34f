import { MOST_VOLUMES } from '../api/index.ts';
import type { ClaimFact, VolumeUserFact } from './observed.ts';
import { displayList } from './display.ts';
import type { Failure } from './failure-reason.ts';

export type Volumes = { readonly ok: true; readonly claims: readonly string[] } | ({ readonly ok: false } & Failure);

/** The claims that a policy means, and whether a mover can mount every one of them. */
export function wantedVolumes(named: readonly string[] | undefined, claims: readonly ClaimFact[]): Volumes {
  const names =
    named ??
    claims
      .filter((claim) => !claim.deleting)
      .map((claim) => claim.name)
      .sort();
  if (names.length === 0) {
    return refuse(
      'NoVolumes',
      'The namespace has no PersistentVolumeClaim, so there is nothing to back up. Create one, or name it in spec.volumes of the BackupPolicy.',
    );
  }
  if (names.length > MOST_VOLUMES) {
    return refuse(
      'TooManyVolumes',
      `The namespace has ${names.length} PersistentVolumeClaims, and one backup holds at most ${MOST_VOLUMES}. Make several BackupPolicies that name theirs in spec.volumes.`,
    );
  }
  return present(names, claims);
}

/** Whether each of `names` exists, is bound and can be mounted beside a workload. */
export function mountable(names: readonly string[], claims: readonly ClaimFact[]): Volumes {
  const found = present(names, claims);
  if (!found.ok) return found;
  const single = claims.find(({ name, accessModes }) => names.includes(name) && accessModes.length > 0 && accessModes.every((mode) => mode === 'ReadWriteOncePod'));
  if (single === undefined) return found;
  return refuse('VolumeSinglePod', `PersistentVolumeClaim ${single.name} is ReadWriteOncePod: no second pod can mount it beside the workload. Use ReadWriteOnce.`);
}

/** Whether each of `names` exists, is bound and holds a file system. */
function present(names: readonly string[], claims: readonly ClaimFact[]): Volumes {
  const byName = new Map(claims.map((claim) => [claim.name, claim]));
  const missing = names.filter((name) => !byName.has(name));
  if (missing.length > 0)
    return refuse(
      'VolumeMissing',
      `PersistentVolumeClaim ${displayList(missing)} does not exist. Create it, or take it out of spec.volumes of the BackupPolicy.`,
    );
  for (const name of names) {
    const claim = byName.get(name);
    const failure = claim === undefined ? undefined : hindrance(claim);
    if (failure !== undefined) return { ok: false, ...failure };
  }
  return { ok: true, claims: [...names] };
}

function hindrance(claim: ClaimFact): Failure | undefined {
  if (claim.deleting) return { reason: 'VolumeDeleting', message: `PersistentVolumeClaim ${claim.name} is being deleted.` };
  if (claim.phase !== 'Bound') {
    return {
      reason: 'VolumeUnbound',
      message: `PersistentVolumeClaim ${claim.name} is ${claim.phase || 'Pending'}, not Bound. \`kubectl describe pvc ${claim.name}\` says what it waits for.`,
    };
  }
  if (claim.isVolumeSeen === false) {
    return { reason: 'VolumeUnbound', message: `PersistentVolumeClaim ${claim.name} is bound to a PersistentVolume that is not seen yet. \`kubectl describe pvc ${claim.name}\` names it.` };
  }
  if (claim.volumeMode === 'Block') {
    return {
      reason: 'VolumeIsBlock',
      message: `PersistentVolumeClaim ${claim.name} is a raw block device; only file systems are backed up. Take it out of spec.volumes of the BackupPolicy.`,
    };
  }
  return undefined;
}

function refuse(reason: string, message: string): Volumes {
  return { ok: false, reason, message };
}

export type Placement = { readonly ok: true; readonly node: string | undefined } | ({ readonly ok: false } & Failure);

/**
 * The node where running pods mount the claims. Volumes that every node can mount at once bind to none, and so does a mover of ours that was lost with its
 * node: where its volume can be attached is for Kubernetes to say.
 */
export function placement(names: readonly string[], claims: readonly ClaimFact[], all: readonly VolumeUserFact[]): Placement {
  const tied = new Set(claims.filter((claim) => names.includes(claim.name) && !claim.accessModes.some(isShared)).map((claim) => claim.name));
  const nodes = new Map<string, string>();
  const users = all.filter((user) => user.nodeLost !== true);
  const stranded = all.find((user) => user.nodeLost === true && user.moverOf === undefined && user.claims.some((name) => tied.has(name) && !users.some(({ claims: theirs }) => theirs.includes(name))));
  if (stranded !== undefined)
    return {
      ok: false,
      reason: 'VolumeOnLostNode',
      message: `Volume ${stranded.claims.find((name) => tied.has(name)) ?? ''} is in use by pod ${stranded.name} on node ${stranded.node ?? ''}, which does not answer. It is tried again when the pod runs elsewhere or the node is back; if the node is down for good, delete it, or taint it with node.kubernetes.io/out-of-service=nodeshutdown:NoExecute.`,
    };
  for (const user of users) {
    if (user.node === undefined) continue;
    const claim = user.claims.find((name) => tied.has(name));
    if (claim !== undefined) nodes.set(user.node, claim);
  }
  if (nodes.size > 1) {
    const where = [...nodes].map(([node, claim]) => `${claim} on ${node}`).join(', ');
    return {
      ok: false,
      reason: 'VolumesOnDifferentNodes',
      message: `The volumes are in use on different nodes (${where}), and one mover cannot reach them all. Make a BackupPolicy for each.`,
    };
  }
  return { ok: true, node: [...nodes.keys()][0] };
}

function isShared(mode: string): boolean {
  return mode === 'ReadWriteMany' || mode === 'ReadOnlyMany';
}

/** Pods that still use one of the claims and are none of ours, with the claim. */
export function strangersOn(names: readonly string[], users: readonly VolumeUserFact[]): readonly { readonly pod: string; readonly claim: string }[] {
  return users
    .filter((user) => user.moverOf === undefined)
    .flatMap((user) => {
      const claim = user.claims.find((name) => names.includes(name));
      return claim === undefined ? [] : [{ pod: user.name, claim }];
    });
}
