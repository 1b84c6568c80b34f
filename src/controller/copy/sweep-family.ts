import { LABEL_BACKUP, LABEL_BACKUP_UID, LABEL_COMPONENT, LABEL_NAMESPACE } from '../../api/index.ts';
import { decideSweep, familyOfLabel, isEnding, type FamilyFacts, type SweepStep } from '../../decide/index.ts';
import { ResourceClient, isKubeError, resourceTypes, type DeleteOptions, type KubeConnection, type KubeObject } from '../../kube/index.ts';
import type { Cache } from '../caches.ts';
import type { MoverContext } from '../mover/index.ts';
import type { RawClaim, RawGroupContent, RawSecret, RawSnapshot, RawSnapshotContent, RawVolume } from '../raw-objects.ts';
import { ANNOTATION_BEING_DELETED, groupOwner } from '../slim-objects.ts';
import { contentFact, copiedClaimFact, copiedVolumeFact, groupContentFact, groupFact, snapshotFact } from './copy-facts.ts';

export interface SweepContext {
  readonly connection: KubeConnection;
  readonly caches: Pick<MoverContext['caches'], 'backups' | 'jobs' | 'claims' | 'volumes' | 'snapshots' | 'snapshotContents' | 'groups' | 'groupContents'> & {
    readonly moverSecrets: Cache<RawSecret>;
  };
  readonly moverNamespace: string;
}

const GROUP_BEING_DELETED = 'groupsnapshot.storage.kubernetes.io/volumegroupsnapshot-being-deleted';
const COPY = 'copy';
const MOVER = 'mover-backup';

/** Removes what is left of one backup's copies, as far as it can go now; what follows wakes it again. */
export async function sweepFamily(context: SweepContext, family: string, signal: AbortSignal): Promise<void> {
  const { facts, owner } = observe(context, family);
  const steps = decideSweep(facts);
  // The watch of Backups may be behind that of what another replica has just made for one.
  if (steps.length === 0 || (facts.orphaned && owner !== undefined && (await isThere(context, owner, signal)))) return;
  for (const step of steps) {
    try {
      await apply(context, step, signal);
    } catch (error) {
      if (!isKubeError(error, 'NotFound')) throw error;
    }
  }
}

interface Owner {
  readonly uid: string;
  readonly name: string;
  readonly namespace: string;
}

/** The Backup that labels tell of. */
function ownerOf(things: readonly KubeObject[]): Owner | undefined {
  for (const { metadata } of things) {
    const { [LABEL_BACKUP_UID]: uid, [LABEL_BACKUP]: name, [LABEL_NAMESPACE]: namespace } = metadata.labels ?? {};
    if (uid !== undefined && name !== undefined && namespace !== undefined) return { uid, name, namespace };
  }
  return undefined;
}

async function isThere({ connection }: SweepContext, { uid, name, namespace }: Owner, signal: AbortSignal): Promise<boolean> {
  const found = await new ResourceClient(connection, resourceTypes.backups).get(name, namespace, signal);
  return found?.metadata.uid === uid;
}

/** What is there of the family, and whose it is. */
function observe({ caches, moverNamespace }: SweepContext, family: string): { readonly facts: FamilyFacts; readonly owner: Owner | undefined } {
  const backups = caches.backups.byIndex('family', family);
  const jobs = caches.jobs.byIndex('family', family).filter(({ metadata }) => metadata.labels?.[LABEL_COMPONENT] === MOVER);
  const secrets = caches.moverSecrets.byIndex('family', family).filter(({ metadata }) => metadata.labels?.[LABEL_COMPONENT] === MOVER);
  const claims = caches.claims.byIndex('family', family).filter(({ metadata }) => metadata.labels?.[LABEL_COMPONENT] === COPY);
  // Those of a group have no labels of ours, but the group has.
  const groups = caches.groups.byIndex('family', family).filter(({ metadata }) => metadata.labels?.[LABEL_COMPONENT] === COPY);
  const snapshots = caches.snapshots.byIndex('family', family).filter(({ metadata }) => metadata.labels?.[LABEL_COMPONENT] === COPY || groupOwner(metadata) !== undefined);
  const groupContents = caches.groupContents.byIndex('family', family);
  const wanted = backups.some((backup) => !isEnding(backup));
  const owner = ownerOf([...jobs, ...secrets, ...claims, ...snapshots, ...groups]);
  // Movers of an ended backup are removed by its own controller; only one that is gone leaves them to us.
  const orphaned = owner === undefined || !caches.backups.byIndex('namespace', owner.namespace).some(({ metadata: { uid } }) => uid === owner.uid);
  const facts = {
    wanted,
    orphaned,
    moverNamespace,
    jobs: jobs.map(({ metadata }) => ({ name: metadata.name, namespace: metadata.namespace ?? '', deleting: metadata.deletionTimestamp !== undefined })),
    secrets: secrets.map(({ metadata }) => metadata.name),
    claims: claims.map(copiedClaimFact),
    volumes: caches.volumes.byIndex('family', family).map(copiedVolumeFact),
    snapshots: snapshots.map(snapshotFact),
    contents: [...contentsOf(caches, family, groupContents, snapshots)].map(contentFact),
    groups: groups.map(groupFact),
    groupContents: groupContents.map(groupContentFact),
    labelled: caches.claims.byIndex('label', family).flatMap(({ metadata: { name, namespace = '', labels } }) =>
      Object.keys(labels ?? {}).flatMap((label) => (familyOfLabel(label) === family ? [{ namespace, name, label }] : [])),
    ),
  };
  return { facts, owner };
}

