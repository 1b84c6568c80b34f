import {
  LABEL_BACKUP,
  LABEL_BACKUP_UID,
  LABEL_COMPONENT,
  LABEL_MANAGED_BY,
  LABEL_NAMESPACE,
  LABEL_POLICY,
  LABEL_RESTORE,
  LABEL_RESTORE_UID,
  LABEL_TENANT,
  MANAGED_BY,
  ORDERS_DIRECTORY,
  SCRATCH_DIRECTORY,
  GROUP,
  type BackupLocationSpec,
  type MoverOrders,
  type OwnerReference,
  type ReplicationOrders,
} from '../api/index.ts';
import { labelValue } from './child-names.ts';
import { bridgeContainer, bridgeVolumes, streamsMount } from './bridge-container.ts';
import { mountPath } from './orders.ts';

/** When the S3 session in the Job's Secret ends; renewed there while the Job runs. RFC 3339. */
export const ANNOTATION_CREDENTIALS_EXPIRE = `${GROUP}/credentials-expire`;
/** How long the Job's mover may get nowhere: a duration. A Job of an earlier release has none, and is let be. */
export const ANNOTATION_STALLED_AFTER = `${GROUP}/stalled-after`;
/** UIDs of the Backups that a forget Job covers, joined by commas. */
export const ANNOTATION_FORGETS = `${GROUP}/forgets`;
export const LABEL_LOCATION = `${GROUP}/location`;
/** What a mover does, as the component label of its Job and pod: `mover-backup`, `mover-restore`, `mover-forget`, `mover-verify`, `mover-replicate`, `mover-collect`. */
export type MoverComponent = `mover-${MoverTaskName}`;
type MoverTaskName = MoverOrders['task'] | ReplicationOrders['task'];

