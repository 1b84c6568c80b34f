import type { ObjectMeta, OwnerReference } from '../api/index.ts';

const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration';

/** What is kept of an object's metadata: all but managedFields, selfLink and the copy that `kubectl apply` leaves. */
export function projectMeta(raw: ObjectMeta): ObjectMeta {
  const annotations = withoutLastApplied(raw.annotations);
  return {
    name: raw.name,
    ...(raw.namespace === undefined ? {} : { namespace: raw.namespace }),
    uid: raw.uid,
    resourceVersion: raw.resourceVersion,
    generation: raw.generation,
    creationTimestamp: raw.creationTimestamp,
    ...(raw.deletionTimestamp === undefined ? {} : { deletionTimestamp: raw.deletionTimestamp }),
    ...(raw.finalizers === undefined ? {} : { finalizers: raw.finalizers }),
    ...(raw.labels === undefined ? {} : { labels: raw.labels }),
    ...(annotations === undefined ? {} : { annotations }),
    ...(raw.ownerReferences === undefined ? {} : { ownerReferences: raw.ownerReferences.map(projectOwner) }),
  };
}

function withoutLastApplied(annotations: Readonly<Record<string, string>> | undefined): Readonly<Record<string, string>> | undefined {
  if (annotations === undefined) return undefined;
  const kept = Object.entries(annotations).filter(([name]) => name !== LAST_APPLIED);
  return kept.length === 0 ? undefined : Object.fromEntries(kept);
}

function projectOwner(owner: OwnerReference): OwnerReference {
  return {
    apiVersion: owner.apiVersion,
    kind: owner.kind,
    name: owner.name,
    uid: owner.uid,
    ...(owner.controller === undefined ? {} : { controller: owner.controller }),
    ...(owner.blockOwnerDeletion === undefined ? {} : { blockOwnerDeletion: owner.blockOwnerDeletion }),
  };
}
