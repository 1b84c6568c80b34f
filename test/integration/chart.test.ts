// What the chart makes, as Helm renders it.
import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { parse, parseAllDocuments } from 'yaml';
import { kinds } from '../../src/api/index.ts';
import { binary, KUBERNETES_VERSION } from '../ground/binaries.ts';
import { run } from '../ground/run.ts';

const CHART = 'charts/tenant-backup';
/** A Helm that was built from source believes in a Kubernetes of its own. */
const KUBERNETES = `--kube-version=${KUBERNETES_VERSION}`;

interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
}

interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly annotations?: Readonly<Record<string, string>> };
  readonly rules?: readonly Rule[];
  readonly spec?: Readonly<Record<string, unknown>>;
}

interface PodSpec {
  readonly containers: readonly { readonly image: string; readonly args: readonly string[] }[];
  readonly affinity?: object;
  readonly nodeSelector?: object;
  readonly tolerations?: readonly object[];
  readonly priorityClassName?: string;
  readonly imagePullSecrets?: readonly object[];
}

let helm: string;

beforeAll(async () => {
  helm = await binary('helm');
}, 300_000);

async function template(...settings: readonly string[]): Promise<Manifest[]> {
  const text = await run(helm, ['template', 'tenant-backup', CHART, '--namespace=backup-system', KUBERNETES, ...settings.map((each) => `--set=${each}`)]);
  return parseAllDocuments(text)
    .map((document) => document.toJS() as Manifest | null)
    .filter((manifest) => manifest !== null);
}

function podOf(manifests: readonly Manifest[]): PodSpec {
  const deployment = manifests.find(({ kind }) => kind === 'Deployment');
  const spec = deployment?.spec as { template: { spec: PodSpec } };
  return spec.template.spec;
}

function rulesOf(manifests: readonly Manifest[]): { name: string; rule: Rule }[] {
  return manifests.flatMap(({ metadata, rules }) => (rules ?? []).map((rule) => ({ name: metadata.name, rule })));
}

