import { LABEL_BACKUP_UID, LABEL_COMPONENT, LABEL_NAMESPACE } from '../../api/index.ts';
import { decideSweep, isEnding, type FamilyFacts, type SweepStep } from '../../decide/index.ts';
import { ResourceClient, isKubeError, resourceTypes, type KubeConnection } from '../../kube/index.ts';
import type { Cache } from '../caches.ts';
import type { MoverContext } from '../mover/index.ts';
import type { RawSecret } from '../raw-objects.ts';
import { contentFact, copiedClaimFact, copiedVolumeFact, snapshotFact } from './copy-facts.ts';

export interface SweepContext {
  readonly connection: KubeConnection;
  readonly caches: Pick<MoverContext['caches'], 'backups' | 'jobs' | 'claims' | 'volumes' | 'snapshots' | 'snapshotContents'> & {
    readonly moverSecrets: Cache<RawSecret>;
  };
  readonly moverNamespace: string;
}

/** The sidecar deletes a driver's snapshot only once this says that the VolumeSnapshot is going. */
const BEING_DELETED = 'snapshot.storage.kubernetes.io/volumesnapshot-being-deleted';
const COPY = 'copy';
const MOVER = 'mover-backup';

/** Removes what is left of one backup's copies, as far as it can go now; what follows wakes it again. */
export async function sweepFamily(context: SweepContext, family: string, signal: AbortSignal): Promise<void> {
  for (const step of decideSweep(observe(context, family))) {
    try {
      await apply(context, step, signal);
    } catch (error) {
      if (!isKubeError(error, 'NotFound')) throw error;
    }
  }
}

function observe({ caches, moverNamespace }: SweepContext, family: string): FamilyFacts {
  const backups = caches.backups.byIndex('family', family);
  const jobs = caches.jobs.byIndex('family', family).filter(({ metadata }) => metadata.labels?.[LABEL_COMPONENT] === MOVER);
  const secrets = caches.moverSecrets.byIndex('family', family).filter(({ metadata }) => metadata.labels?.[LABEL_COMPONENT] === MOVER);
  const claims = caches.claims.byIndex('family', family).filter(({ metadata }) => metadata.labels?.[LABEL_COMPONENT] === COPY);
  const snapshots = caches.snapshots.byIndex('family', family).filter(({ metadata }) => metadata.labels?.[LABEL_COMPONENT] === COPY);
  const wanted = backups.some((backup) => !isEnding(backup));
  // Movers of an ended backup are removed by its own controller; only one that is gone leaves them to us.
  const orphaned = ![...jobs, ...secrets].some(({ metadata: { labels } }) =>
    caches.backups.byIndex('namespace', labels?.[LABEL_NAMESPACE] ?? '').some(({ metadata: { uid } }) => uid === labels?.[LABEL_BACKUP_UID]),
  );
  return {
    wanted,
    orphaned,
    moverNamespace,
    jobs: jobs.map(({ metadata }) => ({ name: metadata.name, namespace: metadata.namespace ?? '', deleting: metadata.deletionTimestamp !== undefined })),
    secrets: secrets.map(({ metadata }) => metadata.name),
    claims: claims.map(copiedClaimFact),
    volumes: caches.volumes.byIndex('family', family).map(copiedVolumeFact),
    snapshots: snapshots.map(snapshotFact),
    contents: caches.snapshotContents.byIndex('family', family).map(contentFact),
  };
}

async function apply({ connection }: SweepContext, step: SweepStep, signal: AbortSignal): Promise<void> {
  const of = (type: keyof typeof resourceTypes) => new ResourceClient(connection, resourceTypes[type]);
  switch (step.do) {
    case 'deleteJob':
      return of('jobs').delete(step.name, step.namespace, { propagationPolicy: 'Foreground', signal });
    case 'deleteSecret':
      return of('secrets').delete(step.name, step.namespace, { signal });
    case 'deleteClaim':
      return of('persistentVolumeClaims').delete(step.name, step.namespace, { signal });
    case 'deleteSnapshot':
      return of('volumeSnapshots').delete(step.name, step.namespace, { signal });
    case 'deleteContent':
      return of('volumeSnapshotContents').delete(step.name, undefined, { signal });
    case 'reclaimVolume':
      await of('persistentVolumes').patch(step.name, undefined, { spec: { persistentVolumeReclaimPolicy: 'Delete' } }, { signal });
      return;
    case 'claimSnapshot': {
      const metadata = step.orphaned ? { annotations: { [BEING_DELETED]: 'yes' } } : {};
      await of('volumeSnapshotContents').patch(step.name, undefined, { metadata, spec: { deletionPolicy: 'Delete' } }, { signal });
      return;
    }
    case 'releaseContent':
      await of('volumeSnapshotContents').patch(step.name, undefined, { metadata: { annotations: { [BEING_DELETED]: 'yes' } } }, { signal });
      return;
  }
}
