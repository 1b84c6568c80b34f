import { API_VERSION, LABEL_MANAGED_BY, MANAGED_BY, type BackupTenant, type BackupTenantStatus } from '../api/index.ts';
import { mergeConditions } from './conditions.ts';
import { displayTime } from './display.ts';

/** Room for the rest of a name of 253 characters. */
const UID_DIGITS = 8;

/** `<namespace>-<first 8 hex of the namespace's UID>`: another namespace of the same name is another tenant. */
export function tenantName(namespace: { readonly name: string; readonly uid: string }): string {
  return `${namespace.name}-${namespace.uid.replaceAll('-', '').slice(0, UID_DIGITS)}`;
}

/** The tenant of a namespace that gets its first policy. */
export function newTenant(namespace: { readonly name: string; readonly uid: string }, location: string, tenantId: string) {
  return {
    apiVersion: API_VERSION,
    kind: 'BackupTenant',
    metadata: { name: tenantName(namespace), labels: { [LABEL_MANAGED_BY]: MANAGED_BY } },
    spec: { tenantId, namespace: namespace.name, namespaceUID: namespace.uid, location },
  };
}

export interface TenantFacts {
  /** UID of the namespace of the tenant's name, if there is one now. */
  readonly namespaceUid: string | undefined;
  readonly policies: number;
  readonly backups: number;
}

/** Generations begin with 1; rotation raises it. */
const FIRST_GENERATION = 1;

export function tenantStatus(tenant: BackupTenant, facts: TenantFacts, now: number): BackupTenantStatus {
  const isThere = facts.namespaceUid === tenant.spec.namespaceUID;
  const condition = isThere
    ? { type: 'NamespaceExists', status: 'True' as const, reason: 'Exists', message: `Namespace ${tenant.spec.namespace} exists.` }
    : {
        type: 'NamespaceExists',
        status: 'False' as const,
        reason: facts.namespaceUid === undefined ? 'Deleted' : 'Replaced',
        message: `Namespace ${tenant.spec.namespace} with UID ${tenant.spec.namespaceUID} is gone. Its backups stay in the bucket.`,
      };
  return {
    observedGeneration: tenant.metadata.generation,
    phase: isThere ? 'Active' : 'NamespaceGone',
    keyGeneration: tenant.status?.keyGeneration ?? FIRST_GENERATION,
    policies: isThere ? facts.policies : 0,
    backups: isThere ? facts.backups : 0,
    conditions: mergeConditions(tenant.status?.conditions, [condition], tenant.metadata.generation, displayTime(now)),
  };
}
