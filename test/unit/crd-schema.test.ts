import { describe, expect, it } from '@jest/globals';
import * as z from 'zod';
import { kinds, immutable, listMap } from '../../src/api/index.ts';
import { chartCrdYaml, crd, crdYaml, objectSchema } from '../../scripts/generate/crd.ts';
import { referencePage } from '../../scripts/generate/reference.ts';
import { structuralSchema, undocumented, type StructuralSchema } from '../../scripts/generate/structural-schema.ts';

/** Every node of a schema with its path. */
function nodes(schema: StructuralSchema, path = ''): [string, StructuralSchema][] {
  return [
    [path, schema],
    ...Object.entries(schema.properties ?? {}).flatMap(([name, each]) => nodes(each, `${path}.${name}`)),
    ...(schema.items ? nodes(schema.items, `${path}[]`) : []),
    ...(schema.additionalProperties ? nodes(schema.additionalProperties, `${path}{}`) : []),
  ];
}

describe('a structural schema', () => {
  it('keeps types, limits, defaults and the extensions of Kubernetes', () => {
    const schema = z.object({
      name: z.string().min(1).max(63).regex(/^a/).meta({ description: 'Name.' }),
      count: z.int().min(1).max(9).default(3).meta({ description: 'Count.' }),
      slots: listMap(z.array(z.object({ uid: z.string().meta({ description: 'UID.' }) })).meta({ description: 'Slots.' }), 'uid').optional(),
      when: z.string().meta({ format: 'date-time', description: 'When.' }).optional(),
    });

    expect(structuralSchema(schema, 'spec')).toEqual({
      type: 'object',
      required: ['name'],
      properties: {
        name: { type: 'string', minLength: 1, maxLength: 63, pattern: '^a', description: 'Name.' },
        count: { type: 'integer', format: 'int64', minimum: 1, maximum: 9, default: 3, description: 'Count.' },
        slots: {
          type: 'array',
          description: 'Slots.',
          'x-kubernetes-list-type': 'map',
          'x-kubernetes-list-map-keys': ['uid'],
          items: { type: 'object', required: ['uid'], properties: { uid: { type: 'string', description: 'UID.' } } },
        },
        when: { type: 'string', format: 'date-time', description: 'When.' },
      },
    });
  });

  it('carries rules of immutable fields', () => {
    const schema = structuralSchema(z.object({ policy: immutable(z.string(), 'spec.policy') }), 'spec');
    expect(schema.properties?.['policy']?.['x-kubernetes-validations']).toEqual([{ rule: 'self == oldSelf', message: 'spec.policy cannot be changed after creation' }]);
  });

  it.each([
    ['a union', z.object({ a: z.union([z.string(), z.int()]) }), /spec\.a: a structural schema cannot say "anyOf"/],
    ['any value', z.object({ a: z.unknown() }), /spec\.a: the field has no single type/],
  ])('is refused for %s, by path', (_, schema, says) => {
    expect(() => structuralSchema(schema, 'spec')).toThrow(says);
  });

  it('names fields that kubectl explain would be silent about', () => {
    const schema = structuralSchema(z.object({ a: z.string(), b: z.array(z.object({ c: z.string() })).meta({ description: 'B.' }) }).meta({ description: 'It.' }), 'spec');
    expect(undocumented(schema, 'spec')).toEqual(['spec.a', 'spec.b[].c']);
  });
});

describe.each(kinds.map((kind) => [kind.kind, kind] as const))('the CRD of %s', (_, kind) => {
  const schema = objectSchema(kind);

  it('has nothing that the API server ignores or refuses', () => {
    for (const [path, node] of nodes(schema)) {
      expect([path, typeof node.type]).toEqual([path, 'string']);
      expect([path, Object.keys(node).filter((key) => key === 'additionalProperties' && node.additionalProperties === undefined)]).toEqual([path, []]);
    }
  });

  it('bounds every list and map of its spec, so that rules have a price', () => {
    const spec = schema.properties?.['spec'] ?? {};
    const unbounded = nodes(spec).filter(([, node]) => (node.type === 'array' && node['maxItems'] === undefined) || (node.additionalProperties && node['maxProperties'] === undefined));
    expect(unbounded.map(([path]) => path)).toEqual([]);
  });

  it('has a status subresource, short names, the category and columns that name fields which exist', () => {
    const { spec } = crd(kind) as { spec: { names: { shortNames: string[]; categories: string[] }; versions: { subresources: object; additionalPrinterColumns: { jsonPath: string }[] }[] } };
    expect(spec.names.categories).toEqual(['tenant-backup']);
    expect(spec.names.shortNames.length).toBeGreaterThan(0);
    expect(spec.versions[0]?.subresources).toEqual({ status: {} });
    const paths = new Set(nodes(schema).map(([path]) => path));
    for (const { jsonPath } of spec.versions[0]?.additionalPrinterColumns ?? []) {
      if (jsonPath.startsWith('.metadata')) continue;
      expect(paths).toContain(jsonPath.replace(/\[\?.*?\]/, '[]'));
    }
  });

  it('is kept by Helm in the chart, and written out whole without it', () => {
    expect(crdYaml(kind)).not.toContain('helm.sh');
    expect(chartCrdYaml(kind)).toContain('helm.sh/resource-policy: keep');
    expect(chartCrdYaml(kind).replaceAll('{{ "{{" }}', '')).not.toContain('{{');
  });

  it('has a reference page with a row for each field', () => {
    const page = referencePage(kind);
    for (const part of ['spec', 'status'] as const) {
      for (const [path] of nodes(schema.properties?.[part] ?? {}, part)) {
        if (path === part || /[\]}]$/.test(path)) continue;
        expect(page).toContain(`\`${path}\``);
      }
    }
  });
});
