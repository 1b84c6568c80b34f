import type { Backup, BackupPolicy, ConditionInput, VerificationStatus } from '../api/index.ts';
import type { MoverStart } from './backup-facts.ts';
import type { AttemptFacts } from './observed.ts';
import type { GroundFacts } from './preconditions.ts';
import type { MoverQueue } from './queue.ts';

/** All that a decision about the verification of a policy's backups is made of. */
export interface VerificationFacts {
  readonly policy: BackupPolicy;
  /** Every backup of the policy. */
  readonly backups: readonly Backup[];
  /** The other policies whose backups lie in the same repository. */
  readonly siblings: readonly BackupPolicy[];
  readonly ground: GroundFacts;
  /** Of `status.verification.attempt`. */
  readonly attempt: AttemptFacts;
  readonly liveJobs: ReadonlySet<string>;
  /** Looked at only while it waits in it. */
  readonly queue: MoverQueue | undefined;
  readonly defaultImage: string;
}

export type VerificationStep =
  | { readonly do: 'startMover'; readonly start: MoverStart }
  | { readonly do: 'clearMover'; readonly name: string }
  | { readonly do: 'renewCredentials'; readonly name: string };

export interface VerificationPlan {
  readonly status: VerificationStatus | undefined;
  readonly lastVerified: string | undefined;
  readonly condition: ConditionInput;
  /** Done before the status is written … */
  readonly before?: readonly VerificationStep[];
  /** … and after. */
  readonly after?: readonly VerificationStep[];
  readonly wakeAt?: number | undefined;
  readonly again?: boolean;
}
