import * as z from 'zod';

/** A validation rule in the Common Expression Language, checked by the API server at admission. */
export interface CelRule {
  readonly rule: string;
  readonly message: string;
  readonly fieldPath?: string;
}

/** A column of `kubectl get`. Priority 1 shows with `-o wide` only. */
export interface PrinterColumn {
  readonly name: string;
  readonly type: 'string' | 'integer' | 'date' | 'boolean';
  readonly jsonPath: string;
  readonly description: string;
  readonly priority?: 0 | 1;
}

/** One custom resource kind: the single source of its types, its CRD and its reference page. */
export interface KindDefinition<Spec extends z.ZodType, Status extends z.ZodType> {
  readonly kind: string;
  readonly plural: string;
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly scope: 'Namespaced' | 'Cluster';
  readonly description: string;
  readonly spec: Spec;
  readonly status: Status;
  /** Rules on the whole object (`self.spec`, `oldSelf.spec`). */
  readonly rules: readonly CelRule[];
  readonly columns: readonly PrinterColumn[];
}

/** Gives a kind definition its inferred type. */
export function defineKind<Spec extends z.ZodType, Status extends z.ZodType>(definition: KindDefinition<Spec, Status>): KindDefinition<Spec, Status> {
  return definition;
}

/** Attaches CEL rules to a field, beside those that it has; they reach the CRD as `x-kubernetes-validations`. */
export function withRules<T extends z.ZodType>(schema: T, ...rules: readonly CelRule[]): T {
  const { 'x-kubernetes-validations': before = [], ...meta } = schema.meta() ?? {};
  return schema.meta({ ...meta, 'x-kubernetes-validations': [...(before as readonly CelRule[]), ...rules] });
}

/** Marks a list as a map keyed by `keys`, so that server-side apply merges its entries one by one. */
export function listMap<T extends z.ZodType>(schema: T, ...keys: readonly string[]): T {
  return schema.meta({ ...schema.meta(), 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': keys });
}

/** Refuses a change of this field after creation. An optional field also needs `rules` on its parent, for it may be added later. */
export function immutable<T extends z.ZodType>(schema: T, field: string): T {
  return withRules(schema, { rule: 'self == oldSelf', message: `${field} cannot be changed after creation` });
}

/** An object as the API server hands it out, its spec and status parsed. */
export interface KubernetesResource<Spec, Status> {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: ObjectMeta;
  readonly spec: Spec;
  readonly status?: Status | undefined;
}

/** The part of `metav1.ObjectMeta` that decisions look at. */
export interface ObjectMeta {
  readonly name: string;
  readonly namespace?: string | undefined;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly generation: number;
  /** RFC 3339 */
  readonly creationTimestamp: string;
  readonly deletionTimestamp?: string | undefined;
  readonly finalizers?: readonly string[] | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
  readonly ownerReferences?: readonly OwnerReference[] | undefined;
}

export interface OwnerReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly controller?: boolean | undefined;
  readonly blockOwnerDeletion?: boolean | undefined;
}
