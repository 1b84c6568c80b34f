/**
 * What a Job runs: reads its orders from a mounted file, backs up, restores, forgets or verifies with the engine, and leaves its result in the
 * bucket and as the termination message. It has no Kubernetes credentials and knows nothing of resources but their names.
 */
export { runMover, type MoverEnvironment } from './run-mover.ts';
export { collectLocation, replicateLocation, runReplication, ServiceCopier, type LocationOutcome, type LocationTally, type ReplicationEnvironment } from './replicate/index.ts';
export { readingFirstVersions } from './first-versions.ts';
export { failureOf } from './failure.ts';
export { MoverError, type MoverErrorCode } from './errors.ts';
