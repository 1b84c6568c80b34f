// What a real API server refuses of our kinds, naming the field; what `kubectl explain` says; and what admission keeps from movers.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { kinds } from '../../src/api/index.ts';
import { apply, kubectl, listObjects } from '../support/cluster.ts';
import { namespaceObject } from '../support/customer.ts';
import { IMMUTABLE_FIELDS, IMPOSSIBLE_VALUES, MISSING_FIELDS, UNKNOWN_FIELDS, WRONG_TYPES, type Refusal } from './admission/refusals.ts';
import { CLUSTER_NAME, KINDS, NAMESPACE, validObject, withValue, type KindName } from './admission/valid-objects.ts';

const SAMPLES = ['1-location.yaml', '2-policy.yaml', '3-backup.yaml', 'later/restore.yaml', 'later/restore-into-new-volume.yaml'].map((file) => join('config', 'samples', file));
/** Its pod is made as the Job controller would, and no node takes it. */
const MOVER = 'tbmover-admission-1';

async function dryRun(object: object): Promise<string> {
  return kubectl(['create', '--dry-run=server', '-f', '-'], JSON.stringify(object));
}

/** What the API server answers, whichever way it goes. */
async function answer(args: readonly string[], input?: string): Promise<string> {
  return kubectl(args, input).catch((error: unknown) => (error instanceof Error ? `refused: ${error.message}` : String(error)));
}

function resourceOf(kind: KindName): string {
  const definition = kinds.find((each) => each.kind === kind);
  return `${definition?.plural ?? ''}.backup.dupp.de`;
}

function describeRow({ kind, path, value }: Refusal): string {
  return `${kind} with ${path} = ${JSON.stringify(value ?? null).slice(0, 90)}`;
}

function named(rows: readonly Refusal[]): [string, Refusal][] {
  return rows.map((each) => [describeRow(each), each]);
}

const pod = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: MOVER, namespace: NAMESPACE },
  spec: { automountServiceAccountToken: false, nodeSelector: { 'backup.dupp.de/test': 'nowhere' }, containers: [{ name: 'mover', image: 'mover:1' }] },
};

beforeAll(async () => {
  await apply([namespaceObject(NAMESPACE)]);
  await apply(KINDS.map((kind) => validObject(kind)));
});

afterAll(async () => {
  for (const kind of ['Restore', 'Backup', 'BackupPolicy'] as const) await kubectl(['delete', resourceOf(kind), 'valid', '-n', NAMESPACE, '--ignore-not-found', '--wait=false']);
  for (const kind of ['BackupLocation', 'BackupTenant'] as const) await kubectl(['delete', resourceOf(kind), CLUSTER_NAME, '--ignore-not-found', '--wait=false']);
  await kubectl(['delete', 'namespace', NAMESPACE, '--ignore-not-found', '--timeout=60s']);
});

describe.each([
  ['an unknown field', UNKNOWN_FIELDS],
  ['a value of the wrong type', WRONG_TYPES],
  ['a missing field', MISSING_FIELDS],
  ['an impossible value', IMPOSSIBLE_VALUES],
])('%s is refused and named', (_, rows) => {
  it.each(named(rows))('%s', async (_name, { kind, path, value, says }) => {
    const object = withValue({ ...validObject(kind), metadata: { ...validObject(kind).metadata, name: 'spoiled' } }, path, value);

    const refusal = await dryRun(object).then(
      (text) => `accepted: ${text}`,
      (error: unknown) => String(error),
    );

    expect(refusal).not.toMatch(/^accepted/);
    for (const words of says) expect(refusal).toContain(words);
  });
});

describe('a field that cannot change', () => {
  it.each(named(IMMUTABLE_FIELDS))('%s', async (_name, { kind, path, value, says }) => {
    const { name, namespace } = validObject(kind).metadata as { name: string; namespace?: string };
    const patch = JSON.stringify(withValue({}, path, value));

    const refusal = await answer(['patch', resourceOf(kind), name, ...(namespace === undefined ? [] : ['-n', namespace]), '--type=merge', '--dry-run=server', '-p', patch]);

    expect(refusal).toMatch(/^refused/);
    for (const words of says) expect(refusal).toContain(words);
  });
});