/** Those of the family's snapshots, and those of its group, which do not show it themselves. */
function contentsOf(
  { snapshotContents }: SweepContext['caches'],
  family: string,
  groups: readonly RawGroupContent[],
  snapshots: readonly RawSnapshot[],
): ReadonlySet<RawSnapshotContent> {
  const handles = groups.flatMap(({ status }) => status?.volumeGroupSnapshotHandle ?? []);
  const bound = snapshots.flatMap(({ status }) => status?.boundVolumeSnapshotContentName ?? []);
  const found = [
    ...snapshotContents.byIndex('family', family),
    ...handles.flatMap((handle) => snapshotContents.byIndex('groupHandle', handle)),
    ...bound.flatMap((name) => snapshotContents.get(name) ?? []),
  ];
  return new Set(new Map(found.map((content) => [content.metadata.name, content])).values());
}

/** What is changed or going is remembered: the next look may come before the watch tells, and would do it again. */
async function apply({ connection, caches }: SweepContext, step: SweepStep, signal: AbortSignal): Promise<void> {
  const of = <T extends KubeObject>(type: keyof typeof resourceTypes) => new ResourceClient<T>(connection, resourceTypes[type]);
  const remove = async <T extends KubeObject>(type: keyof typeof resourceTypes, cache: Cache<T>, name: string, namespace?: string, how: DeleteOptions = {}): Promise<void> => {
    const left = await of<T>(type).delete(name, namespace, { ...how, signal });
    if (left !== undefined) cache.remember(left);
  };
  switch (step.do) {
    case 'deleteJob':
      return remove('jobs', caches.jobs, step.name, step.namespace, { propagationPolicy: 'Foreground' });
    case 'deleteSecret':
      return remove('secrets', caches.moverSecrets, step.name, step.namespace);
    case 'deleteClaim':
      return remove('persistentVolumeClaims', caches.claims, step.name, step.namespace);
    case 'deleteSnapshot':
      return remove('volumeSnapshots', caches.snapshots, step.name, step.namespace);
    case 'deleteContent':
      return remove('volumeSnapshotContents', caches.snapshotContents, step.name);
    case 'deleteGroup':
      return remove('volumeGroupSnapshots', caches.groups, step.name, step.namespace);
    case 'deleteGroupContent':
      return remove('volumeGroupSnapshotContents', caches.groupContents, step.name);
    case 'unlabelClaim':
      caches.claims.remember(await of<RawClaim>('persistentVolumeClaims').patch(step.name, step.namespace, { metadata: { labels: { [step.label]: null } } }, { signal }));
      return;
    case 'claimGroup': {
      const metadata = step.orphaned ? { annotations: { [GROUP_BEING_DELETED]: 'yes' } } : {};
      caches.groupContents.remember(await of<RawGroupContent>('volumeGroupSnapshotContents').patch(step.name, undefined, { metadata, spec: { deletionPolicy: 'Delete' } }, { signal }));
      return;
    }
    case 'reclaimVolume':
      caches.volumes.remember(await of<RawVolume>('persistentVolumes').patch(step.name, undefined, { spec: { persistentVolumeReclaimPolicy: 'Delete' } }, { signal }));
      return;
    case 'claimSnapshot': {
      const metadata = step.orphaned ? { annotations: { [ANNOTATION_BEING_DELETED]: 'yes' } } : {};
      caches.snapshotContents.remember(await of<RawSnapshotContent>('volumeSnapshotContents').patch(step.name, undefined, { metadata, spec: { deletionPolicy: 'Delete' } }, { signal }));
      return;
    }
    case 'releaseContent':
      caches.snapshotContents.remember(await of<RawSnapshotContent>('volumeSnapshotContents').patch(step.name, undefined, { metadata: { annotations: { [ANNOTATION_BEING_DELETED]: 'yes' } } }, { signal }));
      return;
  }
}
