/** What decisions about snapshots and clones look at. */

/** A VolumeSnapshotClass. */
export interface SnapshotClassFact {
  readonly name: string;
  readonly driver: string;
  readonly isDefault: boolean;
}

/** What the cluster can do with volumes. */
export interface StorageFacts {
  /** Undefined: the cluster has no snapshot API. */
  readonly snapshotClasses: readonly SnapshotClassFact[] | undefined;
  /** VolumeGroupSnapshotClasses. */
  readonly groupClasses: readonly SnapshotClassFact[];
  /** Names of StorageClasses whose driver clones, as somebody said on them. */
  readonly cloningClasses: ReadonlySet<string>;
  /** Names of StorageClasses that make a volume only for a pod that waits for it. */
  readonly waitingClasses: ReadonlySet<string>;
  /** Where movers run that need nothing of the customer's namespace. */
  readonly moverNamespace: { readonly name: string; readonly exists: boolean };
}

/** A VolumeSnapshot under a name of ours. */
export interface SnapshotFact {
  readonly name: string;
  readonly namespace: string;
  /** UID of the Backup that its labels name. */
  readonly backupUid: string | undefined;
  readonly sourceClaim: string | undefined;
  readonly contentName: string | undefined;
  /** Milliseconds since the epoch: when the driver says that it was cut; undefined while it is not. */
  readonly cutAt: number | undefined;
  readonly ready: boolean;
  readonly restoreSize: string | undefined;
  /** What goes wrong now. */
  readonly error: string | undefined;
  readonly deleting: boolean;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
}

/** A VolumeSnapshotContent of a snapshot under a name of ours. */
export interface ContentFact {
  readonly name: string;
  readonly driver: string;
  readonly handle: string | undefined;
  readonly className: string | undefined;
  readonly volumeMode: string | undefined;
  /** Names of the Secrets that the driver needs, by annotation. */
  readonly annotations: Readonly<Record<string, string>>;
  readonly deletionPolicy: string;
  readonly deleting: boolean;
  /** Whether somebody told the sidecar that its VolumeSnapshot is going. */
  readonly released: boolean;
  /** Whether it is part of a group snapshot. */
  readonly inGroup: boolean;
  readonly snapshot: { readonly namespace: string; readonly name: string };
  readonly error: string | undefined;
}

/** A VolumeGroupSnapshot under a name of ours. */
export type GroupFact = Pick<SnapshotFact, 'name' | 'namespace' | 'backupUid' | 'cutAt' | 'ready' | 'error' | 'deleting' | 'createdAt'>;

/** A VolumeGroupSnapshotContent of such a one. */
export interface GroupContentFact {
  readonly name: string;
  readonly handle: string | undefined;
  readonly deletionPolicy: string;
  readonly deleting: boolean;
  readonly group: { readonly namespace: string; readonly name: string };
}

/** A claim that was made from a snapshot or as a clone. */
export interface CopiedClaimFact {
  readonly name: string;
  readonly namespace: string;
  readonly phase: string;
  readonly volumeName: string | undefined;
  readonly deleting: boolean;
  /** The node that its volume is made for, where somebody chose one. */
  readonly selectedNode: string | undefined;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
}

/** All that is there of the copy of one volume. */
export interface VolumeCopyFact {
  /** Whether the live claim has the label by which the group finds it. */
  readonly labelled: boolean;
  /** Of the live volume, in the customer's namespace, and the content that is bound to it. */
  readonly snapshot: SnapshotFact | undefined;
  readonly content: ContentFact | undefined;
  /** The same snapshot once more in the movers' namespace. */
  readonly boundSnapshot: SnapshotFact | undefined;
  readonly boundContent: ContentFact | undefined;
  readonly claim: CopiedClaimFact | undefined;
  /** Why its volume is not made, as the provisioner's event says. */
  readonly trouble: string | undefined;
}

export interface CopyFacts {
  readonly storage: StorageFacts;
  /** Of all volumes at one moment. */
  readonly group: GroupFact | undefined;
  /** In the order of `status.copies`. */
  readonly volumes: readonly VolumeCopyFact[];
}

export const NO_COPY: VolumeCopyFact = {
  labelled: false,
  snapshot: undefined,
  content: undefined,
  boundSnapshot: undefined,
  boundContent: undefined,
  claim: undefined,
  trouble: undefined,
};
