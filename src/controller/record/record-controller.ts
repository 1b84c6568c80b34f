import { ANNOTATION_RECORD, type BackupLocation, type BackupTenant, type TenantRecord } from '../../api/index.ts';
import { decideRecord, hashOf } from '../../decide/tenant-record.ts';
import { Controller, type ControllerObserver, type ReconcileResult, type ResourceClient } from '../../kube/index.ts';
import type { Caches } from '../caches.ts';
import { onLocationChange } from '../mover/mover-sources.ts';
import type { TenantRecords } from '../ports.ts';

export interface RecordDependencies {
  readonly caches: Caches;
  readonly tenants: ResourceClient<BackupTenant>;
  readonly records: TenantRecords;
  readonly observer: ControllerObserver;
  /** How long changes are gathered before they are written, milliseconds. */
  readonly gatherMs?: number;
}

const WORKERS = 8;
/** A backup goes through several writes, and a night through many backups. */
const GATHER_MS = 10_000;
/** Other revisions that somebody else wrote meanwhile. */
const MOST_TRIES = 5;

/** Writes a revision for each tenant whose policies or stored backups have changed. Keys are names of tenants. */
export function recordController(dependencies: RecordDependencies): Controller {
  const { caches, observer, gatherMs = GATHER_MS } = dependencies;
  const controller = new Controller({ name: 'record', workers: WORKERS, reconcile: (key, signal) => reconcile(dependencies, key, signal), observer });
  const ofNamespace = (namespace: string | undefined): void => {
    for (const { metadata } of caches.tenants.byIndex('namespace', namespace ?? '')) controller.queue.addAfter(metadata.name, gatherMs);
  };
  caches.tenants.listen(({ type, object }) => {
    if (type !== 'deleted') controller.queue.addAfter(object.metadata.name, gatherMs);
  });
  caches.policies.listen(({ object }) => ofNamespace(object.metadata.namespace));
  caches.backups.listen(({ type, object }) => {
    if (type === 'deleted' || object.status?.phase === 'Stored') ofNamespace(object.metadata.namespace);
  });
  onLocationChange(caches, (location) => {
    for (const { metadata } of caches.tenants.byIndex('location', location)) controller.queue.add(metadata.name);
  });
  return controller;
}

async function reconcile(dependencies: RecordDependencies, name: string, signal: AbortSignal): Promise<ReconcileResult> {
  const { caches, tenants } = dependencies;
  const tenant = caches.tenants.get(name);
  if (tenant === undefined || tenant.metadata.deletionTimestamp !== undefined) return {};
  const namespace = caches.namespaces.get(tenant.spec.namespace);
  const location = caches.locations.get(tenant.spec.location);
  const decision = decideRecord({
    tenant,
    location,
    namespaceUid: namespace?.metadata.uid,
    terminating: namespace?.metadata.deletionTimestamp !== undefined || namespace?.status?.phase === 'Terminating',
    policies: caches.policies.byIndex('namespace', tenant.spec.namespace).filter(({ metadata }) => metadata.deletionTimestamp === undefined),
    backups: caches.backups.byIndex('namespace', tenant.spec.namespace),
  });
  if (decision.do !== 'write' || location === undefined) return {};
  const rev = await write(dependencies.records, location, decision.record, signal);
  const patched = await tenants.patch(name, undefined, { metadata: { annotations: { [ANNOTATION_RECORD]: `${rev} ${decision.hash}` } } }, { signal });
  caches.tenants.remember(patched);
  return {};
}

/**
 * Revisions are put once and never over another one. What is taken may be our own, of a run that ended before it could say so.
 * @returns the revision that has it
 */
async function write(records: TenantRecords, location: BackupLocation, record: TenantRecord, signal: AbortSignal): Promise<number> {
  let next = record;
  for (let tries = 0; tries < MOST_TRIES; tries++) {
    if (await records.put(location, next, signal)) return next.rev;
    const latest = await records.latest(location, record.tenant, signal);
    if (latest?.record !== undefined && hashOf(latest.record) === hashOf(record)) return latest.rev;
    next = { ...record, rev: Math.max(next.rev, latest?.rev ?? 0) + 1 };
  }
  throw new Error(`tenant ${record.tenant}: ${MOST_TRIES} revisions of its record were taken by others; does a second installation write into the same prefix?`);
}
