// What the operator asks of the API server, and what the chart lets it: neither more nor less.
import { beforeAll, describe, expect, it } from '@jest/globals';
import { parseAllDocuments } from 'yaml';
import { binary, KUBERNETES_VERSION } from '../ground/binaries.ts';
import { run } from '../ground/run.ts';
import { callsInSources } from '../support/rights-in-sources.ts';

const SNAPSHOT = 'snapshot.storage.k8s.io';
const GROUP_SNAPSHOT = 'groupsnapshot.storage.k8s.io';
const OURS = 'backup.dupp.de';
const RBAC = 'rbac.authorization.k8s.io';
const SCALABLE = ['deployments', 'statefulsets', 'replicasets'] as const;
/** In the operator's own namespace or the movers' alone; all else is wanted wherever customers are. */
const OWN = '@own';
const MOVERS = '@movers';
/** What is done with a resource that several functions share is told where they are called. */
const BY_ITS_CALLERS: readonly string[] = [];

const watched = (...resources: readonly string[]) => resources.flatMap((resource) => [`${resource} list`, `${resource} watch`]);
const made = (...resources: readonly string[]) => resources.flatMap((resource) => [`${resource} get`, `${resource} create`]);

/** The right that each call takes, as `group/resource verb`. */
const needed: Readonly<Record<string, readonly string[]>> = {
  'cmd/operator/installation-signer.ts client.create': ['secrets create'],
  'cmd/operator/installation-signer.ts client.get': ['secrets get'],
  'cmd/operator/run-operator.ts new Informer(resourceTypes.secrets)': watched(`secrets${OWN}`),
  'controller/backup/backup-reconciler.ts this.#backups.delete': [`${OURS}/backups delete`],
  'controller/backup/backup-reconciler.ts this.#backups.writeFinalizers': [`${OURS}/backups patch`],
  'controller/backup/backup-reconciler.ts this.#backups.writeStatus': [`${OURS}/backups/status patch`],
  'controller/caches.ts informer(resourceTypes.backupLocations)': watched(`${OURS}/backuplocations`),
  'controller/caches.ts informer(resourceTypes.backupPolicies)': watched(`${OURS}/backuppolicies`),
  'controller/caches.ts informer(resourceTypes.backupTenants)': watched(`${OURS}/backuptenants`),
  'controller/caches.ts informer(resourceTypes.backups)': watched(`${OURS}/backups`),
  'controller/caches.ts informer(resourceTypes.coreEvents)': watched('events'),
  'controller/caches.ts informer(resourceTypes.jobs)': watched('batch/jobs'),
  'controller/caches.ts informer(resourceTypes.namespaces)': watched('namespaces'),
  'controller/caches.ts informer(resourceTypes.nodes)': watched('nodes'),
  'controller/caches.ts informer(resourceTypes.persistentVolumeClaims)': watched('persistentvolumeclaims'),
  'controller/caches.ts informer(resourceTypes.persistentVolumes)': watched('persistentvolumes'),
  'controller/caches.ts informer(resourceTypes.pods)': watched('pods'),
  'controller/caches.ts informer(resourceTypes.restores)': watched(`${OURS}/restores`),
  'controller/caches.ts informer(resourceTypes.secrets)': watched(`secrets${MOVERS}`),
  'controller/caches.ts informer(resourceTypes.storageClasses)': watched('storage.k8s.io/storageclasses'),
  'controller/caches.ts informer(resourceTypes.volumeGroupSnapshotClasses)': watched(`${GROUP_SNAPSHOT}/volumegroupsnapshotclasses`),
  'controller/caches.ts informer(resourceTypes.volumeGroupSnapshotContents)': watched(`${GROUP_SNAPSHOT}/volumegroupsnapshotcontents`),
  'controller/caches.ts informer(resourceTypes.volumeGroupSnapshots)': watched(`${GROUP_SNAPSHOT}/volumegroupsnapshots`),
  'controller/caches.ts informer(resourceTypes.volumeSnapshotClasses)': watched(`${SNAPSHOT}/volumesnapshotclasses`),
  'controller/caches.ts informer(resourceTypes.volumeSnapshotContents)': watched(`${SNAPSHOT}/volumesnapshotcontents`),
  'controller/caches.ts informer(resourceTypes.volumeSnapshots)': watched(`${SNAPSHOT}/volumesnapshots`),
  'controller/copy/copy-children.ts client.create': BY_ITS_CALLERS,
  // The label by which a group snapshot finds its volumes.
  'controller/copy/copy-children.ts client.patch': ['persistentvolumeclaims patch'],
  'controller/copy/copy-children.ts make(resourceTypes.persistentVolumeClaims)': ['persistentvolumeclaims create'],
  'controller/copy/copy-children.ts make(resourceTypes.volumeGroupSnapshots)': [`${GROUP_SNAPSHOT}/volumegroupsnapshots create`],
  'controller/copy/copy-children.ts make(resourceTypes.volumeSnapshotContents)': [`${SNAPSHOT}/volumesnapshotcontents create`],
  'controller/copy/copy-children.ts make(resourceTypes.volumeSnapshots)': [`${SNAPSHOT}/volumesnapshots create`],
  'controller/copy/sweep-family.ts new ResourceClient(connection, resourceTypes.backups).get': [`${OURS}/backups get`],
  "controller/copy/sweep-family.ts of<RawClaim>('persistentVolumeClaims').patch": ['persistentvolumeclaims patch'],
  "controller/copy/sweep-family.ts of<RawGroupContent>('volumeGroupSnapshotContents').patch": [`${GROUP_SNAPSHOT}/volumegroupsnapshotcontents patch`],
  "controller/copy/sweep-family.ts of<RawSnapshotContent>('volumeSnapshotContents').patch": [`${SNAPSHOT}/volumesnapshotcontents patch`],
  "controller/copy/sweep-family.ts of<RawVolume>('persistentVolumes').patch": ['persistentvolumes patch'],
  'controller/copy/sweep-family.ts of<T>(type).delete': BY_ITS_CALLERS,
  "controller/copy/sweep-family.ts remove('jobs')": ['batch/jobs delete'],
  "controller/copy/sweep-family.ts remove('persistentVolumeClaims')": ['persistentvolumeclaims delete'],
  "controller/copy/sweep-family.ts remove('secrets')": ['secrets delete'],
  "controller/copy/sweep-family.ts remove('volumeGroupSnapshotContents')": [`${GROUP_SNAPSHOT}/volumegroupsnapshotcontents delete`],
  "controller/copy/sweep-family.ts remove('volumeGroupSnapshots')": [`${GROUP_SNAPSHOT}/volumegroupsnapshots delete`],
  "controller/copy/sweep-family.ts remove('volumeSnapshotContents')": [`${SNAPSHOT}/volumesnapshotcontents delete`],
  "controller/copy/sweep-family.ts remove('volumeSnapshots')": [`${SNAPSHOT}/volumesnapshots delete`],
  'controller/location/location-controller.ts locations.writeStatus': [`${OURS}/backuplocations/status patch`],
  'controller/location/replications.ts this.#jobs.create': ['batch/jobs create'],
  'controller/location/replications.ts this.#jobs.delete': ['batch/jobs delete'],
  'controller/location/replications.ts this.#jobs.patch': ['batch/jobs patch'],
  'controller/location/replications.ts this.#secrets.create': ['secrets create'],
  'controller/location/replications.ts this.#secrets.delete': ['secrets delete'],
  'controller/location/replications.ts this.#secrets.patch': ['secrets patch'],
  // The API server asks for `get` where a command is begun by a web socket, and newer ones for `create` as well.
  'controller/mover-controllers.ts execForOutput()': ['pods/exec get', 'pods/exec create'],
  'controller/mover-controllers.ts followLog()': ['pods/log get'],
  'controller/mover-controllers.ts readLog()': ['pods/log get'],
  'controller/mover/attempt-observer.ts new ResourceClient<RawPod>(context.connection, resourceTypes.pods).list': ['pods list'],
  'controller/mover/bridge-rights.ts #make(this.#accounts)': ['serviceaccounts create'],
  'controller/mover/bridge-rights.ts #make(this.#bindings)': [`${RBAC}/rolebindings create`],
  'controller/mover/bridge-rights.ts #make(this.#roles)': [`${RBAC}/roles create`],
  'controller/mover/bridge-rights.ts client.create': BY_ITS_CALLERS,
  // Of the three, only a Role has something to bring up to date.
  'controller/mover/bridge-rights.ts client.patch': [`${RBAC}/roles patch`],
  'controller/mover/bridge-rights.ts this.#accounts.delete': ['serviceaccounts delete'],
  'controller/mover/bridge-rights.ts this.#bindings.delete': [`${RBAC}/rolebindings delete`],
  'controller/mover/bridge-rights.ts this.#roles.delete': [`${RBAC}/roles delete`],
  'controller/mover/ground-observer.ts client.list': ['events list'],
  'controller/mover/ground-observer.ts new ResourceClient<RawPod>(context.connection, resourceTypes.pods).list': ['pods list'],
  'controller/mover/mover-children.ts this.#jobs.create': ['batch/jobs create'],
  'controller/mover/mover-children.ts this.#jobs.delete': ['batch/jobs delete'],
  'controller/mover/mover-children.ts this.#jobs.patch': ['batch/jobs patch'],
  'controller/mover/mover-children.ts this.#secrets.create': ['secrets create'],
  'controller/mover/mover-children.ts this.#secrets.delete': ['secrets delete'],
  'controller/mover/mover-children.ts this.#secrets.get': ['secrets get'],
  'controller/mover/mover-children.ts this.#secrets.patch': ['secrets patch'],
  'controller/policy/automatic-backups.ts backups.create': [`${OURS}/backups create`],
  'controller/policy/automatic-backups.ts backups.delete': [`${OURS}/backups delete`],
  'controller/policy/automatic-backups.ts backups.get': [`${OURS}/backups get`],
  'controller/policy/automatic-backups.ts backups.patch': [`${OURS}/backups patch`],
  'controller/policy/automatic-backups.ts client.delete': [`${OURS}/backups delete`, `${OURS}/restores delete`],
  'controller/policy/policy-controller.ts backups.list': [`${OURS}/backups list`],
  'controller/policy/policy-controller.ts policies.get': [`${OURS}/backuppolicies get`],
  'controller/policy/policy-controller.ts policies.writeStatus': [`${OURS}/backuppolicies/status patch`],
  'controller/policy/workload-check.ts this.#scales.get': SCALABLE.map((resource) => `apps/${resource}/scale get`),
  'controller/record/record-controller.ts tenants.patch': [`${OURS}/backuptenants patch`],
  'controller/recovery/recoveries.ts #ensure(resourceTypes.backupPolicies)': made(`${OURS}/backuppolicies`),
  'controller/recovery/recoveries.ts #ensure(resourceTypes.backupTenants)': made(`${OURS}/backuptenants`),
  'controller/recovery/recoveries.ts #ensure(resourceTypes.backups)': made(`${OURS}/backups`),
  'controller/recovery/recoveries.ts #ensure(resourceTypes.namespaces)': made('namespaces'),
  'controller/recovery/recoveries.ts client.create': BY_ITS_CALLERS,
  'controller/recovery/recoveries.ts client.get': BY_ITS_CALLERS,
  'controller/restore/restore-reconciler.ts this.#backups.create': [`${OURS}/backups create`],
  'controller/restore/restore-reconciler.ts this.#backups.patch': [`${OURS}/backups patch`],
  'controller/restore/restore-reconciler.ts this.#claims.create': ['persistentvolumeclaims create'],
  'controller/restore/restore-reconciler.ts this.#claims.delete': ['persistentvolumeclaims delete'],
  'controller/restore/restore-reconciler.ts this.#claims.get': ['persistentvolumeclaims get'],
  'controller/restore/restore-reconciler.ts this.#restores.writeFinalizers': [`${OURS}/restores patch`],
  'controller/restore/restore-reconciler.ts this.#restores.writeStatus': [`${OURS}/restores/status patch`],
  'controller/restore/workload-observer.ts new ResourceClient(this.#connection, type).get': SCALABLE.map((resource) => `apps/${resource} get`),
  'controller/restore/workload-observer.ts new ResourceClient<RawAutoscaler>(this.#connection, resourceTypes.horizontalPodAutoscalers).list': ['autoscaling/horizontalpodautoscalers list'],
  'controller/restore/workload-observer.ts this.#scales.get': SCALABLE.map((resource) => `apps/${resource}/scale get`),
  'controller/restore/workload-observer.ts this.#scales.set': SCALABLE.map((resource) => `apps/${resource}/scale patch`),
  'controller/tenant/tenant-controller.ts tenants.create': [`${OURS}/backuptenants create`],
  'controller/tenant/tenant-controller.ts tenants.get': [`${OURS}/backuptenants get`],
  'controller/tenant/tenant-controller.ts tenants.writeStatus': [`${OURS}/backuptenants/status patch`],
  'kube/events.ts this.#connection.request': ['events.k8s.io/events create'],
  'kube/leader-lease.ts this.#client.create': [`coordination.k8s.io/leases${OWN} create`],
  'kube/leader-lease.ts this.#client.get': [`coordination.k8s.io/leases${OWN} get`],
  'kube/leader-lease.ts this.#client.patch': [`coordination.k8s.io/leases${OWN} patch`],
  'kube/pod-log.ts connection.lines': BY_ITS_CALLERS,
  'kube/scale.ts this.#connection.request': BY_ITS_CALLERS,
};

