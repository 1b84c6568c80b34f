/** What the controllers of Backup and Restore share: how a mover is started, watched and cleared away, and who may have one. */
export { recordIfPossible, recordUnlessFailed } from './audit.ts';
export { fromCaches, liveJobs, observeAttempt, type AttemptPlace } from './attempt-observer.ts';
export { observeClaimWarnings, observeClaims, observeExecPods, observeGround, observeUsers, tenantOf } from './ground-observer.ts';
export { MoverChildren, type MoverName } from './mover-children.ts';
export { AdmissionLock, type ExecCommand, type MoverCaches, type MoverContext } from './mover-context.ts';
export { onLocationChange, watchMovers } from './mover-sources.ts';
export { MoverQueues, locationOf } from './queues.ts';
export { isRefused, refusalOf, type Refusal } from './refusal.ts';
export { secretData } from './secret-data.ts';
export { LogListener, type Listener, type MoverLogs } from './spoken-lines.ts';
export { newWarnings, transitionEvent } from './transition-event.ts';
export { QueueWaker } from './queue-waker.ts';
