import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { Caches } from '../../controller/index.ts';
import type { ControllerObserver, RequestObserver } from '../../kube/index.ts';
import type { Logger } from 'pino';

export interface OperatorMetrics {
  readonly registry: Registry;
  readonly requests: RequestObserver;
  readonly observer: ControllerObserver;
  readonly leading: Gauge;
  /** Adds what is counted from the caches at each scrape. */
  watch(caches: Caches): void;
}

/** Metrics by Prometheus' conventions; names are promises to dashboards and alerts. */
export function operatorMetrics(log: Logger): OperatorMetrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  const requests = new Counter({ name: 'tenant_backup_api_requests_total', help: 'Requests to the Kubernetes API server.', labelNames: ['method', 'status'], registers });
  const durations = new Histogram({
    name: 'tenant_backup_reconcile_duration_seconds',
    help: 'How long one look at one object took.',
    labelNames: ['controller'],
    buckets: [0.001, 0.01, 0.1, 1, 10],
    registers,
  });
  const errors = new Counter({ name: 'tenant_backup_reconcile_errors_total', help: 'Looks at an object that failed and are tried again.', labelNames: ['controller'], registers });
  const leading = new Gauge({ name: 'tenant_backup_leader', help: '1 while this replica leads.', registers });
  leading.set(0);
  return {
    registry,
    leading,
    requests: (method, _path, status) => requests.inc({ method, status: String(status) }),
    observer: {
      reconciled: (controller, seconds) => durations.observe({ controller }, seconds),
      failed(controller, key, error) {
        errors.inc({ controller });
        log.warn({ controller, key, err: error }, 'a look at an object failed and is tried again');
      },
    },
    watch: (caches) => watchCaches(registry, caches),
  };
}

function watchCaches(registry: Registry, caches: Caches): void {
  const registers = [registry];
  new Gauge({
    name: 'tenant_backup_backups',
    help: 'Backups by phase.',
    labelNames: ['phase'],
    registers,
    collect() {
      this.reset();
      for (const backup of caches.backups.list()) this.inc({ phase: backup.status?.phase ?? 'Pending' });
    },
  });
  new Gauge({
    name: 'tenant_backup_restores',
    help: 'Restores by phase.',
    labelNames: ['phase'],
    registers,
    collect() {
      this.reset();
      for (const restore of caches.restores.list()) this.inc({ phase: restore.status?.phase ?? 'Pending' });
    },
  });
  new Gauge({
    name: 'tenant_backup_policy_last_success_timestamp_seconds',
    help: 'When the newest complete backup of a policy was stored; 0 where there is none.',
    labelNames: ['namespace', 'policy'],
    registers,
    collect() {
      this.reset();
      for (const { metadata, status } of caches.policies.list()) {
        const at = status?.lastSuccess === undefined ? 0 : Date.parse(status.lastSuccess) / 1000;
        this.set({ namespace: metadata.namespace ?? '', policy: metadata.name }, at);
      }
    },
  });
}
