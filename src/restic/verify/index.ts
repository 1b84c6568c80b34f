/**
 * Proving that a snapshot can be restored: which files to try, whether what a restore left on disk is what the trees say, and, where something is
 * damaged, whose files that are. Nothing here trusts what the restore said of itself.
 */
export { affectedBy } from './affected.ts';
export { compareFiles } from './compare.ts';
export { literalPattern, sampleFiles } from './sample.ts';
