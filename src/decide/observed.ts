/**
 * What decisions look at: narrow projections of Kubernetes objects, gathered by the controllers. Nothing here knows a client, and
 * a field that no decision reads is not here.
 */

/** A PersistentVolumeClaim of the namespace. */
export interface ClaimFact {
  readonly name: string;
  readonly uid: string;
  readonly phase: string;
  readonly volumeMode: 'Filesystem' | 'Block';
  readonly accessModes: readonly string[];
  readonly deleting: boolean;
  /** What it has, or, not bound yet, what it asks for: a quantity such as `20Gi`. */
  readonly size?: string | undefined;
  /** Empty where it was bound by hand. */
  readonly storageClassName?: string | undefined;
  /** UID of the Restore that made it. */
  readonly restoreUid?: string | undefined;
  /** Of the CSI volume that it is bound to; undefined for one that is none. */
  readonly driver?: string | undefined;
  /** False while the volume that it is bound to is not known yet. */
  readonly isVolumeSeen?: boolean;
}

/** Any pod of the namespace that is not ended, and what it mounts. */
export interface VolumeUserFact {
  readonly name: string;
  readonly node: string | undefined;
  readonly running: boolean;
  readonly claims: readonly string[];
  /** UID of the Job of ours that it belongs to; undefined for a customer's pod. */
  readonly moverOf: string | undefined;
  /** Its node does not answer, so it will not end by itself. */
  readonly nodeLost?: boolean;
}

export interface OwnerFact {
  readonly kind: string;
  readonly uid: string;
}

/** A Job that carries one of our reserved names. */
export interface JobFact {
  readonly name: string;
  readonly uid: string;
  readonly owners: readonly OwnerFact[];
  readonly annotations: Readonly<Record<string, string>>;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  /** A queueing system (Kueue) keeps it from starting. */
  readonly suspended: boolean;
  /** Milliseconds since the epoch at which such a system let it start, if one did. */
  readonly resumedAt: number | undefined;
  readonly deleting: boolean;
  /** `Complete` or `Failed` once the Job controller says so, with its reason and message. */
  readonly ended: { readonly as: 'Complete' | 'Failed'; readonly reason: string; readonly message: string } | undefined;
}

export interface TerminationFact {
  readonly exitCode: number;
  /** The kubelet's word, e.g. `Completed`, `Error`, `OOMKilled`, `StartError`, `ContainerCannotRun`. */
  readonly reason: string;
  /** What the mover wrote to its termination log. */
  readonly message: string;
}

/** A pod of one of our Jobs. */
export interface MoverPodFact {
  readonly name: string;
  readonly jobName: string;
  readonly phase: string;
  /** Status reason, e.g. `Evicted`, `NodeLost`, `Preempting`. */
  readonly reason: string;
  readonly message: string;
  readonly node: string | undefined;
  readonly deleting: boolean;
  readonly running: boolean;
  /** Which one of an Indexed Job it is, from 0. */
  readonly shard?: number | undefined;
  /** Milliseconds since the epoch since which its container runs. */
  readonly runningSince?: number | undefined;
  /** Why the scheduler finds no node for it. */
  readonly unschedulable: string | undefined;
  /** Why its container does not start, e.g. `ImagePullBackOff`, `CreateContainerConfigError`. */
  readonly waiting: { readonly reason: string; readonly message: string } | undefined;
  readonly terminated: TerminationFact | undefined;
  /** Why something else ends it, e.g. `DeletionByTaintManager`. */
  readonly disruption: { readonly reason: string; readonly message: string } | undefined;
  /** Milliseconds since the epoch since which its node does not answer. */
  readonly nodeLostSince?: number | undefined;
  /** Milliseconds since the epoch by which it should be gone, for it was deleted. */
  readonly goneBy?: number | undefined;
}

/** A Warning event about a Job of ours or its pod. */
export interface WarningFact {
  /** Name of the Job or pod. */
  readonly about: string;
  /** `FailedCreate`, `FailedMount`, … */
  readonly reason: string;
  readonly message: string;
  /** Milliseconds since the epoch. */
  readonly seenAt: number;
}

/** What the bucket holds of an attempt's result. It is looked for only when the pod cannot tell. */
export type StoredResultFact =
  | { readonly state: 'notLooked' }
  | { readonly state: 'absent' }
  | { readonly state: 'unreachable'; readonly message: string }
  | { readonly state: 'found'; readonly value: unknown };

/** All that can be seen of one attempt. */
export interface AttemptFacts {
  readonly job: JobFact | undefined;
  readonly pods: readonly MoverPodFact[];
  readonly warnings: readonly WarningFact[];
  readonly stored: StoredResultFact;
  /** The last lines that the mover printed, best effort. */
  readonly spoken: SpokenFacts;
  /** What its log holds of late; read only when nothing was heard for long. */
  readonly lately?: LatelyFact | undefined;
}

export interface SpokenFacts {
  readonly progress: SpokenProgress | undefined;
  readonly trouble: SpokenTrouble | undefined;
  /** Milliseconds since the epoch at which it last said that it gets on, by the clock of its node. */
  readonly aliveAt?: number | undefined;
}

/** Whether a mover said within its patience that it gets on, as its node tells now. `unknown`: the node does not tell. */
export type LatelyFact = 'alive' | 'silent' | 'unknown';

export interface SpokenProgress {
  readonly filesDone: number;
  readonly filesTotal?: number | undefined;
  readonly bytesDone: number;
  readonly bytesTotal?: number | undefined;
  readonly bytesAdded: number;
  /** Milliseconds since the epoch, when it was said. */
  readonly at: number;
}

export interface SpokenTrouble {
  readonly code: string;
  readonly message: string;
}

export const NO_ATTEMPT: AttemptFacts = {
  job: undefined,
  pods: [],
  warnings: [],
  stored: { state: 'notLooked' },
  spoken: { progress: undefined, trouble: undefined },
};