describe('the chart', () => {
  it('passes helm lint, strictly', async () => {
    await expect(run(helm, ['lint', '--strict', CHART])).resolves.toContain('0 chart(s) failed');
  });

  it('installs every CRD, and keeps them when it goes', async () => {
    const crds = (await template()).filter(({ kind }) => kind === 'CustomResourceDefinition');
    expect(crds.map(({ metadata }) => metadata.name).sort()).toEqual(kinds.map(({ plural }) => `${plural}.backup.dupp.de`).sort());
    for (const { metadata, spec } of crds) {
      expect(metadata.annotations?.['helm.sh/resource-policy']).toBe('keep');
      const alone = parse(readFileSync(`crds/${metadata.name.split('.')[0] ?? ''}.yaml`, 'utf8')) as Manifest;
      expect(spec).toEqual(alone.spec);
    }
  });

  it('gives no wildcard, and no right to impersonate, escalate or bind', async () => {
    for (const { name, rule } of rulesOf(await template())) {
      const all = [...rule.apiGroups, ...rule.resources, ...rule.verbs];
      expect([name, all.filter((each) => each.includes('*'))]).toEqual([name, []]);
      expect([name, rule.verbs.filter((verb) => ['impersonate', 'escalate', 'bind', 'deletecollection'].includes(verb))]).toEqual([name, []]);
      expect([name, rule.resources.filter((resource) => ['pods/attach', 'pods/ephemeralcontainers', 'serviceaccounts/token'].includes(resource))]).toEqual([name, []]);
    }
  });

  it('lets the operator run commands in pods, for hooks, unless the platform wants none', async () => {
    const exec = (manifests: readonly Manifest[]) => rulesOf(manifests).filter(({ rule }) => rule.resources.includes('pods/exec')).map(({ name, rule }) => [name, ...rule.resources, ...rule.verbs]);
    expect(exec(await template())).toEqual([['tenant-backup', 'pods/exec', 'get', 'create']]);
    expect(exec(await template('rbac.exec=false'))).toEqual([]);
  });

  it('lets Secrets be listed in its own namespace and that of movers only', async () => {
    const lists = (await template()).filter(({ rules }) => rules?.some(({ resources, verbs }) => resources.includes('secrets') && verbs.includes('list')));
    expect(lists.map(({ kind, metadata }) => [kind, metadata.namespace])).toEqual([
      ['Role', 'backup-system'],
      ['Role', 'backup-system-movers'],
    ]);
  });

  it('lets nobody delete a tenant', async () => {
    const deleters = rulesOf(await template()).filter(({ rule }) => rule.resources.includes('backuptenants') && rule.verbs.includes('delete'));
    expect(deleters).toEqual([]);
  });

  it('lets more kinds of workloads be scaled when told', async () => {
    const rules = rulesOf(await template('rbac.extraScalables[0].apiGroup=example.com', 'rbac.extraScalables[0].resource=databases'));
    expect(rules.some(({ rule }) => rule.apiGroups.includes('example.com') && rule.resources.includes('databases/scale') && rule.verbs.includes('patch'))).toBe(true);
  });

  it('lets the operator run commands in pods for hooks, and not when told so', async () => {
    const mayExec = (objects: Parameters<typeof rulesOf>[0]) => rulesOf(objects).some(({ rule }) => rule.resources.includes('pods/exec') || rule.resources.includes('roles'));
    expect(mayExec(await template())).toBe(true);
    expect(mayExec(await template('rbac.exec=false'))).toBe(false);
  });

  it.each([
    ['the version of the chart', [], 'tenant-backup:0.1.0'],
    ['a tag', ['image.repository=registry.example.com/tb', 'image.tag=v9'], 'registry.example.com/tb:v9'],
    ['a digest, before any tag', ['image.repository=registry.example.com/tb', 'image.tag=v9', `image.digest=sha256:${'a'.repeat(64)}`], `registry.example.com/tb@sha256:${'a'.repeat(64)}`],
  ])('takes its image by %s, and so do movers', async (_, settings, image) => {
    const [container] = podOf(await template(...settings)).containers;
    expect(container?.image).toBe(image);
    expect(container?.args).toContain(`--mover-image=${image}`);
  });

  it('makes optional things when told, and none of them when not', async () => {
    const kindsOf = async (...settings: string[]): Promise<Set<string>> => new Set((await template(...settings)).map(({ kind }) => kind));
    expect(await kindsOf()).not.toContain('ServiceMonitor');
    expect(await kindsOf('serviceMonitor.enabled=true')).toContain('ServiceMonitor');
    expect(await kindsOf()).not.toContain('PrometheusRule');
    expect(await kindsOf('prometheusRule.enabled=true')).toContain('PrometheusRule');
    expect(await kindsOf('replicas=1')).not.toContain('PodDisruptionBudget');
    expect(await kindsOf('networkPolicy.enabled=false')).not.toContain('NetworkPolicy');
    expect(await kindsOf('admission.enabled=false')).not.toContain('ValidatingAdmissionPolicy');
  });

  it('places its pods where it is told, and adds the labels that it is told', async () => {
    const { affinity, nodeSelector, tolerations, priorityClassName, imagePullSecrets } = podOf(await template());
    expect([nodeSelector, tolerations, priorityClassName, imagePullSecrets]).toEqual([undefined, undefined, undefined, undefined]);
    expect(affinity).toMatchObject({ podAntiAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 100 }] } });
    const placed = await template(
      ...['nodeSelector.disk=fast', 'tolerations[0].key=platform', 'tolerations[0].operator=Exists', 'priorityClassName=high', 'image.pullSecrets[0].name=registry'],
      ...['affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[0].key=zone', 'podLabels.team=storage', 'replicas=1'],
    );
    expect(podOf(placed)).toMatchObject({ nodeSelector: { disk: 'fast' }, tolerations: [{ key: 'platform', operator: 'Exists' }], priorityClassName: 'high', imagePullSecrets: [{ name: 'registry' }] });
    expect(Object.keys(podOf(placed).affinity ?? {})).toEqual(['nodeAffinity']);
    const [deployment] = placed.filter(({ kind }) => kind === 'Deployment');
    const { selector, template: pod } = deployment?.spec as { selector: { matchLabels: object }; template: { metadata: { labels: object } } };
    expect(pod.metadata.labels).toMatchObject({ ...selector.matchLabels, team: 'storage' });
  });

  it.each([
    ['an unknown value', 'replica=2', /replica/],
    ['no replicas', 'replicas=0', /replicas/],
    ['an unknown level', 'logLevel=loud', /logLevel/],
    ['a digest that is none', 'image.digest=latest', /digest/],
    ['a part that is taken away', 'mover=null', /missing property 'mover'/],
    ['resources that are none', 'resources.limits.memory=1Gb', /resources\/limits\/memory/],
    ['resources under a wrong name', 'resources.limts.memory=1Gi', /limts/],
    ['a toleration under a wrong name', 'tolerations[0].taint=x', /taint/],
    ["movers beside the locations' Secrets", 'mover.namespace=backup-system', /mover\.namespace: movers cannot run in the release's own namespace/],
    ['a label that selectors need', 'podLabels.app\\.kubernetes\\.io/name=x', /podLabels: the label app\.kubernetes\.io\/name is the chart's own/],
    ['the same of a ServiceMonitor', 'serviceMonitor.enabled=true,serviceMonitor.labels.helm\\.sh/chart=x', /serviceMonitor\.labels: the label helm\.sh\/chart/],
  ])('refuses %s by name', async (_, setting, says) => {
    await expect(template(setting)).rejects.toThrow(says);
  });
});
