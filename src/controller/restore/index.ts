/** The controller of Restore: the only writer of its status, of movers that restore, and of the scale of a customer's workload meanwhile. */
export { RestoreReconciler } from './restore-reconciler.ts';
export { watchForRestores } from './restore-sources.ts';
