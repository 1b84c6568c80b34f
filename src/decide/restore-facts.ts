import type { Backup, BackupSpec, Restore, RestoreStatus } from '../api/index.ts';
import type { MoverStart } from './backup-facts.ts';
import type { NewClaim } from './new-volume.ts';
import type { AttemptFacts, ClaimFact, VolumeUserFact, WarningFact } from './observed.ts';
import type { GroundFacts } from './preconditions.ts';
import type { MoverQueue } from './queue.ts';

/** The workload that the policy names, as the API server tells now. */
export type WorkloadFact =
  /** The policy names none, or it was not looked at. */
  | { readonly state: 'none' }
  | { readonly state: 'missing' }
  | { readonly state: 'notScalable'; readonly message: string }
  | {
      readonly state: 'found';
      readonly uid: string;
      readonly replicas: number;
      readonly labels: Readonly<Record<string, string>>;
      readonly annotations: Readonly<Record<string, string>>;
      /** Names of HorizontalPodAutoscalers that target it. */
      readonly autoscalers: readonly string[];
    };

/** All that a decision about a Restore is made of. */
export interface RestoreFacts {
  readonly restore: Restore;
  /** The Backup that is restored; undefined as well while it is not chosen yet. */
  readonly source: Backup | undefined;
  /** Backups of the policy that the spec names, while one of them is to be chosen. */
  readonly candidates: readonly Backup[];
  /** Of the source's policy, or of the one that the spec names. */
  readonly ground: GroundFacts;
  /** The same as a safety backup finds it, which is stored in the first data center wherever the restore reads from. */
  readonly home: GroundFacts;
  readonly claims: readonly ClaimFact[];
  /** Warnings about new volumes that are not bound while the mover waits for them. */
  readonly claimWarnings: readonly WarningFact[];
  /** Pods of the namespace and what they mount. Looked at only while the workload goes down and when a mover is about to start. */
  readonly users: readonly VolumeUserFact[];
  readonly workload: WorkloadFact;
  readonly safety: Backup | undefined;
  readonly attempt: AttemptFacts;
  readonly liveJobs: ReadonlySet<string>;
  readonly queue: MoverQueue | undefined;
  readonly defaultImage: string;
}

/** A Backup of the state before, to be made by the operator. Nothing owns it: it outlives the Restore. */
export interface SafetyBackupStart {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly spec: Pick<BackupSpec, 'policy' | 'trigger'> & { readonly note: string; readonly requestedBy?: string };
}

export type RestoreStep =
  | { readonly do: 'addFinalizer' }
  | { readonly do: 'removeFinalizer' }
  | { readonly do: 'writeStatus'; readonly status: RestoreStatus }
  /** Sets the scale of the workload, if it is still the one with this UID. */
  | { readonly do: 'scale'; readonly workload: WorkloadTarget; readonly replicas: number }
  | { readonly do: 'createClaim'; readonly claim: NewClaim }
  | { readonly do: 'deleteClaim'; readonly name: string; readonly uid: string }
  | { readonly do: 'createSafetyBackup'; readonly backup: SafetyBackupStart }
  | { readonly do: 'cancelSafetyBackup'; readonly name: string }
  | { readonly do: 'startMover'; readonly start: MoverStart }
  | { readonly do: 'stopMover'; readonly name: string }
  | { readonly do: 'clearMover'; readonly name: string }
  | { readonly do: 'renewCredentials'; readonly name: string };

export interface WorkloadTarget {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
}