describe('the kinds', () => {
  it.each(KINDS)('%s is explained field by field', async (kind) => {
    const plural = resourceOf(kind).split('.')[0] ?? '';
    const version = '--api-version=backup.dupp.de/v1alpha1';
    const all = await Promise.all(['', '.spec', '.status'].map((part) => kubectl(['explain', `${plural}${part}`, version])));
    const spec = all[1] ?? '';
    expect(all.join('')).not.toContain('<no description>');
    expect(spec).toContain('FIELDS:');
  });

  it('have the names that people type', async () => {
    const names = await kubectl(['api-resources', '--api-group=backup.dupp.de', '--no-headers', '-o', 'wide']);
    for (const { shortNames, plural } of kinds) expect(names).toMatch(new RegExp(`${plural}\\s+${shortNames.join(',')}\\s.*tenant-backup`));
  });

  it('give defaults to whoever leaves fields out', async () => {
    const policy = JSON.parse(await kubectl(['get', resourceOf('BackupPolicy'), 'valid', '-n', NAMESPACE, '-o', 'json'])) as { spec: object };
    expect(policy.spec).toMatchObject({ copyMethod: 'Auto', quota: { maxBackups: 7 }, workload: { apiVersion: 'apps/v1' } });
    const location = JSON.parse(await kubectl(['get', resourceOf('BackupLocation'), CLUSTER_NAME, '-o', 'json'])) as { spec: object };
    expect(location.spec).toMatchObject({
      s3: { region: 'us-east-1', forcePathStyle: true, sts: { mode: 'Auto', sessionDuration: '1h' } },
      limits: { movers: 10, moversPerNamespace: 1 },
      mover: { resources: { limits: { memory: '1Gi' } } },
    });
  });

  it('take the samples', async () => {
    const samples = SAMPLES.map((file) => readFileSync(file, 'utf8').replaceAll('customer-1', NAMESPACE)).join('\n---\n');
    const text = await kubectl(['apply', '--dry-run=server', '-f', '-'], samples);
    for (const each of ['backuplocation', 'backuppolicy', 'backup', 'restore']) expect(text).toContain(`${each}.backup.dupp.de/`);
  });
});

describe('a safety backup', () => {
  it('is made by the operator alone, for it holds no slot', async () => {
    const safety = withValue({ ...validObject('Backup'), metadata: { name: 'free-of-charge', namespace: NAMESPACE } }, 'spec.trigger', 'Safety');
    await expect(dryRun(safety)).rejects.toThrow(/spec\.trigger: Safety and Automatic backups are made by the operator alone/);
    const asOperator = ['create', '--dry-run=server', '--as=system:serviceaccount:tenant-backup-system:tenant-backup', '-f', '-'];
    expect(await answer(asOperator, JSON.stringify(safety))).toContain('created');
  });
});

