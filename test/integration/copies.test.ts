// Copies of volumes against a real API server, with the rights that the chart gives the operator and no more. The snapshot controller,
// the provisioner and the kubelet are played by the test; the real ones are met in test/e2e/snapshots.test.ts.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { parse, parseAllDocuments } from 'yaml';
import type { Backup, BackupPolicy } from '../../src/api/index.ts';
import { allInformers, makeCaches, moverContext, moverControllers, policyController, tenantController } from '../../src/controller/index.ts';
import { EventRecorder, ResourceClient, ScaleClient, isKubeError, resourceTypes, type KubeObject, type NewObject, type ResourceType } from '../../src/kube/index.ts';
import { binary, KUBERNETES_VERSION } from '../ground/binaries.ts';
import { run } from '../ground/run.ts';
import { csiParts } from '../ground/csi/parts.ts';
import { ApiServer } from '../support/api-server.ts';
import { idleReplication } from '../support/idle-replication.ts';
import { installCrds } from '../support/installed-crds.ts';
import { noAudit, noEraser } from '../support/idle-movers.ts';

const SYSTEM = 'tenant-backup-system';
const MOVERS = `${SYSTEM}-movers`;
const OPERATOR = `system:serviceaccount:${SYSTEM}:tenant-backup`;
const NS = 'customer';
const OTHER = 'customer-with-two';
const DRIVER = 'csi.test';
const VERSION = 'backup.dupp.de/v1alpha1';

type Json = Readonly<Record<string, unknown>>;
type Thing = KubeObject & { readonly spec?: Json; readonly status?: Json; readonly metadata: { readonly deletionTimestamp?: string; readonly finalizers?: readonly string[] } };

let api: ApiServer;
let stop: () => Promise<void>;
const failures: unknown[] = [];

const admin = (type: ResourceType): ResourceClient<Thing> => new ResourceClient<Thing>(api.connect(), type);

async function until<T>(what: string, seconds: number, isSo: () => Promise<T | false | undefined>): Promise<T> {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const answer = await isSo();
    if (answer !== false && answer !== undefined) return answer;
    if (Date.now() > end) throw new Error(`waited in vain for ${what}; the operator failed with: ${failures.map(String).slice(-3).join('; ') || 'nothing'}`);
    await sleep(50);
  }
}

/** What Helm makes of the chart, applied as an administrator would, but the operator's own pods. */
async function applyChart(): Promise<void> {
  const text = await run(await binary('helm'), ['template', 'tenant-backup', 'charts/tenant-backup', `--namespace=${SYSTEM}`, `--kube-version=${KUBERNETES_VERSION}`]);
  const kinds: Readonly<Record<string, ResourceType>> = {
    Namespace: resourceTypes.namespaces,
    ClusterRole: rbac('ClusterRole', 'clusterroles', false),
    ClusterRoleBinding: rbac('ClusterRoleBinding', 'clusterrolebindings', false),
    Role: rbac('Role', 'roles', true),
    RoleBinding: rbac('RoleBinding', 'rolebindings', true),
    ValidatingAdmissionPolicy: { group: 'admissionregistration.k8s.io', version: 'v1', kind: 'ValidatingAdmissionPolicy', plural: 'validatingadmissionpolicies', namespaced: false },
    ValidatingAdmissionPolicyBinding: { group: 'admissionregistration.k8s.io', version: 'v1', kind: 'ValidatingAdmissionPolicyBinding', plural: 'validatingadmissionpolicybindings', namespaced: false },
  };
  const documents = parseAllDocuments(text).map((document) => document.toJS() as (NewObject & { readonly kind: string }) | null);
  await admin(resourceTypes.namespaces).create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: SYSTEM } });
  for (const kind of Object.keys(kinds)) for (const document of documents) if (document?.kind === kind) await admin(kinds[kind]!).create(document);
}

