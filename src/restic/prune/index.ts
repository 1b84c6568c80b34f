/**
 * Removing: snapshots at once, their data in two phases and never before everything that replaces it is stored. `plan.ts` and `marks.ts`
 * decide, from numbers alone; `prune.ts` observes, asks them and carries out.
 */
export { forget } from './forget.ts';
export { loadMarks } from './marks.ts';
export { planPrune, prune } from './prune.ts';
export { reachOf } from './reach-of.ts';
export { findUsedBlobs, UsedBlobs } from './used-blobs.ts';