describe("a mover's pod (invariant 2)", () => {
  beforeAll(async () => {
    await kubectl(['create', '--as=system:serviceaccount:kube-system:job-controller', '-f', '-'], JSON.stringify(pod));
  });

  const inPod = `/api/v1/namespaces/${NAMESPACE}/pods/${MOVER}`;
  const REFUSED = /^refused.*tenant's secret key; no exec/s;

  it.each([
    ['exec', ['exec', MOVER, '-n', NAMESPACE, '--', 'sh']],
    ['exec without a look first', ['create', '--raw', `${inPod}/exec?command=sh&stdout=true`, '-f', '-']],
    ['attach', ['create', '--raw', `${inPod}/attach?stdout=true`, '-f', '-']],
    ['port-forward', ['create', '--raw', `${inPod}/portforward?ports=80`, '-f', '-']],
    ['proxy', ['get', '--raw', `${inPod}/proxy/`]],
    ['an ephemeral container', ['debug', MOVER, '-n', NAMESPACE, '--image=busybox']],
  ])('refuses %s', async (_name, args) => {
    expect(await answer(args, '{}')).toMatch(REFUSED);
  });

  it('keeps its image', async () => {
    const patch = '{"spec":{"containers":[{"name":"mover","image":"intruder:1"}]}}';
    expect(await answer(['patch', 'pod', MOVER, '-n', NAMESPACE, '-p', patch])).toMatch(/^refused.*image of a mover cannot be changed/s);
    expect(await answer(['label', 'pod', MOVER, '-n', NAMESPACE, 'still=allowed'])).toContain('labeled');
  });

  it.each([
    ['a pod', { ...pod, metadata: { ...pod.metadata, name: 'tbmover-intruder' } }],
    ['a pod with a generated name', { ...pod, metadata: { generateName: 'tbmover-', namespace: NAMESPACE } }],
    [
      'a Job',
      { apiVersion: 'batch/v1', kind: 'Job', metadata: { name: 'tbmover-intruder', namespace: NAMESPACE }, spec: { template: { spec: { ...pod.spec, restartPolicy: 'Never' } } } },
    ],
  ])('has a name that %s of nobody else can take', async (_name, object) => {
    await expect(dryRun(object)).rejects.toThrow(/names that start with tbmover- are reserved/);
  });

  it('has a name that only its first letters reserve', async () => {
    await expect(dryRun({ ...pod, metadata: { ...pod.metadata, name: 'my-tbmover-1' } })).resolves.toContain('created');
  });
});

