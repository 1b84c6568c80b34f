import type { BackupTenant, BackupTenantStatus } from '../../api/index.ts';
import { keyRotated } from '../../decide/audit-records.ts';
import { findCondition } from '../../decide/conditions.ts';
import { decideTenant, newTenant, tenantName, type Rotation } from '../../decide/tenant.ts';
import { Controller, isKubeError, type ControllerObserver, type EventRecorder, type ReconcileResult, type ResourceClient } from '../../kube/index.ts';
import type { Caches } from '../caches.ts';
import { PortError, type AuditRecorder, type Clock, type TenantEraser } from '../ports.ts';
import type { RawNamespace } from '../raw-objects.ts';
import { carryOutErasure, erasureFacts, tellErasure, withErasure } from './erasure.ts';

export interface TenantDependencies {
  readonly caches: Caches;
  readonly tenants: ResourceClient<BackupTenant>;
  readonly events: EventRecorder;
  readonly clock: Clock;
  /** 16 random bytes, lower-case hex. */
  readonly newTenantId: () => string;
  readonly audit: AuditRecorder;
  readonly eraser: TenantEraser;
  readonly observer: ControllerObserver;
}

/** Most of their time is waiting for the API server. */
const WORKERS = 16;
/** Timers hold no more than 24 days. */
const LONGEST_WAIT_MS = 24 * 3_600_000;

/** Makes the tenant of a namespace with its first policy, and says of each tenant whether its namespace is still there. Keys are names of namespaces. */
export function tenantController(dependencies: TenantDependencies): Controller {
  const controller = new Controller({
    name: 'tenant',
    workers: WORKERS,
    reconcile: (key, signal) => reconcile(dependencies, key, signal),
    observer: dependencies.observer,
  });
  const { caches } = dependencies;
  caches.policies.listen(({ object }) => controller.queue.add(object.metadata.namespace ?? ''));
  caches.namespaces.listen(({ object }) => controller.queue.add(object.metadata.name));
  caches.tenants.listen(({ object }) => controller.queue.add(object.spec.namespace));
  const runs = new Map<string, string | undefined>();
  caches.locations.listen(({ object: { metadata, status } }) => {
    // A copy or collection of the second data center that ends takes an erasure on.
    const ended = status?.replication?.completedAt;
    if (runs.get(metadata.name) === ended) return;
    runs.set(metadata.name, ended);
    for (const tenant of caches.tenants.byIndex('location', metadata.name)) if (tenant.spec.erasure !== undefined) controller.queue.add(tenant.spec.namespace);
  });
  caches.jobs.listen(({ type, object }) => {
    // An erasure waits for the tenant's movers.
    if (type === 'deleted') for (const tenant of caches.tenants.byIndex('namespace', object.metadata.namespace ?? '')) if (tenant.spec.erasure !== undefined) controller.queue.add(tenant.spec.namespace);
  });
  caches.backups.listen(({ type, object }) => {
    // Only how many are kept is counted.
    if (type !== 'modified' || object.status?.phase === 'Stored') controller.queue.add(object.metadata.namespace ?? '');
  });
  return controller;
}

