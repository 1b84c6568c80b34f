import { totalmem } from 'node:os';

const MIB = 1024 * 1024;

/** From so many bytes of repository on, packs get so large (decision 20): fewer objects to list, to lock and to pay for. */
const growth: readonly (readonly [repositoryBytes: number, target: number])[] = [
  [1024 * 1024 * MIB, 64 * MIB],
  [64 * 1024 * MIB, 32 * MIB],
];
/** Of the memory that this process may take, packs under way get at most so much when they grow. */
const shareOfMemory = 1 / 4;
/** Two packs are open at a time for each thread. */
const packsOfThread = 2;
/** A backup reads its parent's trees by whole packs, and keeps some: those do not grow. */
export const mostTreePack = 16 * MIB;

export interface PackNeeds {
  /** What packs have in a small repository, bytes (`memoryPlan`). */
  readonly least: number;
  /** What the repository has in packs already. */
  readonly repositoryBytes: number;
  /** What this process may take. */
  readonly memoryBytes: number;
  readonly threads: number;
}

/** How large packs of data are to become, bytes: a chunk more may come on top. Pure. */
export function packTargetFor({ least, repositoryBytes, memoryBytes, threads }: PackNeeds): number {
  // One thread alone has as many under way: what it sends is not what it fills.
  const most = (memoryBytes * shareOfMemory) / (Math.max(2, threads) * packsOfThread);
  return growth.find(([from, target]) => repositoryBytes >= from && target <= most)?.[1] ?? least;
}

/** The cgroup's limit where there is one, else the machine's memory. */
export function memoryOfProcess(): number {
  const limit = process.constrainedMemory();
  return limit > 0 ? Math.min(limit, totalmem()) : totalmem();
}