function rbac(kind: string, plural: string, namespaced: boolean): ResourceType {
  return { group: 'rbac.authorization.k8s.io', version: 'v1', kind, plural, namespaced };
}

async function installSnapshotApi(): Promise<void> {
  const { crds } = await csiParts();
  const definitions = admin({ group: 'apiextensions.k8s.io', version: 'v1', kind: 'CustomResourceDefinition', plural: 'customresourcedefinitions', namespaced: false });
  for (const file of readdirSync(crds)) await definitions.create(parse(readFileSync(join(crds, file), 'utf8')) as NewObject);
}

/** Bound volumes of the driver, as they are after their provisioner's work. */
async function volume(namespace: string, name: string): Promise<void> {
  const capacity = { storage: '1Gi' };
  const accessModes = ['ReadWriteOnce'];
  const claimRef = { namespace, name };
  const volumeName = `pv-${namespace}-${name}`;
  const spec = { capacity, accessModes, storageClassName: 'fast', csi: { driver: DRIVER, volumeHandle: volumeName }, claimRef };
  await admin(resourceTypes.persistentVolumes).create({ apiVersion: 'v1', kind: 'PersistentVolume', metadata: { name: volumeName }, spec });
  const claim = { accessModes, storageClassName: 'fast', volumeName, resources: { requests: capacity } };
  await admin(resourceTypes.persistentVolumeClaims).create({ apiVersion: 'v1', kind: 'PersistentVolumeClaim', metadata: { name, namespace }, spec: claim });
  await admin(resourceTypes.persistentVolumeClaims).patch(name, namespace, { status: { phase: 'Bound', capacity } }, { subresource: 'status' });
}

/** A namespace with a policy, and volumes of the driver. */
async function customer(namespace: string, volumes: readonly string[]): Promise<void> {
  await admin(resourceTypes.namespaces).create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
  for (const name of volumes) await volume(namespace, name);
  await admin(resourceTypes.backupPolicies).create({ apiVersion: VERSION, kind: 'BackupPolicy', metadata: { name: 'daily', namespace }, spec: { location: 'here' } });
}

async function startOperator(): Promise<void> {
  const connection = api.connect(OPERATOR);
  const stopping = new AbortController();
  const caches = makeCaches(connection, MOVERS, (error) => failures.push(error));
  const clock = { now: () => Date.now() };
  const events = new EventRecorder(connection, 'test', () => new Date(), (error) => failures.push(error));
  const shared = { ...idleReplication(), caches, events, clock, observer: { reconciled: () => undefined, failed: (_: string, __: string, error: unknown) => void failures.push(error) } };
  const ports = {
    clock,
    credentialMinter: { mint: () => Promise.resolve({ credentials: { version: 1 as const, s3: { accessKeyId: 'a', secretAccessKey: 's' }, kms: {} }, expiresAt: undefined }) },
    resultReader: { read: () => Promise.resolve(undefined) },
    audit: noAudit,
  };
  const movers = moverContext({ connection, caches, ports, moverNamespace: MOVERS, moverImage: 'mover:1' });
  const policies = policyController({
    ...shared,
    policies: new ResourceClient(connection, resourceTypes.backupPolicies),
    backups: new ResourceClient(connection, resourceTypes.backups),
    restores: new ResourceClient(connection, resourceTypes.restores),
    scales: new ScaleClient(connection),
    movers,
  });
  const controllers = [
    policies,
    tenantController({ ...shared, tenants: new ResourceClient(connection, resourceTypes.backupTenants), newTenantId: () => '0123456789abcdef'.repeat(2), audit: noAudit, eraser: noEraser }),
    ...moverControllers({ ...shared, connection, context: movers, wakePolicy: (key) => policies.queue.add(key) }),
  ];
  const informers = allInformers(caches);
  const watching = informers.map((informer) => informer.run(stopping.signal));
  await Promise.all(informers.map((informer) => informer.synced));
  const ended = Promise.all([...watching, ...controllers.map((controller) => controller.run(stopping.signal))]);
  stop = async () => {
    stopping.abort();
    await ended;
    await events.flush();
  };
}

