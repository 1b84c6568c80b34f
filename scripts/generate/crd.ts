import { stringify } from 'yaml';
import { CATEGORY, GROUP, VERSION, type kinds } from '../../src/api/index.ts';
import { structuralSchema, undocumented, type StructuralSchema } from './structural-schema.ts';

export type Kind = (typeof kinds)[number];

/** The schema of a whole object of this kind. */
export function objectSchema(kind: Kind): StructuralSchema {
  const spec: StructuralSchema = { description: `What ${article(kind.kind)} ${kind.kind} should be.`, ...structuralSchema(kind.spec, `${kind.kind}.spec`) };
  const status: StructuralSchema = { description: 'What was observed; written by the operator.', ...structuralSchema(kind.status, `${kind.kind}.status`) };
  const schema: StructuralSchema = {
    type: 'object',
    description: kind.description,
    required: ['spec'],
    properties: {
      apiVersion: { type: 'string', description: 'Version of the schema of this object.' },
      kind: { type: 'string', description: 'The kind of this object.' },
      metadata: { type: 'object' },
      spec,
      status,
    },
    ...(kind.rules.length > 0 ? { 'x-kubernetes-validations': kind.rules } : {}),
  };
  const silent = undocumented(schema, kind.kind).filter((path) => path !== `${kind.kind}.metadata`);
  if (silent.length > 0) throw new Error(`fields without a description: ${silent.join(', ')}`);
  return schema;
}

/** The CustomResourceDefinition as an object. */
export function crd(kind: Kind): Record<string, unknown> {
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${kind.plural}.${GROUP}` },
    spec: {
      group: GROUP,
      scope: kind.scope === 'Cluster' ? 'Cluster' : 'Namespaced',
      names: {
        kind: kind.kind,
        listKind: `${kind.kind}List`,
        plural: kind.plural,
        singular: kind.singular,
        shortNames: kind.shortNames,
        categories: [CATEGORY],
      },
      versions: [
        {
          name: VERSION,
          served: true,
          storage: true,
          subresources: { status: {} },
          additionalPrinterColumns: kind.columns,
          schema: { openAPIV3Schema: objectSchema(kind) },
        },
      ],
    },
  };
}

const HEAD = '# Made by `make generate` from src/api. Do not edit.\n';

export function crdYaml(kind: Kind): string {
  return HEAD + stringify(crd(kind), { lineWidth: 0, aliasDuplicateObjects: false });
}

/** The chart's copy: a template, since Helm never upgrades what lies under `crds/`; kept when the chart goes. */
export function chartCrdYaml(kind: Kind): string {
  const definition = crd(kind);
  definition['metadata'] = { ...(definition['metadata'] as object), annotations: { 'helm.sh/resource-policy': 'keep' } };
  const yaml = stringify(definition, { lineWidth: 0, aliasDuplicateObjects: false });
  return HEAD + yaml.replaceAll('{{', '{{ "{{" }}');
}

function article(noun: string): string {
  return /^[AEIOU]/.test(noun) ? 'an' : 'a';
}
