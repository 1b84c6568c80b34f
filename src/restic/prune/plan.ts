/** What to keep, remove and rewrite: pure, from numbers alone. */

/** One pack. Bytes are of encrypted blobs; `size` is the file's. */
export interface PackFacts {
  readonly id: string;
  readonly size: number;
  /** Blobs that are used and lie in no other pack. */
  readonly onlyHere: number;
  readonly onlyHereBytes: number;
  readonly unusedBytes: number;
}

/** A used blob that lies in several packs. */
export interface DuplicateFacts {
  readonly bytes: number;
  /** Indexes into the packs. */
  readonly packs: readonly number[];
}

export interface PruneFacts {
  /** Every pack that an index names and that is there. */
  readonly packs: readonly PackFacts[];
  readonly duplicates: readonly DuplicateFacts[];
  /** Packs that are there and in no index. */
  readonly unreferenced: readonly { readonly id: string; readonly size: number }[];
}

export interface PackDecision {
  /** Indexes into the facts' packs. */
  readonly keep: readonly number[];
  /** Nothing in them is used, or all of it lies in packs that are kept. */
  readonly remove: readonly number[];
  /** Their used blobs are copied into new packs first. */
  readonly repack: readonly number[];
  readonly bytesKept: number;
  readonly bytesFreed: number;
  /** Waste that stays in kept packs. */
  readonly bytesUnused: number;
}

/**
 * Packs without a blob of their own go whole. A blob that lies in several packs needs one of them: one that stays anyway, else the one that
 * holds most such blobs, so that as few as possible stay for duplicates alone.
 * @param repackAbove - share of waste above which a pack is rewritten; `undefined`: none is
 */
export function decidePacks(facts: PruneFacts, repackAbove?: number): PackDecision {
  const heldBytes = facts.packs.map((pack) => pack.onlyHereBytes);
  const isKept = facts.packs.map((pack) => pack.onlyHere > 0);
  const open: DuplicateFacts[] = [];
  for (const duplicate of facts.duplicates) {
    const home = duplicate.packs.find((pack) => isKept[pack] === true);
    if (home === undefined) open.push(duplicate);
    else heldBytes[home] = (heldBytes[home] ?? 0) + duplicate.bytes;
  }
  const weight = new Map<number, number>();
  for (const { packs, bytes } of open) for (const pack of packs) weight.set(pack, (weight.get(pack) ?? 0) + bytes);
  for (const { packs, bytes } of open) {
    const home = packs.find((pack) => isKept[pack] === true) ?? heaviest(packs, weight);
    isKept[home] = true;
    heldBytes[home] = (heldBytes[home] ?? 0) + bytes;
  }
  return sum(facts, isKept, heldBytes, repackAbove);
}

function heaviest(packs: readonly number[], weight: ReadonlyMap<number, number>): number {
  return packs.reduce((best, pack) => ((weight.get(pack) ?? 0) > (weight.get(best) ?? 0) ? pack : best));
}

function sum(facts: PruneFacts, isKept: readonly boolean[], heldBytes: readonly number[], repackAbove: number | undefined): PackDecision {
  const keep: number[] = [];
  const remove: number[] = [];
  const repack: number[] = [];
  let [bytesKept, bytesFreed, bytesUnused] = [0, 0, 0];
  for (const [index, pack] of facts.packs.entries()) {
    const waste = Math.max(0, pack.size - (heldBytes[index] ?? 0));
    if (isKept[index] !== true) {
      remove.push(index);
      bytesFreed += pack.size;
    } else if (repackAbove !== undefined && waste > repackAbove * pack.size && pack.unusedBytes > 0) {
      repack.push(index);
      bytesKept += heldBytes[index] ?? 0;
      bytesFreed += waste;
    } else {
      keep.push(index);
      bytesKept += pack.size;
      bytesUnused += pack.unusedBytes;
    }
  }
  for (const { size } of facts.unreferenced) bytesFreed += size;
  return { keep, remove, repack, bytesKept, bytesFreed, bytesUnused };
}
