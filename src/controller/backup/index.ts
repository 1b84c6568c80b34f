/** The controller of Backup: the only writer of its status, of movers that back up and of those that forget. */
export { BackupReconciler } from './backup-reconciler.ts';
export { watchForBackups } from './backup-sources.ts';