async function backup(name: string): Promise<Backup | undefined> {
  return (await new ResourceClient<Backup>(api.connect(), resourceTypes.backups).get(name, NS)) ?? undefined;
}

async function statusOf(type: ResourceType, name: string, namespace: string | undefined, status: Json): Promise<void> {
  await admin(type).patch(name, namespace, { status }, { subresource: 'status' });
}

/** Plays the snapshot controller and the sidecar for one VolumeSnapshot of a live claim. */
async function cutSnapshot({ metadata: { name, namespace, uid } }: Thing): Promise<void> {
  const content = `snapcontent-${uid}`;
  await admin(resourceTypes.volumeSnapshotContents).create({
    apiVersion: 'snapshot.storage.k8s.io/v1',
    kind: 'VolumeSnapshotContent',
    metadata: { name: content },
    spec: { deletionPolicy: 'Retain', driver: DRIVER, source: { volumeHandle: 'data' }, volumeSnapshotRef: { kind: 'VolumeSnapshot', namespace, name, uid }, sourceVolumeMode: 'Filesystem' },
  });
  await statusOf(resourceTypes.volumeSnapshotContents, content, undefined, { snapshotHandle: `handle-${uid}`, readyToUse: true });
  await statusOf(resourceTypes.volumeSnapshots, name, namespace, { boundVolumeSnapshotContentName: content, creationTime: new Date().toISOString(), readyToUse: true, restoreSize: '2Gi' });
}

beforeAll(async () => {
  api = await ApiServer.start({ users: { [OPERATOR]: ['system:serviceaccounts', `system:serviceaccounts:${SYSTEM}`, 'system:authenticated'] } });
  await installCrds(api.connect());
  await applyChart();
  await admin(resourceTypes.storageClasses).create({ apiVersion: 'storage.k8s.io/v1', kind: 'StorageClass', metadata: { name: 'fast' }, provisioner: DRIVER });
  const secret = { name: 'none' };
  const kms = { provider: 'aws', aws: { keyId: 'alias/k', credentialsSecretRef: secret } };
  await admin(resourceTypes.backupLocations).create({ apiVersion: VERSION, kind: 'BackupLocation', metadata: { name: 'here' }, spec: { s3: { bucket: 'backups', credentialsSecretRef: secret }, kms } });
  const ready = { type: 'Ready', status: 'True', reason: 'Usable', message: '', lastTransitionTime: new Date().toISOString() };
  await statusOf(resourceTypes.backupLocations, 'here', undefined, { conditions: [ready] });
  await startOperator();
  await customer(NS, ['data']);
}, 180_000);

afterAll(async () => {
  await stop();
  await api.stop();
});

async function readiness(): Promise<string> {
  const policy = await new ResourceClient<BackupPolicy>(api.connect(), resourceTypes.backupPolicies).get('daily', NS);
  return policy?.status?.conditions?.find(({ type }) => type === 'Ready')?.message ?? '';
}

