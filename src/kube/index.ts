/**
 * A thin client of the Kubernetes API: typed requests, caches fed by watches, work queue, status patch, events, lease, pod logs.
 * Only the auth of `@kubernetes/client-node` is used, and only for kubeconfig files: its generated models alone take 80 MiB.
 * `contract.ts` is what controllers see; nothing here knows what a backup is.
 */
export * from './contract.ts';
export * from './object.ts';
export * from './own-types.ts';
export * from './builtin-types.ts';
export { KubeError, isKubeError, type KubeErrorCode } from './errors.ts';
export { cacheSource, ownSource } from './source.ts';
