import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { Backup, BackupLocation, BackupPolicy, Restore } from '../../api/index.ts';
import type { ControllerObserver, RequestObserver } from '../../kube/index.ts';
import type { Logger } from 'pino';

/** What is counted at each scrape. */
export interface WatchedCaches {
  readonly backups: { list(): Iterable<Backup> };
  readonly restores: { list(): Iterable<Restore> };
  readonly policies: { list(): Iterable<BackupPolicy> };
  readonly locations: { list(): Iterable<BackupLocation> };
}

export interface OperatorMetrics {
  readonly registry: Registry;
  readonly requests: RequestObserver;
  readonly observer: ControllerObserver;
  readonly leading: Gauge;
  /** Adds what is counted from the caches at each scrape. */
  watch(caches: WatchedCaches): void;
}

/** Metrics by Prometheus' conventions; names are promises to dashboards and alerts. */
export function operatorMetrics(log: Logger): OperatorMetrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  const requests = new Counter({ name: 'tenant_backup_api_requests_total', help: 'Requests to the Kubernetes API server.', labelNames: ['method', 'resource', 'status'], registers });
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
    requests: (method, path, status) => requests.inc({ method, resource: resourceOf(path), status: String(status) }),
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

/** `/api/v1/namespaces/NS/pods/NAME/log` → `pods/log`: names would make a series of each object. */
function resourceOf(path: string): string {
  const parts = path.split('/').slice(path.startsWith('/apis/') ? 4 : 3);
  const [plural = '', , subresource] = parts[0] === 'namespaces' && parts.length > 2 ? parts.slice(2) : parts;
  return subresource === undefined ? plural : `${plural}/${subresource}`;
}

function watchCaches(registry: Registry, caches: WatchedCaches): void {
  const registers = [registry];
  new Gauge({
    name: 'tenant_backup_backups',
    help: 'Backups by phase.',
    labelNames: ['phase'],
    registers,
    collect() {
      countPhases(this, caches.backups.list());
    },
  });
  new Gauge({
    name: 'tenant_backup_restores',
    help: 'Restores by phase.',
    labelNames: ['phase'],
    registers,
    collect() {
      countPhases(this, caches.restores.list());
    },
  });
  watchPolicies(registers, caches);
  watchLocations(registers, caches);
}

/** One series for each location that copies into a second data center. */
function watchLocations(registers: Registry[], caches: Pick<WatchedCaches, 'locations'>): void {
  const perLocation = (name: string, help: string, value: (location: BackupLocation) => number) =>
    new Gauge({
      name: `tenant_backup_location_${name}`,
      help,
      labelNames: ['location'],
      registers,
      collect() {
        this.reset();
        for (const location of caches.locations.list()) if (location.status?.replication !== undefined) this.set({ location: location.metadata.name }, value(location));
      },
    });
  const holds = ({ status }: BackupLocation, type: string): number => {
    const is = status?.conditions?.find((condition) => condition.type === type)?.status;
    return is === 'True' ? 1 : is === 'False' ? 0 : -1;
  };
  perLocation('replicated_timestamp_seconds', 'What was stored before this is in the second data center, for every tenant; 0 where it never was.', ({ status }) => seconds(status?.replicatedUpTo));
  perLocation('replicated', '1 while the second data center has what it should have by `replication.maxLag`, 0 while it has not or never had, -1 while that is not known.', (location) => holds(location, 'Replicated'));
  perLocation('replica_locked', '1 while it is proven that nothing in the second bucket can be deleted early, 0 while it can, -1 while that is not known.', (location) => holds(location, 'ReplicaLocked'));
  perLocation('replica_diverged', '1 while the second data center has what the first has lost, 0 while it has not, -1 while nothing was compared.', (location) => holds(location, 'ReplicaDiverged'));
  perLocation('replication_running', '1 while a copy is under way.', ({ status }) => Number(status?.replication?.phase === 'Running'));
}

function countPhases(gauge: Gauge<'phase'>, objects: Iterable<Backup | Restore>): void {
  const counts = new Map<string, number>();
  for (const { status } of objects) counts.set(status?.phase ?? 'Pending', (counts.get(status?.phase ?? 'Pending') ?? 0) + 1);
  gauge.reset();
  for (const [phase, count] of counts) gauge.set({ phase }, count);
}

/** Between two scrapes nothing of tens of thousands of series is kept. */
class CountedGauge extends Gauge<'namespace' | 'policy'> {
  override async get(): ReturnType<Gauge['get']> {
    const counted = await super.get();
    this.reset();
    return counted;
  }
}

/** How fresh each policy's backups are: what an alert asks, one series a policy. Times are 0 where there is none. */
function watchPolicies(registers: Registry[], caches: Pick<WatchedCaches, 'policies'>): void {
  const perPolicy = (name: string, help: string, value: (policy: BackupPolicy) => number | undefined) =>
    new CountedGauge({
      name: `tenant_backup_policy_${name}`,
      help,
      labelNames: ['namespace', 'policy'],
      registers,
      collect() {
        this.reset();
        for (const policy of caches.policies.list()) {
          const is = value(policy);
          if (is !== undefined) this.set({ namespace: policy.metadata.namespace ?? '', policy: policy.metadata.name }, is);
        }
      },
    });
  perPolicy('last_success_timestamp_seconds', 'When the newest good backup of a policy was stored; 0 where there is none.', ({ status }) => seconds(status?.lastSuccess));
  perPolicy('protected', '1 while the condition Protected of a policy holds.', ({ status }) =>
    Number(status?.conditions?.some(({ type, status: holds }) => type === 'Protected' && holds === 'True') === true),
  );
  perPolicy('last_verified_timestamp_seconds', 'When what a policy has stored was last found sound and restorable; 0 where it never was.', ({ status }) => seconds(status?.lastVerified));
  perPolicy('verified', '1 while the condition Verified of a policy holds, 0 while it does not, -1 while nothing is known yet.', ({ status }) => {
    const is = status?.conditions?.find(({ type }) => type === 'Verified')?.status;
    return is === 'True' ? 1 : is === 'False' ? 0 : -1;
  });
  const replicated = ({ status }: BackupPolicy) => status?.conditions?.find(({ type }) => type === 'Replicated')?.status;
  perPolicy('replicated_timestamp_seconds', 'When the newest backup of a policy that is in the second data center was taken; 0 where none is.', (policy) =>
    replicated(policy) === undefined ? undefined : seconds(policy.status?.replicatedUpTo),
  );
  perPolicy('replicated', '1 while the condition Replicated of a policy holds, 0 while it does not, -1 while nothing is known yet.', (policy) => {
    const is = replicated(policy);
    return is === undefined ? undefined : is === 'True' ? 1 : is === 'False' ? 0 : -1;
  });
  perPolicy('next_run_timestamp_seconds', 'When the next automatic backup of a policy with a schedule is due; 0 while there is none.', ({ spec, status }) =>
    spec.automatic === undefined ? undefined : seconds(status?.automatic?.nextRun),
  );
  perPolicy('last_missed_timestamp_seconds', 'The newest scheduled time of a policy that was missed; 0 where there is none.', ({ spec, status }) =>
    spec.automatic === undefined ? undefined : seconds(status?.automatic?.lastMissed),
  );
  perPolicy('automatic_backups', 'Automatic backups that a policy keeps.', ({ spec, status }) => (spec.automatic === undefined ? undefined : (status?.automatic?.kept ?? 0)));
}

function seconds(time: string | undefined): number {
  return time === undefined ? 0 : Date.parse(time) / 1000;
}