describe('an operator with the rights of the chart', () => {
  it('reads volumes live until the snapshot API appears, and needs no restart then', async () => {
    await until('Direct', 20, async () => (await readiness()).includes('data (Direct)'));
    await installSnapshotApi();
    await until('the class to be taken', 10, async () => {
      try {
        await admin(resourceTypes.volumeSnapshotClasses).create({ apiVersion: 'snapshot.storage.k8s.io/v1', kind: 'VolumeSnapshotClass', metadata: { name: 'snap' }, driver: DRIVER, deletionPolicy: 'Retain' });
        return true;
      } catch (error) {
        if (isKubeError(error, 'NotFound')) return false;
        throw error;
      }
    });
    await until('Snapshot', 40, async () => (await readiness()).includes('data (Snapshot, snap)'));
  }, 90_000);

  it('makes a snapshot, brings it to the movers, and makes the mover there; cancelled, all of it goes, and only it', async () => {
    await admin(resourceTypes.backups).create({ apiVersion: VERSION, kind: 'Backup', metadata: { name: 'first', namespace: NS }, spec: { policy: 'daily' } });
    const live = await until('the snapshot', 20, async () => (await admin(resourceTypes.volumeSnapshots).list({ namespace: NS })).items[0]);
    expect((await backup('first'))?.status).toMatchObject({ phase: 'Snapshotting', moverNamespace: MOVERS });
    await cutSnapshot(live);
    const bound = await until('the re-bound snapshot', 20, async () => (await admin(resourceTypes.volumeSnapshots).list({ namespace: MOVERS })).items[0]);
    const { name } = bound.metadata;
    const content = await until('its content', 5, () => admin(resourceTypes.volumeSnapshotContents).get(name));
    expect(content.spec).toMatchObject({ deletionPolicy: 'Retain', source: { snapshotHandle: `handle-${live.metadata.uid}` }, volumeSnapshotRef: { namespace: MOVERS, name } });
    await statusOf(resourceTypes.volumeSnapshots, name, MOVERS, { boundVolumeSnapshotContentName: name, readyToUse: true, restoreSize: '2Gi' });
    const claim = await until('the claim', 20, () => admin(resourceTypes.persistentVolumeClaims).get(name, MOVERS));
    expect(claim.spec).toMatchObject({ storageClassName: 'fast', resources: { requests: { storage: '2Gi' } }, dataSource: { kind: 'VolumeSnapshot', name } });
    const job = await until('the Job', 20, async () => (await admin(resourceTypes.jobs).list({ namespace: MOVERS })).items[0]);
    expect(JSON.stringify(job.spec)).toContain(`"claimName":"${name}"`);
    expect((await backup('first'))?.status?.phase).toBe('Transferring');

    await admin(resourceTypes.backups).patch('first', NS, { spec: { cancel: true } });
    await untilSwept();
    expect((await admin(resourceTypes.persistentVolumeClaims).list({ namespace: NS })).items.map(({ metadata }) => metadata.name)).toEqual(['data']);
    expect((await admin(resourceTypes.persistentVolumes).list()).items.map(({ metadata }) => metadata.name)).toEqual(['pv-customer-data']);
    expect(failures.filter((error) => isKubeError(error, 'Forbidden') || isKubeError(error, 'Invalid') || isKubeError(error, 'BadRequest')).map(String)).toEqual([]);
  }, 120_000);

  it('labels the volumes of a group and cuts it, woken by what it sees alone', async () => {
    await customer(OTHER, ['data', 'logs']);
    await admin(resourceTypes.volumeGroupSnapshotClasses).create({ kind: 'VolumeGroupSnapshotClass', metadata: { name: 'group' }, driver: DRIVER, deletionPolicy: 'Delete' });
    await admin(resourceTypes.backups).create({ apiVersion: VERSION, kind: 'Backup', metadata: { name: 'pair', namespace: OTHER }, spec: { policy: 'daily' } });
    const group = await until('the group', 30, async () => (await admin(resourceTypes.volumeGroupSnapshots).list({ namespace: OTHER })).items[0]);
    const { matchLabels } = (group.spec?.['source'] as { selector: { matchLabels: Record<string, string> } }).selector;
    for (const name of ['data', 'logs']) expect((await admin(resourceTypes.persistentVolumeClaims).get(name, OTHER))?.metadata.labels).toMatchObject(matchLabels);
    await admin(resourceTypes.backups).patch('pair', OTHER, { spec: { cancel: true } });
    await until('group and labels to be gone', 30, async () => {
      const groups = (await admin(resourceTypes.volumeGroupSnapshots).list()).items.length;
      const claims = (await admin(resourceTypes.persistentVolumeClaims).list({ namespace: OTHER })).items;
      return groups === 0 && !JSON.stringify(claims.map(({ metadata }) => metadata.labels ?? {})).includes('group-');
    });
  }, 90_000);

  it('may change nothing of a customer, and delete nothing of theirs', async () => {
    const asOperator = (type: ResourceType) => new ResourceClient(api.connect(OPERATOR), type);
    const theirs = { apiVersion: 'snapshot.storage.k8s.io/v1', kind: 'VolumeSnapshot', metadata: { name: 'theirs', namespace: NS }, spec: { source: { persistentVolumeClaimName: 'data' } } };
    await admin(resourceTypes.volumeSnapshots).create(theirs);
    const attempts: readonly (() => Promise<unknown>)[] = [
      () => asOperator(resourceTypes.persistentVolumeClaims).delete('data', NS),
      () => asOperator(resourceTypes.persistentVolumeClaims).patch('data', NS, { metadata: { labels: { 'app.kubernetes.io/managed-by': 'tenant-backup' } } }),
      () => asOperator(resourceTypes.persistentVolumeClaims).patch('data', NS, { metadata: { labels: { anything: 'x' } } }),
      () => asOperator(resourceTypes.persistentVolumes).patch('pv-customer-data', undefined, { spec: { persistentVolumeReclaimPolicy: 'Delete' } }),
      () => asOperator(resourceTypes.volumeSnapshots).delete('theirs', NS),
      () => asOperator(resourceTypes.volumeSnapshots).create({ ...theirs, metadata: { name: 'another', namespace: NS } }),
    ];
    for (const attempt of attempts) await expect(attempt()).rejects.toMatchObject({ code: expect.stringMatching(/Forbidden|Invalid/) });
    const label = { 'backup.dupp.de/group-0123456789abcdef0123': 'true' };
    await expect(asOperator(resourceTypes.persistentVolumeClaims).patch('data', NS, { metadata: { labels: label } })).resolves.toMatchObject({ metadata: { labels: label } });
    // The sweeper knows of no Backup that this is for.
    await until('the label to be gone', 20, async () => (await admin(resourceTypes.persistentVolumeClaims).get('data', NS))?.metadata.labels?.['backup.dupp.de/group-0123456789abcdef0123'] === undefined);
  }, 60_000);
});

