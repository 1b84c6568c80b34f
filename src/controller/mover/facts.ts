import { LABEL_MANAGED_BY, LABEL_RESTORE_UID, MANAGED_BY } from '../../api/index.ts';
import type { ClaimFact, ExecPodFact, JobFact, MoverPodFact, VolumeUserFact, WarningFact } from '../../decide/index.ts';
import { jobOfPod, ownersOf } from '../caches.ts';
import type { RawClaim, RawEvent, RawJob, RawMeta, RawNode, RawPod, RawVolume } from '../raw-objects.ts';

/** The container that moves; others (a service mesh's sidecar) do not count. */
const MOVER_CONTAINER = 'mover';

/** @param volume - the one that it is bound to */
export function claimFact({ metadata, spec, status }: RawClaim, volume: RawVolume | undefined): ClaimFact {
  return {
    name: metadata.name,
    uid: metadata.uid,
    phase: status?.phase ?? '',
    volumeMode: spec?.volumeMode === 'Block' ? 'Block' : 'Filesystem',
    accessModes: spec?.accessModes ?? [],
    deleting: metadata.deletionTimestamp !== undefined,
    size: status?.capacity?.storage ?? spec?.resources?.requests?.storage,
    storageClassName: spec?.storageClassName,
    restoreUid: metadata.labels?.[LABEL_RESTORE_UID],
    driver: volume?.spec?.csi?.driver,
    isVolumeSeen: volume !== undefined || !spec?.volumeName,
  };
}

export function jobFact({ metadata, status }: RawJob): JobFact {
  const suspension = status?.conditions?.find(({ type }) => type === 'Suspended');
  const resumedAt = suspension?.status === 'False' ? Date.parse(suspension.lastTransitionTime ?? '') : NaN;
  const end = status?.conditions?.find(({ type, status: holds }) => holds === 'True' && (type === 'Complete' || type === 'Failed'));
  return {
    name: metadata.name,
    uid: metadata.uid,
    owners: ownersOf(metadata).map(({ kind, uid }) => ({ kind, uid })),
    annotations: metadata.annotations ?? {},
    createdAt: madeAt(metadata),
    suspended: suspension?.status === 'True',
    resumedAt: Number.isNaN(resumedAt) ? undefined : resumedAt,
    deleting: metadata.deletionTimestamp !== undefined,
    ended:
      end === undefined ? undefined : { as: end.type === 'Complete' ? 'Complete' : 'Failed', reason: end.reason ?? '', message: end.message ?? '' },
  };
}

/** Milliseconds since the epoch since which nothing was heard of a node. One that says itself that it is not ready is heard of. */
export function nodeLostSince(node: RawNode | undefined): number | undefined {
  const ready = node?.status?.conditions?.find(({ type }) => type === 'Ready');
  return ready?.status === 'Unknown' ? Date.parse(ready.lastTransitionTime ?? '') || 0 : undefined;
}

/** @param node - the one that it runs on */
export function moverPodFact({ metadata, spec, status }: RawPod, node?: RawNode): MoverPodFact {
  const state = status?.containerStatuses?.find(({ name }) => name === MOVER_CONTAINER)?.state;
  const condition = (type: string) => status?.conditions?.find((each) => each.type === type);
  const scheduled = condition('PodScheduled');
  const shard = metadata.labels?.['batch.kubernetes.io/job-completion-index'];
  const disruption = condition('DisruptionTarget');
  const terminated = state?.terminated;
  return {
    name: metadata.name,
    jobName: jobOfPod(metadata),
    ...(shard === undefined ? {} : { shard: Number(shard) }),
    phase: status?.phase ?? '',
    reason: status?.reason ?? '',
    message: status?.message ?? '',
    node: spec?.nodeName === '' ? undefined : spec?.nodeName,
    deleting: metadata.deletionTimestamp !== undefined,
    running: state?.running !== undefined,
    runningSince: state?.running?.startedAt ? Date.parse(state.running.startedAt) : undefined,
    unschedulable: scheduled?.status === 'False' ? (scheduled.message ?? scheduled.reason ?? '') : undefined,
    waiting: state?.waiting === undefined ? undefined : { reason: state.waiting.reason ?? '', message: state.waiting.message ?? '' },
    terminated:
      terminated === undefined ? undefined : { exitCode: terminated.exitCode, reason: terminated.reason ?? '', message: terminated.message ?? '' },
    disruption: disruption?.status === 'True' ? { reason: disruption.reason ?? '', message: disruption.message ?? '' } : undefined,
    nodeLostSince: nodeLostSince(node),
    // The time of the deletion and the pod's own time to end are in it already.
    goneBy: metadata.deletionTimestamp === undefined ? undefined : Date.parse(metadata.deletionTimestamp),
  };
}

export function warningFact({ involvedObject, reason, message, lastTimestamp, eventTime, metadata }: RawEvent): WarningFact {
  return {
    about: involvedObject?.name ?? '',
    reason: reason ?? '',
    message: message ?? '',
    seenAt: Date.parse(lastTimestamp ?? eventTime ?? metadata.creationTimestamp ?? '') || 0,
  };
}

/** `undefined` for a pod that has ended: it holds no volume any more. */
export function volumeUserFact({ metadata, spec, status }: RawPod, node?: RawNode): VolumeUserFact | undefined {
  if (hasEnded(status?.phase)) return undefined;
  return { name: metadata.name, node: spec?.nodeName, running: status?.phase === 'Running', claims: claimsOf(spec), moverOf: moverOf(metadata), nodeLost: nodeLostSince(node) !== undefined };
}

/** `undefined` for a pod that has ended, and for one of ours. */
export function execPodFact({ metadata, spec, status }: RawPod): ExecPodFact | undefined {
  if (hasEnded(status?.phase) || moverOf(metadata) !== undefined) return undefined;
  const isReady = status?.conditions?.some(({ type, status: holds }) => type === 'Ready' && holds === 'True') === true;
  return {
    name: metadata.name,
    labels: metadata.labels ?? {},
    claims: claimsOf(spec),
    ready: isReady && metadata.deletionTimestamp === undefined,
    containers: (spec?.containers ?? []).map(({ name }) => name),
    defaultContainer: metadata.annotations?.['kubectl.kubernetes.io/default-container'],
  };
}

function claimsOf(spec: RawPod['spec'] | undefined): readonly string[] {
  return (spec?.volumes ?? []).flatMap(({ persistentVolumeClaim }) => persistentVolumeClaim?.claimName ?? []);
}

/** UID of the Job of ours that a pod belongs to. */
function moverOf(metadata: RawMeta): string | undefined {
  if (metadata.labels?.[LABEL_MANAGED_BY] !== MANAGED_BY) return undefined;
  return metadata.ownerReferences?.find(({ kind }) => kind === 'Job')?.uid;
}

export function hasEnded(phase: string | undefined): boolean {
  return phase === 'Succeeded' || phase === 'Failed';
}

/** When it was made, milliseconds since the epoch. */
export function madeAt({ creationTimestamp }: Pick<RawMeta, 'creationTimestamp'>): number {
  return Date.parse(creationTimestamp ?? '') || 0;
}
