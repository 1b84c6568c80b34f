/**
 * What is left of the copies of a backup that is gone or has ended, and what goes next. Everything is found by its name, whoever
 * made it, so nothing depends on what was remembered. The order is that of use: who uses a thing goes before it, and a snapshot is
 * deleted at its driver exactly once, through the content that it was made with.
 */
import type { ContentFact, CopiedClaimFact, GroupContentFact, GroupFact, SnapshotFact } from './copy-facts.ts';

/** A PersistentVolume whose claim has a name of ours. */
export interface CopiedVolumeFact {
  readonly name: string;
  readonly reclaimPolicy: string;
  readonly deleting: boolean;
  readonly claim: { readonly namespace: string; readonly name: string };
}

export interface FamilyFacts {
  /** Whether a Backup that has not ended needs them. */
  readonly wanted: boolean;
  /** Whether the Backup is gone: then nobody else removes its mover. */
  readonly orphaned: boolean;
  readonly moverNamespace: string;
  /** Movers of the family, wherever they are. */
  readonly jobs: readonly { readonly name: string; readonly namespace: string; readonly deleting: boolean }[];
  /** Names of Secrets in the movers' namespace. */
  readonly secrets: readonly string[];
  readonly claims: readonly CopiedClaimFact[];
  readonly volumes: readonly CopiedVolumeFact[];
  readonly snapshots: readonly SnapshotFact[];
  readonly contents: readonly ContentFact[];
  readonly groups: readonly GroupFact[];
  readonly groupContents: readonly GroupContentFact[];
  /** The customer's own claims that have the label of the group. */
  readonly labelled: readonly { readonly namespace: string; readonly name: string; readonly label: string }[];
}

export type SweepStep =
  | { readonly do: 'deleteJob' | 'deleteClaim' | 'deleteSnapshot'; readonly namespace: string; readonly name: string }
  | { readonly do: 'deleteSecret'; readonly namespace: string; readonly name: string }
  | { readonly do: 'deleteContent' | 'deleteGroupContent'; readonly name: string }
  | { readonly do: 'deleteGroup'; readonly namespace: string; readonly name: string }
  | { readonly do: 'unlabelClaim'; readonly namespace: string; readonly name: string; readonly label: string }
  /** A volume that would be retained is deleted with its claim from now on. */
  | { readonly do: 'reclaimVolume'; readonly name: string }
  /** The driver's snapshot goes with the content from now on. `orphaned`: nobody but us will tell the sidecar so. */
  | { readonly do: 'claimSnapshot' | 'claimGroup'; readonly name: string; readonly orphaned: boolean }
  /** As before, for a content that shares the driver's snapshot with another one: it stays. */
  | { readonly do: 'releaseContent'; readonly name: string };

/** The steps that can be made now; what they lead to is seen and swept next. Nothing when all is gone. */
export function decideSweep(facts: FamilyFacts): readonly SweepStep[] {
  if (facts.wanted) return [];
  return [...facts.labelled.map((claim) => ({ do: 'unlabelClaim', ...claim }) as const), ...inOrder(facts)];
}

function inOrder(facts: FamilyFacts): readonly SweepStep[] {
  if (facts.jobs.length > 0 || (facts.orphaned && facts.secrets.length > 0)) return facts.orphaned ? movers(facts) : [];
  const volumes = sweepVolumes(facts);
  if (volumes !== undefined) return volumes;
  return sweepRebound(facts) ?? sweepGroups(facts) ?? sweepOriginals(facts);
}

function movers({ jobs, secrets, moverNamespace }: FamilyFacts): readonly SweepStep[] {
  return [
    ...secrets.map((name) => ({ do: 'deleteSecret', namespace: moverNamespace, name }) as const),
    ...jobs.filter(({ deleting }) => !deleting).map(({ namespace, name }) => ({ do: 'deleteJob', namespace, name }) as const),
  ];
}

/** @returns undefined once neither claims nor volumes are left */
function sweepVolumes({ claims, volumes }: FamilyFacts): readonly SweepStep[] | undefined {
  if (claims.length === 0 && volumes.length === 0) return undefined;
  const retained = volumes.filter(({ reclaimPolicy, deleting }) => reclaimPolicy !== 'Delete' && !deleting);
  // A claim that is bound to a volume not seen yet may be bound to one that is retained.
  const isSeen = ({ volumeName, phase }: CopiedClaimFact) => volumeName === undefined || phase === 'Lost' || volumes.some(({ name }) => name === volumeName);
  return [
    ...retained.map(({ name }) => ({ do: 'reclaimVolume', name }) as const),
    ...claims.filter((claim) => !claim.deleting && isSeen(claim)).map(({ namespace, name }) => ({ do: 'deleteClaim', namespace, name }) as const),
  ];
}