/** Plays everybody who has to let go of what is being deleted, and looks that the driver's snapshot is deleted once. */
async function untilSwept(): Promise<void> {
  let deletedAtDriver = 0;
  await until('everything to be swept', 60, async () => {
    for (const type of [resourceTypes.jobs, resourceTypes.persistentVolumeClaims]) {
      for (const { metadata } of (await admin(type).list({ namespace: MOVERS })).items)
        if (metadata.deletionTimestamp !== undefined) await admin(type).patch(metadata.name, MOVERS, { metadata: { finalizers: null } });
    }
    const snapshots = (await admin(resourceTypes.volumeSnapshots).list()).items;
    const contents = (await admin(resourceTypes.volumeSnapshotContents).list()).items;
    // With the policy Delete the controller deletes the content with its snapshot.
    for (const { metadata, spec } of contents) {
      const ref = spec?.['volumeSnapshotRef'] as { name: string; namespace: string };
      const isAlone = !snapshots.some(({ metadata: { name, namespace } }) => name === ref.name && namespace === ref.namespace);
      if (spec?.['deletionPolicy'] !== 'Delete' || !isAlone) continue;
      deletedAtDriver++;
      await admin(resourceTypes.volumeSnapshotContents).delete(metadata.name);
    }
    const left = await Promise.all([resourceTypes.jobs, resourceTypes.persistentVolumeClaims, resourceTypes.secrets].map(async (type) => (await admin(type).list({ namespace: MOVERS })).items.length));
    return left.every((count) => count === 0) && snapshots.length === 0 && contents.length === 0;
  });
  expect(deletedAtDriver).toBeLessThanOrEqual(1);
}
