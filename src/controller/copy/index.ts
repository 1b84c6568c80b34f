/** Snapshots and clones of volumes: what is there of them, how they are made, and how all that is left of them is swept away. */
export { observeCopies, observeStorage } from './copy-observer.ts';
export { makeCopy } from './copy-children.ts';
export { copySweeper, type SweeperDependencies } from './copy-sweeper.ts';
export { sweepFamily, type SweepContext } from './sweep-family.ts';
