// What a cluster's administrator applies for the driver: itself, and classes of volumes and snapshots.
export const DRIVER = 'csi.tenant-backup.test';

/** The names of the classes as `.cluster/env` tells them to tests. */
const classes = {
  /** Volumes are made when a pod needs them. */
  STORAGE_CLASS: 'csi',
  /** Volumes are made at once. */
  STORAGE_CLASS_IMMEDIATE: 'csi-immediate',
  VOLUME_SNAPSHOT_CLASS: 'csi',
  VOLUME_GROUP_SNAPSHOT_CLASS: 'csi',
} as const;

/** The lines of `.cluster/env` about our driver. @param directory - where it keeps what it holds */
export function ownClasses(directory: string): Record<string, string> {
  return { CSI_DRIVER: DRIVER, CSI_DIRECTORY: directory, ...classes };
}

/** The same for somebody's cluster, whose classes its owner names in the environment. */
export function namedClasses(environment: NodeJS.ProcessEnv): Record<string, string> {
  const names = ['CSI_DRIVER', ...Object.keys(classes)];
  return { CSI_DIRECTORY: '', ...Object.fromEntries(names.map((name) => [name, environment[name] ?? ''])) };
}

export function driverObjects(): object[] {
  const storageClass = (name: string, volumeBindingMode: string): object => ({
    apiVersion: 'storage.k8s.io/v1',
    kind: 'StorageClass',
    metadata: { name },
    provisioner: DRIVER,
    reclaimPolicy: 'Delete',
    volumeBindingMode,
  });
  return [
    {
      apiVersion: 'storage.k8s.io/v1',
      kind: 'CSIDriver',
      metadata: { name: DRIVER },
      spec: { attachRequired: false, podInfoOnMount: false, fsGroupPolicy: 'File', volumeLifecycleModes: ['Persistent'] },
    },
    storageClass(classes.STORAGE_CLASS, 'WaitForFirstConsumer'),
    storageClass(classes.STORAGE_CLASS_IMMEDIATE, 'Immediate'),
    snapshotClassObject(classes.VOLUME_SNAPSHOT_CLASS),
    {
      apiVersion: 'groupsnapshot.storage.k8s.io/v1',
      kind: 'VolumeGroupSnapshotClass',
      metadata: { name: classes.VOLUME_GROUP_SNAPSHOT_CLASS },
      driver: DRIVER,
      deletionPolicy: 'Delete',
    },
  ];
}

export interface SnapshotBehaviour {
  /** Seconds for which a new snapshot is not ready. */
  readonly readySeconds?: string;
  /** No snapshot is taken, for this reason. */
  readonly refuse?: string;
}

/** A class of snapshots. Tests make their own, for a storage that is slow or refuses. */
export function snapshotClassObject(name: string, parameters: SnapshotBehaviour = {}): object {
  return { apiVersion: 'snapshot.storage.k8s.io/v1', kind: 'VolumeSnapshotClass', metadata: { name }, driver: DRIVER, deletionPolicy: 'Delete', parameters };
}
