import { API_VERSION, CATEGORY } from '../../src/api/index.ts';
import { objectSchema, type Kind } from './crd.ts';
import type { StructuralSchema } from './structural-schema.ts';

/** The reference page of one kind, in Markdown. */
export function referencePage(kind: Kind): string {
  const schema = objectSchema(kind);
  const lines = [
    `# ${kind.kind}`,
    '',
    '<!-- Made by `make generate` from src/api. Do not edit. -->',
    '',
    kind.description,
    '',
    `\`${API_VERSION}\`, ${kind.scope === 'Cluster' ? 'cluster-scoped' : 'namespaced'}; short name \`${kind.shortNames.join('`, `')}\`, category \`${CATEGORY}\`.`,
    '',
    ...table('spec', schema.properties?.['spec']),
    ...table('status', schema.properties?.['status']),
    '## Columns of `kubectl get`',
    '',
    '| column | meaning |',
    '| --- | --- |',
    ...kind.columns.map(({ name, description, priority }) => `| ${name}${priority === 1 ? ' (`-o wide`)' : ''} | ${description} |`),
    '',
  ];
  return lines.join('\n');
}

function table(part: string, schema: StructuralSchema | undefined): string[] {
  if (schema === undefined) return [];
  return [`## ${part}`, '', '| field | type | meaning |', '| --- | --- | --- |', ...rows(schema, part), ''];
}

function rows(schema: StructuralSchema, path: string): string[] {
  const required = new Set(schema.required);
  return Object.entries(schema.properties ?? {}).flatMap(([name, field]) => {
    const at = `${path}.${name}`;
    const inner = field.type === 'array' && field.items ? field.items : field;
    const below = inner.properties ? rows(inner, inner === field ? at : `${at}[]`) : [];
    return [`| \`${at}\` | ${typeOf(field)}${required.has(name) ? ', required' : ''} | ${meaning(field)} |`, ...below];
  });
}

function typeOf(field: StructuralSchema): string {
  if (field.type === 'array') return `list of ${field.items?.type ?? 'object'}`;
  if (field.additionalProperties) return `map of ${field.additionalProperties.type ?? 'object'}`;
  return field['format'] === 'date-time' ? 'time' : (field.type ?? '');
}

function meaning(field: StructuralSchema): string {
  const words = [field.description ?? ''];
  const choices = field['enum'];
  if (Array.isArray(choices)) words.push(`One of ${choices.map((each) => `\`${String(each)}\``).join(', ')}.`);
  const fallback = field['default'];
  if (fallback !== undefined && typeof fallback !== 'object') words.push(`Default: \`${JSON.stringify(fallback)}\`.`);
  for (const rule of (field['x-kubernetes-validations'] as { message: string }[] | undefined) ?? []) words.push(`Rule: ${rule.message}.`);
  return words.join(' ').replaceAll('|', '\\|');
}
