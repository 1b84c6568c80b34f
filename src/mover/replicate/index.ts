/**
 * The copy in the second data center: what a pod does that brings a shard of the tenants up to date there, extends locks, notices that the source is not itself,
 * and collects what nothing needs after its locks. No key, no engine: ciphertext, names and sizes. What is decided (`losses`, `planCollection`, `ledger`) is
 * pure; what is done stands beside it.
 */
export { replicationExit, runReplication, type ReplicationEnvironment } from './run-replication.ts';
export { collectLocation, replicateLocation, type LocationOutcome, type LocationTally } from './replicate-location.ts';
export { ServiceCopier } from './service-copier.ts';
