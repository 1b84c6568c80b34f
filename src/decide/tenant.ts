import { API_VERSION, durationToMs, LABEL_MANAGED_BY, MANAGED_BY, type Backup, type BackupPolicy, type BackupTenant, type BackupTenantStatus } from '../api/index.ts';
import { mergeConditions } from './conditions.ts';
import { isErasureOrdered } from './erasure.ts';
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
  readonly policies: readonly Pick<BackupPolicy, 'spec'>[];
  /** Of the namespace, in every phase. */
  readonly backups: readonly Pick<Backup, 'status'>[];
}

/** Generations begin with 1; rotation raises it. */
const FIRST_GENERATION = 1;

/** Why there is to be a new generation, in words for an event. */
export interface Rotation {
  readonly generation: number;
  readonly because: string;
}

export interface TenantDecision {
  readonly status: BackupTenantStatus;
  /** To be recorded before the status is written: from then on backups go there. */
  readonly rotation: Rotation | undefined;
  /** Milliseconds since the epoch. */
  readonly wakeAt: number | undefined;
}

export function decideTenant(tenant: BackupTenant, facts: TenantFacts, now: number): TenantDecision {
  const isThere = facts.namespaceUid === tenant.spec.namespaceUID;
  const condition = isThere
    ? { type: 'NamespaceExists', status: 'True' as const, reason: 'Exists', message: `Namespace ${tenant.spec.namespace} exists.` }
    : {
        type: 'NamespaceExists',
        status: 'False' as const,
        reason: facts.namespaceUid === undefined ? 'Deleted' : 'Replaced',
        message: `Namespace ${tenant.spec.namespace} with UID ${tenant.spec.namespaceUID} is gone. Its backups stay in the bucket.`,
      };
  const key = isErasureOrdered(tenant) ? standing(tenant) : keyOf(tenant, isThere ? facts : { ...facts, policies: [], backups: [] }, now);
  return {
    status: {
      observedGeneration: tenant.metadata.generation,
      phase: isThere ? 'Active' : 'NamespaceGone',
      keyGeneration: key.generation,
      keyGenerationSince: key.since,
      policies: isThere ? facts.policies.length : 0,
      backups: isThere ? facts.backups.filter(({ status }) => status?.phase === 'Stored').length : 0,
      conditions: mergeConditions(tenant.status?.conditions, [condition], tenant.metadata.generation, displayTime(now)),
    },
    rotation: key.because === undefined ? undefined : { generation: key.generation, because: key.because },
    wakeAt: key.dueAt !== undefined && key.dueAt > now ? key.dueAt : undefined,
  };
}

/** Nothing is encrypted any more. */
function standing({ status, metadata }: BackupTenant): KeyStanding {
  return { generation: status?.keyGeneration ?? FIRST_GENERATION, since: status?.keyGenerationSince ?? metadata.creationTimestamp };
}

interface KeyStanding {
  readonly generation: number;
  /** RFC 3339 */
  readonly since: string;
  readonly because?: string;
  /** Milliseconds since the epoch at which its age asks for the next one. */
  readonly dueAt?: number | undefined;
}

/** A status that was lost is made good from the backups: a generation is never gone back to. */
function keyOf(tenant: BackupTenant, { policies, backups }: TenantFacts, now: number): KeyStanding {
  const told = tenant.status?.keyGeneration;
  const used = Math.max(FIRST_GENERATION, ...backups.map(({ status }) => status?.keyGeneration ?? FIRST_GENERATION));
  const generation = Math.max(told ?? FIRST_GENERATION, used);
  const since = told === generation ? (tenant.status?.keyGenerationSince ?? tenant.metadata.creationTimestamp) : told === undefined && generation === FIRST_GENERATION ? tenant.metadata.creationTimestamp : displayTime(now);
  const asked = tenant.spec.keyGeneration ?? FIRST_GENERATION;
  // One generation at a time, whatever a hand-made object asks for. A status that was lost says nothing of what was asked before.
  if (told !== undefined && asked > generation) return { generation: generation + 1, since: displayTime(now), because: 'spec.keyGeneration asks for it' };
  if (asked > generation) return { generation: asked, since: displayTime(now) };
  const ages = policies.flatMap(({ spec }) => (spec.keyRotation?.maxAge === undefined ? [] : [spec.keyRotation.maxAge]));
  const shortest = ages.toSorted((one, other) => durationToMs(one) - durationToMs(other))[0];
  const dueAt = shortest === undefined ? undefined : Date.parse(since) + durationToMs(shortest);
  if (dueAt !== undefined && dueAt <= now) return { generation: generation + 1, since: displayTime(now), because: `generation ${generation} is older than ${shortest ?? ''} (spec.keyRotation.maxAge of a policy)` };
  return { generation, since, dueAt };
}