const CONTAINER = 'mover';
const MOVER_UID = 0;
/** Reading every file of a customer needs one capability; writing them back with owner, mode and nodes needs these. */
const CAPABILITIES = {
  backup: ['DAC_READ_SEARCH'],
  restore: ['CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'FSETID', 'MKNOD', 'SETFCAP'],
  forget: [],
  // Its trial is a restore, though into scratch space of its own.
  verify: ['CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'FSETID', 'MKNOD', 'SETFCAP'],
  replicate: [],
  collect: [],
} as const satisfies Record<MoverTaskName, readonly string[]>;

export interface MoverJobInput {
  readonly name: string;
  readonly namespace: string;
  readonly task: MoverTaskName;
  readonly owners: readonly OwnerReference[];
  /** `undefined` for one that works for all of them. */
  readonly tenant: string | undefined;
  readonly policy: string | undefined;
  readonly backup: { readonly name: string; readonly uid: string } | undefined;
  readonly restore: { readonly name: string; readonly uid: string } | undefined;
  readonly locationName: string;
  readonly location: BackupLocationSpec;
  readonly defaultImage: string;
  readonly claims: readonly string[];
  /** PersistentVolumeClaims that are mounted in place of claims, by the names of these. */
  readonly standIns?: Readonly<Record<string, string>>;
  /** Size of the scratch space, as a quantity; none where it is absent. */
  readonly scratch?: string;
  /** The customer's namespace, where `namespace` may be another one. */
  readonly home?: string;
  /** Where a running pod mounts the claims; undefined lets the volumes' own node affinity decide. */
  readonly node: string | undefined;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  /** For the Job alone, not its pod. */
  readonly jobAnnotations: Readonly<Record<string, string>>;
  /** Whether a bridge beside it reads streams; then there is a ServiceAccount of the Job's name. */
  readonly hasBridge?: boolean;
}

/** Labels of a mover's Job, its pod and its Secret. Those of a policy cannot override ours. */
export function moverLabels(
  input: Pick<MoverJobInput, 'task' | 'tenant' | 'policy' | 'backup' | 'restore' | 'locationName' | 'labels' | 'home'>,
): Record<string, string> {
  return {
    ...input.labels,
    [LABEL_MANAGED_BY]: MANAGED_BY,
    [LABEL_COMPONENT]: `mover-${input.task}` satisfies MoverComponent,
    ...(input.tenant === undefined ? {} : { [LABEL_TENANT]: labelValue(input.tenant) }),
    [LABEL_LOCATION]: labelValue(input.locationName),
    ...(input.home === undefined ? {} : { [LABEL_NAMESPACE]: labelValue(input.home) }),
    ...(input.policy === undefined ? {} : { [LABEL_POLICY]: labelValue(input.policy) }),
    ...(input.backup === undefined ? {} : { [LABEL_BACKUP]: labelValue(input.backup.name), [LABEL_BACKUP_UID]: input.backup.uid }),
    ...(input.restore === undefined ? {} : { [LABEL_RESTORE]: labelValue(input.restore.name), [LABEL_RESTORE_UID]: input.restore.uid }),
  };
}

/** The Job of one attempt, as it is sent to the API server. Its Secret has the same name. */
export function moverJob(input: MoverJobInput) {
  const labels = moverLabels(input);
  const { mover } = input.location;
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: {
      name: input.name,
      namespace: input.namespace,
      labels,
      annotations: { ...input.annotations, ...input.jobAnnotations },
      ownerReferences: [...input.owners],
    },
    spec: {
      // The operator makes the next attempt, under another name and with fresh credentials.
      backoffLimit: 0,
      template: {
        metadata: { labels, annotations: { ...input.annotations } },
        spec: {
          restartPolicy: 'Never',
          automountServiceAccountToken: false,
          enableServiceLinks: false,
          terminationGracePeriodSeconds: 30,
          securityContext: { runAsUser: MOVER_UID, runAsNonRoot: false, seccompProfile: { type: 'RuntimeDefault' } },
          ...(mover.nodeSelector === undefined ? {} : { nodeSelector: mover.nodeSelector }),
          ...(mover.tolerations === undefined ? {} : { tolerations: mover.tolerations }),
          ...(mover.imagePullSecrets === undefined ? {} : { imagePullSecrets: mover.imagePullSecrets }),
          ...(mover.priorityClassName === undefined ? {} : { priorityClassName: mover.priorityClassName }),
          ...(input.node === undefined ? {} : { affinity: onNode(input.node) }),
          ...(input.hasBridge === true ? { serviceAccountName: input.name, initContainers: [bridgeContainer(input)] } : {}),
          containers: [container(input)],
          volumes: podVolumes(input),
        },
      },
    },
  };
}
export type MoverJob = ReturnType<typeof moverJob>;

function container(input: MoverJobInput) {
  const { mover } = input.location;
  const readOnly = input.task === 'backup';
  return {
    name: CONTAINER,
    image: mover.image ?? input.defaultImage,
    ...(mover.imagePullPolicy === undefined ? {} : { imagePullPolicy: mover.imagePullPolicy }),
    args: ['mover'],
    resources: mover.resources,
    terminationMessagePolicy: 'File',
    securityContext: {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'], ...(CAPABILITIES[input.task].length === 0 ? {} : { add: [...CAPABILITIES[input.task]] }) },
    },
    volumeMounts: [
      { name: 'orders', mountPath: ORDERS_DIRECTORY, readOnly: true },
      { name: 'tmp', mountPath: '/tmp' },
      ...(input.hasBridge === true ? [streamsMount] : []),
      ...(input.scratch === undefined ? [] : [{ name: 'scratch', mountPath: SCRATCH_DIRECTORY }]),
      ...input.claims.map((claim, index) => ({ name: volumeName(index), mountPath: mountPath(claim), readOnly })),
    ],
  };
}

function podVolumes(input: MoverJobInput) {
  return [
    { name: 'orders', secret: { secretName: input.name, defaultMode: 0o400 } },
    { name: 'tmp', emptyDir: {} },
    ...(input.hasBridge === true ? bridgeVolumes(input.name) : []),
    ...(input.scratch === undefined ? [] : [{ name: 'scratch', emptyDir: { sizeLimit: input.scratch } }]),
    // Read-only at the mount, not at the claim: some drivers cannot publish one volume both ways on a node.
    ...input.claims.map((claim, index) => ({ name: volumeName(index), persistentVolumeClaim: { claimName: input.standIns?.[claim] ?? claim } })),
  ];
}

/** Names of claims may be longer than those of pod volumes. */
function volumeName(index: number): string {
  return `volume-${index}`;
}

/** By the scheduler, so that resources and taints of the node still count; `nodeName` would pass them by. */
function onNode(node: string) {
  return {
    nodeAffinity: {
      requiredDuringSchedulingIgnoredDuringExecution: {
        nodeSelectorTerms: [{ matchFields: [{ key: 'metadata.name', operator: 'In', values: [node] }] }],
      },
    },
  };
}
