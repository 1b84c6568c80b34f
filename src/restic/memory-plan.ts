/** How much memory the work may take: sizes that follow from the limit that the kernel sets (a container's, mostly). */

const MIB = 1024 * 1024;

/** Below it, sizes are chosen for memory instead of for a store that is far away. */
const plenty = 448 * MIB;
/** Below it, they are as small as they may be. */
const little = 320 * MIB;
/** Node itself, the program, and what has a fixed size. */
const base = 160 * MIB;
/** Four saturate what one process should take. */
const mostWorkers = 4;
const shareOfTable = 5 / 16;
/** A worker's heap and what zstd keeps for it; on top come its two packs. */
const worker = 22 * MIB;

export interface MemoryPlan {
  /** Packs are closed once they hold this much, bytes. Smaller ones mean more objects in the store. */
  readonly packTarget: number;
  /** Threads that read, compress and encrypt, at most. */
  readonly workers: number;
  /** Packs of trees that a walk keeps at hand, bytes. */
  readonly keptTrees: number;
  /** Whole packs in memory at once, for what reads them one after the other. */
  readonly packsAtOnce: number;
  /** Packs whose headers are in memory at once: up to some megabytes each. */
  readonly headersAtOnce: number;
  /** Bytes in flight when objects are copied. */
  readonly copied: number;
}

/**
 * Pure.
 * @param limit - bytes that this process may take, page cache apart; `process.constrainedMemory()` gives a huge number where there is no limit, and 0
 *   where the kernel does not tell
 */
export function memoryPlanOf(limit: number): MemoryPlan {
  const isScarce = limit > 0 && limit < plenty;
  return {
    packTarget: packTargetWithin(limit),
    workers: workersWithin(limit, 0),
    keptTrees: (isScarce ? 16 : 48) * MIB,
    packsAtOnce: isScarce ? 2 : 4,
    headersAtOnce: isScarce ? 4 : 16,
    copied: (isScarce ? 48 : 160) * MIB,
  };
}

/**
 * How many threads there is room for beside the table of blobs. Pure.
 * @param limit - as for `memoryPlanOf`
 * @param table - bytes
 */
export function workersWithin(limit: number, table: number): number {
  if (limit <= 0) return mostWorkers;
  return Math.max(1, Math.min(mostWorkers, Math.floor((limit - base - table) / (worker + 2 * packTargetWithin(limit)))));
}

/**
 * What the table of blobs may take of the memory, bytes; beyond that it is paged from a file. A million blobs fit into 256 MiB that way. Pure.
 * @param memory - bytes that this process may take
 */
export function tableWithin(memory: number): number {
  return memory * shareOfTable;
}

function packTargetWithin(limit: number): number {
  if (limit <= 0 || limit >= plenty) return 16 * MIB;
  // restic's own least.
  return (limit < little ? 4 : 8) * MIB;
}

export function memoryPlan(): MemoryPlan {
  return memoryPlanOf(process.constrainedMemory());
}

/**
 * Between two parts of the work, where memory is scarce: has the collector free what the first left, some of which it knows nothing of (memory that
 * threads share). It can where the program was started with `--expose-gc`, as its launcher does.
 */
export function collectWithin(limit: number): void {
  if (limit > 0 && limit < plenty) globalThis.gc?.();
}