interface Role {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly rules?: readonly { readonly apiGroups: readonly string[]; readonly resources: readonly string[]; readonly verbs: readonly string[] }[];
}

let granted: ReadonlySet<string>;

/** Of every role that the operator's account is bound to. Whoever recovers has a few more. */
async function grantedByChart(): Promise<ReadonlySet<string>> {
  const text = await run(await binary('helm'), ['template', 'tenant-backup', 'charts/tenant-backup', '--namespace=system', `--kube-version=${KUBERNETES_VERSION}`, '--set=recovery.enabled=true']);
  const roles = parseAllDocuments(text).map((document) => document.toJS() as Role | null).filter((role) => role?.metadata.name === 'tenant-backup' && /Role$/.test(role.kind));
  return new Set(roles.flatMap((role) => (role?.rules ?? []).flatMap(({ apiGroups, resources, verbs }) => apiGroups.flatMap((group) => resources.flatMap((resource) => verbs.map((verb) => `${group === '' ? '' : `${group}/`}${resource}${placeOf(role)} ${verb}`))))));
}

function placeOf(role: Role | null): string {
  if (role?.kind === 'ClusterRole') return '';
  return role?.metadata.namespace === 'system' ? OWN : MOVERS;
}

describe('the rights of the operator', () => {
  beforeAll(async () => {
    granted = await grantedByChart();
  }, 300_000);

  it('are asked for by calls that this test knows, each of which is there', () => {
    expect(callsInSources()).toEqual(Object.keys(needed).sort());
  });

  it('are enough for each of them', () => {
    expect(Object.entries(needed).flatMap(([call, rights]) => rights.filter((right) => !granted.has(right)).map((right) => `${right}: ${call}`))).toEqual([]);
  });

  it('are no more than they need', () => {
    const all = new Set(Object.values(needed).flat());
    expect([...granted].filter((right) => !all.has(right))).toEqual([]);
  });
});
