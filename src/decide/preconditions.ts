import type { BackupLocation, BackupPolicy, BackupTenant } from '../api/index.ts';
import type { ClaimFact } from './observed.ts';
import { isErasureOrdered } from './erasure.ts';
import type { Failure } from './failure-reason.ts';
import { chooseCopies, type Copies } from './copy-choice.ts';
import type { StorageFacts } from './copy-facts.ts';
import { isReadOnly } from './tenant-record.ts';
import { wantedVolumes } from './volumes.ts';

/** How long something may lack what it needs before it is given up. */
export const WAIT_DEADLINE_MS = 30 * 60_000;
/** A safety backup keeps a customer's workload down while it waits. */
export const SAFETY_WAIT_DEADLINE_MS = 5 * 60_000;

/** Who works where: what every mover needs. */
export interface Ground {
  readonly policy: BackupPolicy;
  readonly location: BackupLocation;
  readonly tenant: BackupTenant;
}

export interface GroundFacts {
  readonly namespace: { readonly uid: string; readonly terminating: boolean } | undefined;
  readonly policyName: string;
  readonly policy: BackupPolicy | undefined;
  readonly location: BackupLocation | undefined;
  readonly tenant: BackupTenant | undefined;
  /** Why the location cannot serve what is asked of it. */
  readonly locationRefused?: Failure;
}

export type GroundCheck = { readonly ok: true; readonly ground: Ground } | ({ readonly ok: false } & Failure);

/** Policy, location and tenant, in the order in which a person would look. */
export function checkGround(facts: GroundFacts): GroundCheck {
  if (facts.namespace === undefined || facts.namespace.terminating) return refuse('NamespaceTerminating', 'The namespace is being deleted.');
  const { policy, location, tenant } = facts;
  if (policy === undefined) {
    return refuse(
      'PolicyMissing',
      `BackupPolicy ${facts.policyName} does not exist in this namespace. Create it, or name another one: \`kubectl get bp\`.`,
    );
  }
  if (facts.locationRefused !== undefined) return refuse(facts.locationRefused.reason, facts.locationRefused.message);
  const place = checkLocation(policy.spec.location, location);
  if (!place.ok) return place;
  if (tenant === undefined) return refuse('TenantMissing', 'The BackupTenant of this namespace is not made yet.');
  if (tenant.spec.namespaceUID !== facts.namespace.uid) {
    return refuse('TenantForeign', `BackupTenant ${tenant.metadata.name} belongs to an earlier namespace of this name.`);
  }
  if (isErasureOrdered(tenant)) {
    return refuse('TenantErased', `Everything of BackupTenant ${tenant.metadata.name} is being erased, or is gone, so nothing is stored or restored for it. A namespace made anew is another tenant.`);
  }
  if (tenant.spec.location !== policy.spec.location) {
    return refuse(
      'LocationDiffers',
      `This namespace keeps its backups in BackupLocation ${tenant.spec.location}, but the policy names ${policy.spec.location}. All policies of a namespace name the same one.`,
    );
  }
  return { ok: true, ground: { policy, location: place.location, tenant } };
}

/** The same for whoever writes: a copy is only read. */
export function checkWritableGround(facts: GroundFacts): GroundCheck {
  const checked = checkGround(facts);
  if (!checked.ok || !isReadOnly(checked.ground.location)) return checked;
  const { location } = checked.ground;
  const why = location.spec.recover ? 'spec.recover is true' : 'it is filled from another data center (spec.pull)';
  return refuse('LocationReadOnly', `BackupLocation ${location.metadata.name} is only read: ${why}. Restores work; for new backups give the namespaces policies of another location.`);
}

type LocationCheck = { readonly ok: true; readonly location: BackupLocation } | ({ readonly ok: false } & Failure);

/** A location must exist and have been found usable for what its spec says now. */
export function checkLocation(name: string, location: BackupLocation | undefined): LocationCheck {
  if (location === undefined) return refuse('LocationMissing', `BackupLocation ${name} does not exist. Create it, or ask the platform for its name.`);
  const ready = location.status?.conditions?.find((condition) => condition.type === 'Ready');
  if (ready?.status === 'True') return { ok: true, location };
  const why = ready === undefined ? 'it was not probed yet.' : `${ready.reason}: ${ready.message}`;
  return refuse('LocationNotReady', `BackupLocation ${name} is not ready: ${why}`);
}

/** The volumes of the next backup of a policy, and how each is read. */
export function checkVolumes(policy: BackupPolicy, claims: readonly ClaimFact[], storage: StorageFacts): Copies {
  const volumes = wantedVolumes(policy.spec.volumes, claims);
  // A policy of streams alone needs no volume.
  if (!volumes.ok && volumes.reason === 'NoVolumes' && (policy.spec.streams ?? []).length > 0) return chooseCopies(policy.spec, [], storage);
  if (!volumes.ok) return volumes;
  const wanted = volumes.claims.flatMap((name) => claims.find((claim) => claim.name === name) ?? []);
  return chooseCopies(policy.spec, wanted, storage);
}

function refuse(reason: string, message: string): { readonly ok: false } & Failure {
  return { ok: false, reason, message };
}