describe('the operator', () => {
  const AS = '--as=system:serviceaccount:tenant-backup-system:tenant-backup';

  it.each([
    ['read a Secret in every namespace by listing', ['list', 'secrets', '-n', NAMESPACE], 'no'],
    ['make pods', ['create', 'pods', '-n', NAMESPACE], 'no'],
    ['run commands in pods, for hooks', ['create', 'pods/exec', '-n', NAMESPACE], 'yes'],
    ['attach to pods', ['create', 'pods/attach', '-n', NAMESPACE], 'no'],
    ['read what rights others have', ['list', 'roles.rbac.authorization.k8s.io', '-n', NAMESPACE], 'no'],
    ['bind ClusterRoles to the cluster', ['create', 'clusterrolebindings.rbac.authorization.k8s.io'], 'no'],
    ['change what people asked for', ['patch', 'backuppolicies.backup.dupp.de', '-n', NAMESPACE], 'no'],
    ['delete a tenant', ['delete', 'backuptenants.backup.dupp.de'], 'no'],
    ['replace volumes', ['update', 'persistentvolumeclaims', '-n', NAMESPACE], 'no'],
    ['delete many volumes at once', ['deletecollection', 'persistentvolumeclaims', '-n', NAMESPACE], 'no'],
    ['make Jobs', ['create', 'jobs.batch', '-n', NAMESPACE], 'yes'],
    ['scale a Deployment', ['patch', 'deployments.apps/scale', '-n', NAMESPACE], 'yes'],
  ])('may %s: %j → %s', async (_name, args, may) => {
    const [verb = '', resource = '', ...where] = args;
    const [type = '', subresource] = resource.split('/');
    // kubectl says no by its exit status.
    const said = await answer(['auth', 'can-i', verb, type, ...(subresource === undefined ? [] : [`--subresource=${subresource}`]), ...where, AS]);
    expect(said).toMatch(may === 'yes' ? /^yes/ : /^refused: .* ended 1:/);
  });

  it("makes and deletes volumes of its own, and no customer's", async () => {
    const claim = (name: string, labels: Readonly<Record<string, string>>) => ({
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: { name, namespace: NAMESPACE, labels },
      spec: { accessModes: ['ReadWriteOnce'], storageClassName: 'nowhere', resources: { requests: { storage: '1Gi' } } },
    });
    const [customers, own] = [claim('customers', {}), claim('own', { 'app.kubernetes.io/managed-by': 'tenant-backup' })];
    await apply([customers, own]);
    const remove = (name: string) => answer(['delete', 'pvc', name, '-n', NAMESPACE, '--dry-run=server', AS]);
    expect(await remove('customers')).toMatch(/^refused.*only PersistentVolumeClaims of its own/s);
    expect(await remove('own')).toContain('deleted');
    const label = (key: string) => answer(['label', 'pvc', 'customers', `${key}=x`, '-n', NAMESPACE, '--dry-run=server', AS]);
    expect(await label('team')).toMatch(/^refused.*changes nothing of a PersistentVolumeClaim/s);
    expect(await label('backup.dupp.de/group-1')).toContain('labeled');
    expect(await answer(['create', '--dry-run=server', AS, '-f', '-'], JSON.stringify({ ...customers, metadata: { ...customers.metadata, name: 'new' } }))).toMatch(/^refused.*only PersistentVolumeClaims of its own/s);
    await kubectl(['delete', 'pvc', 'customers', 'own', '-n', NAMESPACE, '--wait=false']);
  });

  it('gives rights to the bridges of movers, for commands in pods that they name, and no others', async () => {
    const rbac = 'rbac.authorization.k8s.io';
    const role = (name: string, rule: object) => ({ apiVersion: `${rbac}/v1`, kind: 'Role', metadata: { name, namespace: NAMESPACE }, rules: [{ apiGroups: [''], resources: ['pods/exec'], verbs: ['create'], ...rule }] });
    const binding = (name: string, change: object = {}) => ({
      apiVersion: `${rbac}/v1`,
      kind: 'RoleBinding',
      metadata: { name, namespace: NAMESPACE },
      roleRef: { apiGroup: rbac, kind: 'Role', name },
      subjects: [{ kind: 'ServiceAccount', name, namespace: NAMESPACE }],
      ...change,
    });
    const make = (object: object) => answer(['create', '--dry-run=server', AS, '-f', '-'], JSON.stringify(object));
    expect(await make(role('tbmover-x', { resourceNames: ['app-0'] }))).toContain('created');
    expect(await make(role('other', { resourceNames: ['app-0'] }))).toMatch(/^refused.*whose names begin with tbmover-/s);
    expect(await make(role('tbmover-x', {}))).toMatch(/^refused.*in pods that it names/s);
    expect(await make(role('tbmover-x', { resourceNames: ['tbmover-y'] }))).toMatch(/^refused.*in pods that it names/s);
    expect(await make(role('tbmover-x', { resources: ['secrets'], resourceNames: ['one'], verbs: ['get'] }))).toMatch(/^refused/);
    expect(await make(binding('tbmover-x'))).not.toMatch(/begin with tbmover-|of its own name/);
    expect(await make(binding('tbmover-x', { roleRef: { apiGroup: rbac, kind: 'ClusterRole', name: 'tenant-backup' } }))).toMatch(/^refused/);
    expect(await make(binding('tbmover-x', { subjects: [{ kind: 'User', name: 'somebody', apiGroup: rbac }] }))).toMatch(/^refused/);
    expect(await make({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'other', namespace: NAMESPACE } })).toMatch(/^refused.*whose names begin with tbmover-/s);
  });

  it('runs twice, without root and without a writable file system', async () => {
    const pods = await listObjects<{ spec: { securityContext: object; containers: { securityContext: object }[] } }>('pods', 'tenant-backup-system', 'app.kubernetes.io/component=operator');
    expect(pods.length).toBe(2);
    for (const { spec } of pods) {
      expect(spec.securityContext).toMatchObject({ runAsNonRoot: true, runAsUser: 65532 });
      expect(spec.containers[0]?.securityContext).toMatchObject({ readOnlyRootFilesystem: true, allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } });
    }
  });
});
