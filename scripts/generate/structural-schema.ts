import * as z from 'zod';

/** A node of a structural schema (apiextensions.k8s.io/v1): plain OpenAPI v3 with Kubernetes' extensions. */
export interface StructuralSchema {
  type?: string;
  description?: string;
  properties?: Record<string, StructuralSchema>;
  items?: StructuralSchema;
  additionalProperties?: StructuralSchema;
  required?: string[];
  [keyword: string]: unknown;
}

/** Keywords of JSON Schema that a structural schema may carry as they are. */
const kept = new Set([
  'type',
  'description',
  'default',
  'enum',
  'format',
  'maxItems',
  'maxLength',
  'maxProperties',
  'maximum',
  'minItems',
  'minLength',
  'minProperties',
  'minimum',
  'pattern',
]);

/**
 * The structural schema of a zod schema: what a client may send (defaults are not required).
 * @throws {Error} naming the path of whatever the API server would refuse or drop: unions, tuples, a field without a description
 */
export function structuralSchema(schema: z.ZodType, path: string): StructuralSchema {
  const json = z.toJSONSchema(schema, { io: 'input', target: 'openapi-3.0', reused: 'inline' });
  return convert(json, path);
}

function convert(json: Record<string, unknown>, path: string): StructuralSchema {
  for (const keyword of ['anyOf', 'oneOf', 'allOf', '$ref', 'not', 'prefixItems', 'const']) {
    if (keyword in json) throw new Error(`${path}: a structural schema cannot say "${keyword}"; describe the field with one type and CEL rules`);
  }
  if (typeof json['type'] !== 'string') throw new Error(`${path}: the field has no single type`);
  const out: StructuralSchema = {};
  for (const [keyword, value] of Object.entries(json)) {
    if (kept.has(keyword) || keyword.startsWith('x-kubernetes-')) out[keyword] = value;
  }
  if (out.type === 'integer') {
    out['format'] = 'int64';
    // zod states JavaScript's own limits; they say nothing to a reader of the CRD.
    if (out['maximum'] === Number.MAX_SAFE_INTEGER) delete out['maximum'];
    if (out['minimum'] === Number.MIN_SAFE_INTEGER) delete out['minimum'];
  }
  const properties = json['properties'] as Record<string, Record<string, unknown>> | undefined;
  if (properties) {
    out.properties = Object.fromEntries(Object.entries(properties).map(([name, each]) => [name, convert(each, `${path}.${name}`)]));
    const required = (json['required'] as string[] | undefined)?.filter((name) => !('default' in (properties[name] ?? {})));
    if (required && required.length > 0) out.required = required;
  }
  if (typeof json['items'] === 'object') out.items = convert(json['items'] as Record<string, unknown>, `${path}[]`);
  if (typeof json['additionalProperties'] === 'object') {
    out.additionalProperties = convert(json['additionalProperties'] as Record<string, unknown>, `${path}{}`);
  }
  return out;
}

/** Paths of fields without a description; `kubectl explain` would have nothing to say about them. */
export function undocumented(schema: StructuralSchema, path: string): string[] {
  const own = schema.description === undefined && !path.endsWith('[]') && !path.endsWith('{}') ? [path] : [];
  const below = Object.entries(schema.properties ?? {}).flatMap(([name, each]) => undocumented(each, `${path}.${name}`));
  const items = schema.items ? undocumented(schema.items, `${path}[]`) : [];
  const values = schema.additionalProperties ? undocumented(schema.additionalProperties, `${path}{}`) : [];
  return [...own, ...below, ...items, ...values];
}