/** @returns undefined once nothing of it is left */
function sweepRebound({ snapshots, contents, moverNamespace }: FamilyFacts): readonly SweepStep[] | undefined {
  const ours = snapshots.filter(({ namespace }) => namespace === moverNamespace);
  const held = contents.filter(({ snapshot }) => snapshot.namespace === moverNamespace);
  if (ours.length === 0 && held.length === 0) return undefined;
  return [
    ...ours.filter(({ deleting }) => !deleting).map(({ namespace, name }) => ({ do: 'deleteSnapshot', namespace, name }) as const),
    ...held.flatMap((content): readonly SweepStep[] => {
      if (ours.some(({ name }) => name === content.snapshot.name) || content.deleting) return [];
      const gone: SweepStep = { do: 'deleteContent', name: content.name };
      // The snapshot controller does so while it lets go of the VolumeSnapshot; one that never had any, or is seen before, is told by us.
      return content.released ? [gone] : [{ do: 'releaseContent', name: content.name }, gone];
    }),
  ];
}

/**
 * A group is deleted as a whole, and its parts with it. Parts whose group somebody deleted are found through the group's content, so
 * that goes last.
 * @returns undefined once neither group nor its content are left
 */
function sweepGroups({ groups, groupContents, contents, snapshots }: FamilyFacts): readonly SweepStep[] | undefined {
  if (groups.length === 0 && groupContents.length === 0) return undefined;
  const members = contents.filter(({ inGroup, deleting }) => inGroup && !deleting);
  const isAlone = ({ snapshot }: ContentFact) => !snapshots.some(({ namespace, name }) => namespace === snapshot.namespace && name === snapshot.name);
  const held = groupContents.filter(({ deleting, deletionPolicy }) => !deleting || deletionPolicy !== 'Delete');
  const orphans = held.filter(({ group }) => !groups.some(({ namespace, name }) => namespace === group.namespace && name === group.name));
  const isOrphan = (content: GroupContentFact) => orphans.includes(content);
  return [
    ...members.filter((member) => member.deletionPolicy !== 'Delete' && !isAlone(member)).map(({ name }) => ({ do: 'claimSnapshot', name, orphaned: false }) as const),
    ...held.filter((content) => content.deletionPolicy !== 'Delete' || isOrphan(content)).map((content) => ({ do: 'claimGroup', name: content.name, orphaned: isOrphan(content) }) as const),
    ...groups.filter(({ deleting }) => !deleting).map(({ namespace, name }) => ({ do: 'deleteGroup', namespace, name }) as const),
    ...(orphans.length > 0 && groups.length === 0 ? sweepOrphans(orphans, members, isAlone) : []),
  ];
}

function sweepOrphans(orphans: readonly GroupContentFact[], members: readonly ContentFact[], isAlone: (content: ContentFact) => boolean): readonly SweepStep[] {
  if (members.length === 0) return orphans.filter(({ deleting }) => !deleting).map(({ name }) => ({ do: 'deleteGroupContent', name }) as const);
  // One that still has its VolumeSnapshot goes with that, which goes with its group.
  return members.filter(isAlone).flatMap(({ name }): readonly SweepStep[] => [
    { do: 'claimSnapshot', name, orphaned: true },
    { do: 'deleteContent', name },
  ]);
}

function sweepOriginals({ snapshots, contents, moverNamespace }: FamilyFacts): readonly SweepStep[] {
  const originals = contents.filter(({ snapshot }) => snapshot.namespace !== moverNamespace);
  const snapshotOf = ({ snapshot }: ContentFact) => snapshots.find(({ namespace, name }) => namespace === snapshot.namespace && name === snapshot.name);
  return [
    ...originals.flatMap((content): readonly SweepStep[] => {
      const isOrphan = snapshotOf(content) === undefined;
      const isDoomed = content.deleting && content.deletionPolicy === 'Delete';
      // One that somebody deletes by hand waits for its VolumeSnapshot, and would still retain what the driver has.
      const claim: readonly SweepStep[] = (isOrphan && !isDoomed) || content.deletionPolicy !== 'Delete' ? [{ do: 'claimSnapshot', name: content.name, orphaned: isOrphan }] : [];
      return isOrphan && !content.deleting ? [...claim, { do: 'deleteContent', name: content.name }] : claim;
    }),
    ...snapshots
      .filter(({ namespace, deleting }) => namespace !== moverNamespace && !deleting)
      .map(({ namespace, name }) => ({ do: 'deleteSnapshot', namespace, name }) as const),
  ];
}
