/**
 * Pure decisions: facts and a time go in, a plan or a verdict comes out. No client, no clock, no environment; the controllers
 * observe before and apply after.
 */
export { ANNOTATION_ABANDON, coveredBy, forgetCandidate, holdsForgetPlace, type ForgetFacts } from './forget.ts';
export { backupDeleted, backupEnded, keyRotated, moverStarted, objectOf, restoreEnded, type AuditRecord } from './audit-records.ts';
export { attemptState, type AttemptIdentity, type AttemptState } from './attempt.ts';
export { decideBackup, likelyNode, takesPlace, waitingBackup } from './backup.ts';
export { decideCopyRefused, hasCopies } from './backup-snapshotting.ts';
export * from './copy-facts.ts';
export { ANNOTATION_SELECTED_NODE, type CopyObject } from './copy-objects.ts';
export { decideSweep, type CopiedVolumeFact, type FamilyFacts, type SweepStep } from './copy-sweep.ts';
export { decideForgetRefused, wantsForgetting } from './backup-ending.ts';
export type { BackupFacts, BackupStep, MoverStart, Plan } from './backup-facts.ts';
export { FIRST_FORGET_ATTEMPT, isEnding, isTerminal, mayHaveSnapshot, safetyFor } from './backup-status.ts';
export { decideStartRefused, identityOf } from './backup-transfer.ts';
export { attemptName, copyName, earlierAttemptNames, familyOf, familyOfLabel, familyOfUid, groupLabel, groupName, labelValue, safetyBackupName } from './child-names.ts';
export { findCondition, mergeConditions } from './conditions.ts';
export type { ExecPlace, ExecPodFact } from './exec-target.ts';
export type { StreamBridge } from './streams.ts';
export type { HookFacts, HookRunFact, HookStart } from './hooks.ts';
export { DEFAULT_CONFIRM_FROM, heldDeletions } from './deletion-breaker.ts';
export { displayTime } from './display.ts';
export { decideErasure, erasureAfter, erasureRefused, isErasureOrdered, type ErasureFacts, type ErasurePlan, type ErasureProgress, type ErasureStatus } from './erasure.ts';
export { isLost } from './lost-node.ts';
export * from './mover-job.ts';
export * from './observed.ts';
export { kmsOrders, kmsSecrets, PRIMARY_KMS } from './orders.ts';
export type { GroundFacts } from './preconditions.ts';
export { MoverLine, type MoverQueue, type MoverTask, type RunningMover, type WaitingMover } from './queue.ts';
export { NOT_REPLICATED, decideReplication } from './replication.ts';
export { REPLICA_CREDENTIALS, SOURCE_CREDENTIALS, workersJob } from './replication-job.ts';
export { decideWorkersRefused, replicationAttempt } from './replication-run.ts';
export type { ReplicationFacts, ReplicationPlan, ReplicationStep, ShardResults, WorkersStart } from './replication-facts.ts';
export type { ReplicaStanding } from './policy-replication.ts';
export { replicaView, type ReplicaView } from './replica-location.ts';
export { replicationSetup, type ReplicationSetup } from './replication-setup.ts';
export { ANNOTATION_CREDENTIALS_RENEWED } from './renewal.ts';
export type { NewClaim } from './new-volume.ts';
export { decideRestore } from './restore.ts';
export type { RestoreFacts, RestoreStep, SafetyBackupStart, WorkloadFact, WorkloadTarget } from './restore-facts.ts';
export { restoredBackup } from './restore-source.ts';
export { decideVerification, verificationTakesPlace, waitingVerification } from './verification.ts';
export { decideVerificationRefused, verificationIdentity, verificationJob } from './verification-run.ts';
export type { VerificationFacts, VerificationPlan, VerificationStep } from './verification-facts.ts';
export { isReadOnly } from './tenant-record.ts';
export { hasEnded, isActive, type RestorePlan } from './restore-status.ts';
export { waitingRestore } from './restore-waiting.ts';
export { decideRestoreRefused, restoreIdentity } from './restore-transfer.ts';
