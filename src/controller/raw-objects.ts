import type { OwnerReference } from '../api/index.ts';
import type { KubeObject } from '../kube/index.ts';

/** Kubernetes' own objects, as far as we read them. Everything may be missing: the API server leaves out what is empty. */
export interface RawMeta {
  readonly name: string;
  readonly namespace?: string | undefined;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly creationTimestamp?: string | undefined;
  readonly deletionTimestamp?: string | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
  readonly ownerReferences?: readonly OwnerReference[] | undefined;
}

export interface RawNamespace extends KubeObject {
  readonly metadata: RawMeta;
  readonly status?: { readonly phase?: string };
}

export interface RawClaim extends KubeObject {
  readonly metadata: RawMeta;
  readonly spec?: {
    readonly volumeMode?: string;
    readonly accessModes?: readonly string[];
    readonly volumeName?: string;
    readonly storageClassName?: string | undefined;
    readonly resources?: { readonly requests?: { readonly storage?: string | undefined } };
  };
  readonly status?: { readonly phase?: string; readonly capacity?: { readonly storage?: string | undefined } };
}

export interface RawVolume extends KubeObject {
  readonly metadata: RawMeta;
  readonly spec?: {
    readonly csi?: { readonly driver: string };
    readonly claimRef?: { readonly namespace?: string; readonly name?: string };
    readonly persistentVolumeReclaimPolicy?: string;
  };
}

export interface RawStorageClass extends KubeObject {
  readonly metadata: RawMeta;
  readonly volumeBindingMode?: string;
}

export interface RawSnapshotClass extends KubeObject {
  readonly metadata: RawMeta;
  readonly driver?: string;
}

/** A VolumeSnapshot. */
export interface RawSnapshot extends KubeObject {
  readonly metadata: RawMeta;
  readonly spec?: { readonly source?: { readonly persistentVolumeClaimName?: string; readonly volumeSnapshotContentName?: string } };
  readonly status?: {
    readonly boundVolumeSnapshotContentName?: string;
    readonly creationTime?: string;
    readonly readyToUse?: boolean;
    readonly restoreSize?: string;
    readonly error?: { readonly message?: string };
  };
}

/** A VolumeGroupSnapshot. */
export interface RawGroupSnapshot extends KubeObject {
  readonly metadata: RawMeta;
  readonly status?: { readonly creationTime?: string; readonly readyToUse?: boolean; readonly error?: { readonly message?: string } };
}

/** A VolumeGroupSnapshotContent. */
export interface RawGroupContent extends KubeObject {
  readonly metadata: RawMeta;
  readonly spec?: { readonly deletionPolicy?: string; readonly volumeGroupSnapshotRef?: { readonly namespace?: string; readonly name?: string } };
  readonly status?: { readonly volumeGroupSnapshotHandle?: string };
}

/** A VolumeSnapshotContent. */
export interface RawSnapshotContent extends KubeObject {
  readonly metadata: RawMeta;
  readonly spec?: {
    readonly driver?: string;
    readonly deletionPolicy?: string;
    readonly volumeSnapshotClassName?: string;
    readonly sourceVolumeMode?: string;
    readonly volumeSnapshotRef?: { readonly namespace?: string; readonly name?: string };
  };
  readonly status?: { readonly snapshotHandle?: string; readonly error?: { readonly message?: string } };
}

export interface RawCondition {
  readonly type: string;
  readonly status: string;
  readonly reason?: string;
  readonly message?: string;
  readonly lastTransitionTime?: string;
}

export interface RawNode extends KubeObject {
  readonly metadata: RawMeta;
  readonly status?: { readonly conditions?: readonly RawCondition[] };
}

export interface RawJob extends KubeObject {
  readonly metadata: RawMeta;
  readonly status?: { readonly conditions?: readonly RawCondition[] };
}

export interface RawContainerStatus {
  readonly name: string;
  readonly state?: {
    readonly waiting?: { readonly reason?: string; readonly message?: string };
    readonly running?: { readonly startedAt?: string | null };
    readonly terminated?: { readonly exitCode: number; readonly reason?: string; readonly message?: string };
  };
}

export interface RawPod extends KubeObject {
  readonly metadata: RawMeta;
  readonly spec?: {
    readonly nodeName?: string;
    readonly containers?: readonly { readonly name: string }[];
    readonly volumes?: readonly { readonly name: string; readonly persistentVolumeClaim?: { readonly claimName: string } }[];
  };
  readonly status?: {
    readonly phase?: string;
    readonly reason?: string;
    readonly message?: string;
    readonly conditions?: readonly RawCondition[];
    readonly containerStatuses?: readonly RawContainerStatus[];
  };
}

/** core/v1, which the kubelet and the Job controller write. */
export interface RawEvent extends KubeObject {
  readonly metadata: RawMeta;
  readonly involvedObject?: { readonly kind?: string; readonly name?: string; readonly namespace?: string; readonly uid?: string };
  readonly reason?: string;
  readonly message?: string;
  readonly type?: string;
  readonly lastTimestamp?: string | null;
  readonly eventTime?: string | null;
}

export interface RawSecret extends KubeObject {
  readonly metadata: RawMeta;
  /** base64 */
  readonly data?: Readonly<Record<string, string>>;
}
