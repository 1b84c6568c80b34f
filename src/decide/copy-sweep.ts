/**
 * What is left of the copies of a backup that is gone or has ended, and what goes next. Everything is found by its name, whoever
 * made it, so nothing depends on what was remembered. The order is that of use: who uses a thing goes before it, and a snapshot is
 * deleted at its driver exactly once, through the content that it was made with.
 */
import type { ContentFact, CopiedClaimFact, SnapshotFact } from './copy-facts.ts';

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
}

export type SweepStep =
  | { readonly do: 'deleteJob' | 'deleteClaim' | 'deleteSnapshot'; readonly namespace: string; readonly name: string }
  | { readonly do: 'deleteSecret'; readonly namespace: string; readonly name: string }
  | { readonly do: 'deleteContent'; readonly name: string }
  /** A volume that would be retained is deleted with its claim from now on. */
  | { readonly do: 'reclaimVolume'; readonly name: string }
  /** The driver's snapshot goes with the content from now on. `orphaned`: nobody but us will tell the sidecar so. */
  | { readonly do: 'claimSnapshot'; readonly name: string; readonly orphaned: boolean }
  /** As before, for a content that shares the driver's snapshot with another one: it stays. */
  | { readonly do: 'releaseContent'; readonly name: string };

/** The steps that can be made now; what they lead to is seen and swept next. Nothing when all is gone. */
export function decideSweep(facts: FamilyFacts): readonly SweepStep[] {
  if (facts.wanted) return [];
  if (facts.jobs.length > 0 || (facts.orphaned && facts.secrets.length > 0)) return facts.orphaned ? movers(facts) : [];
  const volumes = sweepVolumes(facts);
  if (volumes !== undefined) return volumes;
  const rebound = sweepRebound(facts);
  return rebound ?? sweepOriginals(facts);
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
      return [
        { do: 'releaseContent', name: content.name },
        { do: 'deleteContent', name: content.name },
      ];
    }),
  ];
}

function sweepOriginals({ snapshots, contents, moverNamespace }: FamilyFacts): readonly SweepStep[] {
  const originals = contents.filter(({ snapshot }) => snapshot.namespace !== moverNamespace);
  const snapshotOf = ({ snapshot }: ContentFact) => snapshots.find(({ namespace, name }) => namespace === snapshot.namespace && name === snapshot.name);
  return [
    ...originals.flatMap((content): readonly SweepStep[] => {
      const isOrphan = snapshotOf(content) === undefined;
      if (content.deleting) return [];
      const claim: readonly SweepStep[] = isOrphan || content.deletionPolicy !== 'Delete' ? [{ do: 'claimSnapshot', name: content.name, orphaned: isOrphan }] : [];
      return isOrphan ? [...claim, { do: 'deleteContent', name: content.name }] : claim;
    }),
    ...snapshots
      .filter(({ namespace, deleting }) => namespace !== moverNamespace && !deleting)
      .map(({ namespace, name }) => ({ do: 'deleteSnapshot', namespace, name }) as const),
  ];
}
