import type { BlobLocation, Id } from '../format/index.ts';

/** A gap up to this is read along with what is needed: cheaper than another request. */
const largestGap = 128 * 1024;
/** One request, and one task of a thread: large enough for a store far away, small enough that several fit into memory and threads end together. */
const largestRead = 2 * 1024 * 1024;

/** A blob that is needed, and what for. */
export interface NeededBlob<Use> {
  readonly id: Id;
  readonly location: BlobLocation;
  readonly uses: Use[];
}

/** One range of a pack. */
export interface PackRead<Use> {
  readonly packId: Id;
  readonly offset: number;
  readonly length: number;
  /** In order of their offsets. */
  readonly blobs: readonly NeededBlob<Use>[];
}

/**
 * Which ranges to read: every needed blob once, neighbours together, packs in the order in which they are first needed
 * (the order of the tree, so that files are finished soon after they are begun).
 */
export function planReads<Use>(needed: Iterable<NeededBlob<Use>>): PackRead<Use>[] {
  const byPack = new Map<Id, NeededBlob<Use>[]>();
  for (const blob of needed) {
    const others = byPack.get(blob.location.packId);
    if (others === undefined) byPack.set(blob.location.packId, [blob]);
    else others.push(blob);
  }
  const reads: PackRead<Use>[] = [];
  for (const [packId, blobs] of byPack) {
    blobs.sort((one, other) => one.location.offset - other.location.offset);
    for (const run of runsOf(blobs)) {
      const offset = run[0]?.location.offset ?? 0;
      reads.push({ packId, offset, length: endOf(run) - offset, blobs: run });
    }
  }
  return reads;
}

function* runsOf<Use>(sorted: readonly NeededBlob<Use>[]): Generator<NeededBlob<Use>[]> {
  let run: NeededBlob<Use>[] = [];
  for (const blob of sorted) {
    const { offset, length } = blob.location;
    const start = run[0]?.location.offset ?? offset;
    if (run.length > 0 && (offset - endOf(run) > largestGap || offset + length - start > largestRead)) {
      yield run;
      run = [];
    }
    run.push(blob);
  }
  if (run.length > 0) yield run;
}

function endOf<Use>(blobs: readonly NeededBlob<Use>[]): number {
  const last = blobs.at(-1)?.location;
  return last === undefined ? 0 : last.offset + last.length;
}