async function reconcile(dependencies: TenantDependencies, name: string, signal: AbortSignal): Promise<ReconcileResult> {
  const { caches, clock, tenants } = dependencies;
  const namespace = caches.namespaces.get(name);
  const policies = caches.policies.byIndex('namespace', name);
  if (namespace !== undefined && namespace.status?.phase !== 'Terminating' && policies.length > 0) {
    await ensureTenant(dependencies, namespace, policies, signal);
  }
  const backups = caches.backups.byIndex('namespace', name);
  let wakeAt = Infinity;
  for (const tenant of caches.tenants.byIndex('namespace', name)) {
    const decided = decideTenant(tenant, { namespaceUid: namespace?.metadata.uid, policies, backups }, clock.now());
    const { rotation } = decided;
    const erasure = await carryOutErasure(dependencies, tenant, erasureFacts(caches, tenant, { namespaceUid: namespace?.metadata.uid, policies, backups }), signal);
    const status = withErasure(decided.status, tenant, erasure, clock.now());
    const due = Math.min(decided.wakeAt ?? Infinity, erasure?.wakeAt ?? Infinity);
    if (rotation !== undefined) await recordRotation(dependencies, tenant, rotation, signal);
    caches.tenants.remember(await tenants.writeStatus(tenant, status, signal));
    if (rotation !== undefined) tellRotation(dependencies.events, tenant, rotation);
    if (tenant.status?.phase === 'Active' && status.phase === 'NamespaceGone') tellGone(dependencies.events, tenant, status);
    tellErasure(dependencies.events, tenant, status);
    wakeAt = Math.min(wakeAt, due);
  }
  return wakeAt === Infinity ? {} : { requeueAfterMs: Math.min(LONGEST_WAIT_MS, Math.max(0, wakeAt - clock.now())) };
}

/** @throws {PortError} and then nothing is rotated yet */
async function recordRotation({ caches, audit }: TenantDependencies, tenant: BackupTenant, rotation: Rotation, signal: AbortSignal): Promise<void> {
  const location = caches.locations.get(tenant.spec.location);
  if (location === undefined) throw new PortError('LocationMissing', `BackupLocation ${tenant.spec.location} does not exist, so its key is not rotated. Create it.`, { retryable: true });
  await audit.record(location, tenant.spec.tenantId, keyRotated(tenant, rotation), signal);
}

function tellRotation(events: EventRecorder, tenant: BackupTenant, { generation, because }: Rotation): void {
  const message = `Backups are encrypted with generation ${generation} of the secret key from now on, for ${because}. The next one is full.`;
  events.record(tenant, { type: 'Normal', reason: 'KeyRotated', action: 'Rotate', message });
}

/** A tenant whose namespace went is worth an event: it alone still names the data. */
function tellGone(events: EventRecorder, tenant: BackupTenant, status: BackupTenantStatus): void {
  const gone = findCondition(status.conditions, 'NamespaceExists');
  if (gone !== undefined) events.record(tenant, { type: 'Normal', reason: gone.reason, action: 'Keep', message: gone.message });
}

/**
 * The name is derived from the namespace's UID, so two operators that both see no tenant cannot make two: the second is told that the
 * name exists. What exists under it is ours only if it is bound to this very namespace.
 */
async function ensureTenant(
  { caches, tenants, events, newTenantId }: TenantDependencies,
  namespace: RawNamespace,
  policies: readonly { readonly metadata: { readonly creationTimestamp: string; readonly name: string }; readonly spec: { readonly location: string } }[],
  signal: AbortSignal,
): Promise<void> {
  const { name, uid } = namespace.metadata;
  if (caches.tenants.byIndex('namespaceUID', uid).length > 0) return;
  const first = [...policies].sort((a, b) => a.metadata.creationTimestamp.localeCompare(b.metadata.creationTimestamp) || a.metadata.name.localeCompare(b.metadata.name))[0];
  if (first === undefined) return;
  try {
    const made = await tenants.create(newTenant({ name, uid }, first.spec.location, newTenantId()), signal);
    events.record(made, { type: 'Normal', reason: 'TenantCreated', action: 'Create', message: `Namespace ${name} is tenant ${made.spec.tenantId} of BackupLocation ${made.spec.location}.` });
  } catch (error) {
    if (!isKubeError(error, 'AlreadyExists')) throw error;
    const present = await tenants.get(tenantName({ name, uid }), undefined, signal);
    if (present !== undefined && present.spec.namespaceUID !== uid) {
      events.record(present, {
        type: 'Warning',
        reason: 'TenantForeign',
        action: 'Adopt',
        message: `Namespace ${name} needs a BackupTenant of this name, but this one is bound to UID ${present.spec.namespaceUID}. Rename it, or use another namespace.`,
      });
    }
  }
}
