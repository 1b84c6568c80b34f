import type { Backup, BackupStatus, MoverOrders } from '../api/index.ts';
import type { AttemptFacts, ClaimFact, VolumeUserFact } from './observed.ts';
import type { ForgetFacts } from './forget.ts';
import type { HookFacts, HookStart } from './hooks.ts';
import type { GroundFacts } from './preconditions.ts';
import type { MoverJobInput } from './mover-job.ts';
import type { MoverQueue } from './queue.ts';
import type { StreamBridge } from './streams.ts';
import type { CopyFacts } from './copy-facts.ts';
import type { CopyObject } from './copy-objects.ts';

/** All that a decision about a Backup is made of. */
export interface BackupFacts {
  readonly backup: Backup;
  readonly ground: GroundFacts;
  readonly claims: readonly ClaimFact[];
  /** Pods of the namespace and what they mount. Looked at only when a mover is about to start. */
  readonly users: readonly VolumeUserFact[];
  /** What the cluster can do with volumes, and what is there of the copies of this backup's. */
  readonly copies: CopyFacts;
  /** Of `status.attempt`. */
  readonly attempt: AttemptFacts;
  /** Names of Jobs of which a pod may still run. */
  readonly liveJobs: ReadonlySet<string>;
  /** Whether the second data center has its snapshot whole, as far as is known. */
  readonly isReplicated?: boolean;
  readonly hooks: HookFacts;
  readonly forget: ForgetFacts;
  /** The queue of the policy's location; undefined while that is unknown. */
  readonly queue: MoverQueue | undefined;
  /** Other backups of the same policy. */
  readonly siblings: readonly Backup[];
  readonly defaultImage: string;
}

/** A mover that is to be started: its Secret, then its Job, both named after the attempt. */
export interface MoverStart {
  readonly orders: MoverOrders;
  readonly job: MoverJobInput;
  /** Of a backup with streams. */
  readonly bridge?: StreamBridge | undefined;
}

/** One effect. A plan is a list of them, in an order in which a crash between any two loses nothing. */
export type BackupStep =
  | { readonly do: 'addFinalizer' }
  | { readonly do: 'removeFinalizer' }
  | { readonly do: 'writeStatus'; readonly status: BackupStatus }
  /** Makes one object of a copy. One of that name that is there already is left as it is. */
  | { readonly do: 'makeCopy'; readonly object: CopyObject }
  | { readonly do: 'startMover'; readonly start: MoverStart }
  /** Begins a command in pods and does not wait for it; its end is a fact of a later look. */
  | { readonly do: 'runHook'; readonly start: HookStart }
  /** Deletes the Job in the foreground: it is gone only when its pods are. */
  | { readonly do: 'stopMover'; readonly name: string }
  /** Deletes Secret and Job of a mover that has ended. */
  | { readonly do: 'clearMover'; readonly name: string }
  | { readonly do: 'renewCredentials'; readonly name: string }
  | { readonly do: 'deleteSelf'; readonly because: string };

export interface Plan<Step> {
  readonly steps: readonly Step[];
  /** Milliseconds since the epoch: look again then, even if nothing was seen to change. */
  readonly wakeAt?: number;
  /** Whether to read the customer's pods and decide again; then nothing else of the plan counts. */
  readonly needsPods?: boolean;
  /** Whether to observe and decide once more right away. */
  readonly again?: boolean;
}
