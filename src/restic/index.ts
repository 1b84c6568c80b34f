/**
 * The engine: repositories in the restic format on any object store. It knows nothing of Kubernetes, tenants or KMS.
 * `contract.ts` says what each function does; the folders below are its parts and nobody else's business.
 */
export type * from './contract.ts';
export { EngineError } from './errors.ts';
export { backup } from './backup/index.ts';
export { initRepository, openRepository } from './repository/index.ts';
export { check } from './check/index.ts';
export { exportIndex } from './export-index.ts';
export { ls } from './ls.ts';
export { forget, planPrune, prune, reachOf } from './prune/index.ts';
export { restore } from './restore/index.ts';
export { affectedBy, compareFiles, literalPattern, sampleFiles } from './verify/index.ts';
export { findParent, listSnapshots, manifestMac, resolveSnapshot } from './engine.ts';
