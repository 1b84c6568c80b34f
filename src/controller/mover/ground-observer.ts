import { LABEL_MANAGED_BY, MANAGED_BY, type BackupTenant } from '../../api/index.ts';
import { familyOf, type ClaimFact, type ExecPodFact, type GroundFacts, type VolumeUserFact, type WarningFact } from '../../decide/index.ts';
import { ResourceClient, resourceTypes } from '../../kube/index.ts';
import type { RawEvent, RawPod } from '../raw-objects.ts';
import { claimFact, execPodFact, volumeUserFact, warningFact } from './facts.ts';
import type { MoverContext } from './mover-context.ts';

export function observeGround(context: MoverContext, namespace: string, policyName: string): GroundFacts {
  const { caches } = context;
  const home = caches.namespaces.get(namespace);
  const policy = caches.policies.get(policyName, namespace);
  const tenant = tenantOf(context, namespace);
  // A deleted policy still leaves the tenant, and with it the location that the data lies in.
  const location = policy?.spec.location ?? tenant?.spec.location;
  return {
    namespace:
      home === undefined
        ? undefined
        : { uid: home.metadata.uid, terminating: home.metadata.deletionTimestamp !== undefined || home.status?.phase === 'Terminating' },
    policyName,
    policy,
    location: location === undefined ? undefined : caches.locations.get(location),
    tenant,
  };
}

/** The tenant of the namespace as it is now, not of an earlier one of the same name. */
export function tenantOf(context: { readonly caches: Pick<MoverContext['caches'], 'namespaces' | 'tenants'> }, namespace: string): BackupTenant | undefined {
  const uid = context.caches.namespaces.get(namespace)?.metadata.uid;
  return uid === undefined ? undefined : context.caches.tenants.byIndex('namespaceUID', uid)[0];
}

/** Claims of the customer. Those that we make of them for a while are none. */
export function observeClaims({ caches }: { readonly caches: Pick<MoverContext['caches'], 'claims' | 'volumes'> }, namespace: string): readonly ClaimFact[] {
  return caches.claims
    .byIndex('namespace', namespace)
    .filter(({ metadata: { name, labels } }) => familyOf(name) === undefined || labels?.[LABEL_MANAGED_BY] !== MANAGED_BY)
    .map((claim) => claimFact(claim, claim.spec?.volumeName ? caches.volumes.get(claim.spec.volumeName) : undefined));
}

/** Warnings about these claims, e.g. of their provisioner, read from the API server: events about claims are not watched. */
export async function observeClaimWarnings(context: MoverContext, namespace: string, claims: readonly string[], signal: AbortSignal): Promise<readonly WarningFact[]> {
  const client = new ResourceClient<RawEvent>(context.connection, resourceTypes.coreEvents);
  const found = await Promise.all(claims.map((name) => client.list({ namespace, fieldSelector: `involvedObject.kind=PersistentVolumeClaim,involvedObject.name=${name},type=Warning` }, signal)));
  return found.flatMap(({ items }) => items.map(warningFact)).sort((a, b) => b.seenAt - a.seenAt);
}

/** Every pod of the namespace that holds a volume, read from the API server: customers' pods are not watched. */
export async function observeUsers(context: MoverContext, namespace: string, signal: AbortSignal): Promise<readonly VolumeUserFact[]> {
  const { items } = await new ResourceClient<RawPod>(context.connection, resourceTypes.pods).list({ namespace }, signal);
  return items.flatMap((pod) => volumeUserFact(pod, context.caches.nodes.get(pod.spec?.nodeName ?? '')) ?? []);
}

/** The customer's pods of the namespace, in which hooks and streams run, read from the API server. */
export async function observeExecPods(context: MoverContext, namespace: string, signal: AbortSignal): Promise<readonly ExecPodFact[]> {
  const { items } = await new ResourceClient<RawPod>(context.connection, resourceTypes.pods).list({ namespace }, signal);
  return items.flatMap((pod) => execPodFact(pod) ?? []);
}
