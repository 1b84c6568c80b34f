import type { Backup, BackupLocation, BackupPolicy, BackupTenant, Restore } from '../../api/index.ts';
import { ReplicaStandings, allInformers, locationController, makeCaches, moverContext, moverControllers, policyController, recordController, tenantController, type Caches, type Ports, type RawSecret } from '../../controller/index.ts';
import { ResourceClient, resourceTypes, ScaleClient, type Controller, type EventRecorder, type Informer, type KubeConnection } from '../../kube/index.ts';
import { Gauge } from 'prom-client';
import type { OperatorMetrics } from './metrics.ts';

export interface ControllersOptions {
  readonly connection: KubeConnection;
  /** Secrets of the operator's namespace. */
  readonly secrets: Informer<RawSecret>;
  readonly events: EventRecorder;
  readonly metrics: OperatorMetrics;
  readonly ports: Ports;
  readonly operatorNamespace: string;
  readonly moverImage: string;
  readonly moverNamespace: string;
  readonly newTenantId: () => string;
  readonly onError: (error: unknown) => void;
  readonly onSynced: () => void;
  /** Everything has been looked at once since the caches were filled. */
  readonly onCaughtUp: () => void;
}

const CAUGHT_UP_LOOK_MS = 100;

/** Fills the caches, then reconciles until the signal fires. No decision is made on a cache that is not filled. */
export async function runControllers(options: ControllersOptions, signal: AbortSignal): Promise<void> {
  const { connection, secrets, metrics } = options;
  const caches = makeCaches(connection, options.moverNamespace, options.onError);
  metrics.watch(caches);
  const controllers = wireControllers(options, caches);
  watchQueues(metrics, controllers);
  const informers = [...allInformers(caches), secrets];
  const watching = Promise.all(informers.map((informer) => informer.run(signal)));
  const aborted = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
  await Promise.race([Promise.all(informers.map((informer) => informer.synced)), aborted]);
  if (!signal.aborted) options.onSynced();
  const working = controllers.map((controller) => controller.run(signal));
  const untilCaughtUp = setInterval(() => {
    if (signal.aborted || !controllers.every(({ queue }) => queue.isIdle)) return;
    clearInterval(untilCaughtUp);
    options.onCaughtUp();
  }, CAUGHT_UP_LOOK_MS);
  await Promise.all(working);
  clearInterval(untilCaughtUp);
  await watching;
}

function wireControllers(options: ControllersOptions, caches: Caches): Controller[] {
  const { connection, secrets, events, ports, operatorNamespace } = options;
  const { observer } = options.metrics;
  const { clock } = ports;
  const backups = new ResourceClient<Backup>(connection, resourceTypes.backups);
  const scales = new ScaleClient(connection);
  const { moverImage, moverNamespace } = options;
  const standings = new ReplicaStandings();
  const movers = moverContext({ connection, caches, ports, moverImage, moverNamespace, standings });
  const policies = policyController({
    caches,
    standings,
    policies: new ResourceClient<BackupPolicy>(connection, resourceTypes.backupPolicies),
    backups,
    restores: new ResourceClient<Restore>(connection, resourceTypes.restores),
    scales,
    events,
    clock,
    movers,
    observer,
  });
  return [
    locationController({
      caches,
      secrets,
      operatorNamespace,
      locations: new ResourceClient<BackupLocation>(connection, resourceTypes.backupLocations),
      probe: ports.locationProbe,
      prover: ports.lockProver,
      replication: ports.replication,
      standings,
      movers,
      recovery: ports.recovery,
      events,
      clock,
      observer,
    }),
    tenantController({
      caches,
      tenants: new ResourceClient<BackupTenant>(connection, resourceTypes.backupTenants),
      events,
      clock,
      newTenantId: options.newTenantId,
      audit: ports.audit,
      eraser: ports.eraser,
      observer,
    }),
    recordController({ caches, tenants: new ResourceClient<BackupTenant>(connection, resourceTypes.backupTenants), records: ports.tenantRecords, observer }),
    policies,
    ...moverControllers({ connection, caches, events, context: movers, wakePolicy: (key) => policies.queue.add(key), observer }),
  ];
}

function watchQueues({ registry }: OperatorMetrics, controllers: readonly Controller[]): void {
  new Gauge({
    name: 'tenant_backup_queue_depth',
    help: 'Objects that wait to be looked at.',
    labelNames: ['controller'],
    registers: [registry],
    collect() {
      for (const { name, queue } of controllers) this.set({ controller: name }, queue.depth);
    },
  });
}
