// The roles that the chart has for people, and what the runbook tells them to do.
import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { parseAllDocuments } from 'yaml';
import { kinds } from '../../src/api/index.ts';
import { binary, KUBERNETES_VERSION } from '../ground/binaries.ts';
import { run } from '../ground/run.ts';

const OURS = 'backup.dupp.de';
const SNAPSHOTS = { volumesnapshot: 'snapshot', volumesnapshotcontent: 'snapshot', volumegroupsnapshot: 'groupsnapshot', volumegroupsnapshotcontent: 'groupsnapshot' };
/** What kubectl takes for a resource: `group/plural`, and whether its objects lie in namespaces. */
const resources: ReadonlyMap<string, { readonly resource: string; readonly namespaced: boolean }> = new Map([
  ...kinds.flatMap(({ plural, singular, shortNames, scope }) => [plural, singular, ...shortNames].map((name) => [name, { resource: `${OURS}/${plural}`, namespaced: scope === 'Namespaced' }] as const)),
  ...Object.entries(SNAPSHOTS).flatMap(([name, group]) => [name, `${name}s`].map((each) => [each, { resource: `${group}.storage.k8s.io/${name}s`, namespaced: !name.endsWith('content') }] as const)),
  ['pvc', { resource: 'persistentvolumeclaims', namespaced: true }],
  ['pv', { resource: 'persistentvolumes', namespaced: false }],
  ['jobs', { resource: 'batch/jobs', namespaced: true }],
  ['pods', { resource: 'pods', namespaced: true }],
]);
const verbs: Readonly<Record<string, readonly string[]>> = { get: ['get', 'list'], describe: ['get', 'list'], annotate: ['get', 'patch'], patch: ['get', 'patch'] };
/** Who does this may do anything in the cluster. */
const FOR_ADMINS = /^(taint node|delete pod|exec|-n tenant-backup-system get secret)\b/;

interface Role {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly rules: readonly { readonly apiGroups: readonly string[]; readonly resources: readonly string[]; readonly verbs: readonly string[] }[];
}

let roles: ReadonlyMap<string, ReadonlySet<string>>;

beforeAll(async () => {
  const text = await run(await binary('helm'), ['template', 'tenant-backup', 'charts/tenant-backup', '--namespace=system', `--kube-version=${KUBERNETES_VERSION}`, '--show-only=templates/roles.yaml']);
  const found = parseAllDocuments(text).map((document) => document.toJS() as Role);
  roles = new Map(found.map(({ metadata, rules }) => [metadata.name, new Set(rules.flatMap((rule) => rule.apiGroups.flatMap((group) => rule.resources.flatMap((resource) => rule.verbs.map((verb) => `${group === '' ? '' : `${group}/`}${resource} ${verb}`)))))]));
}, 300_000);

/** The runbook's commands, without `kubectl`, that name a resource. */
const commands = [...readFileSync('docs/runbook.md', 'utf8').matchAll(/kubectl ([a-z-][^`|;#\n]*)/g)].map(([, command = '']) => command.trim()).filter((command) => command.includes(' ') && !FOR_ADMINS.test(command));

describe('the roles for people', () => {
  it.each(commands)('let the platform do what the runbook says: kubectl %s', (command) => {
    const [verb = '', what = ''] = command.split(' ');
    for (const name of what.split(',')) {
      const { resource, namespaced } = resources.get(name) ?? { resource: `? ${name}`, namespaced: false };
      for (const each of verbs[verb] ?? [`? ${verb}`]) expect([...(roles.get('tenant-backup-platform') ?? [])]).toContain(`${resource} ${each}`);
      if (namespaced) expect(command).toMatch(/ (-n \S+|-A\b)/);
    }
  });

  it('let support look at the same, back up and restore, and neither delete a backup nor change a policy', () => {
    const support = roles.get('tenant-backup-support') ?? new Set();
    for (const { plural } of kinds) expect([...support]).toContain(`${OURS}/${plural} list`);
    expect([...support].filter((right) => right.startsWith(OURS) && !/ (get|list|watch)$/.test(right)).sort()).toEqual(
      [...['create', 'patch', 'update'].map((verb) => `${OURS}/backups ${verb}`), ...['create', 'delete', 'patch', 'update'].map((verb) => `${OURS}/restores ${verb}`)],
    );
  });

  it('let viewers look at what lies in namespaces, and at nothing else', () => {
    const viewer = kinds.filter(({ scope }) => scope === 'Namespaced').flatMap(({ plural }) => ['get', 'list', 'watch'].map((verb) => `${OURS}/${plural} ${verb}`));
    expect([...(roles.get('tenant-backup-viewer') ?? [])].sort()).toEqual(viewer.sort());
  });
});
