import { randomBytes } from 'node:crypto';
import { pino, type Logger } from 'pino';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RawSecret } from '../../controller/index.ts';
import { EventRecorder, Informer, KubeConfig, KubeConnection, LeaderLease, ResourceClient, resourceTypes, type LeaseObject } from '../../kube/index.ts';
import { RealAuditRecorder } from './audit-recorder.ts';
import { RealCredentialMinter } from './credential-minter.ts';
import { SecretSigner } from './installation-signer.ts';
import { RealLockProver } from './lock-prover.ts';
import { serveHealth, serveMetrics, type ListeningServer } from './http-server.ts';
import { RealLocationProbe } from './location-probe.ts';
import { operatorMetrics, type OperatorMetrics } from './metrics.ts';
import type { OperatorSettings } from './options.ts';
import { RealRecoverySource } from './recovery-source.ts';
import { RealReplicationAccess } from './replication-access.ts';
import { RealResultReader } from './result-reader.ts';
import { RealTenantRecords } from './tenant-records.ts';
import { secretLookup } from './secrets.ts';
import { RealTenantEraser } from './tenant-eraser.ts';
import { runControllers } from './run-controllers.ts';

const FLUSH_MS = 1000;

/** Runs one replica until the signal fires: health and metrics at once, controllers while it leads. */
export async function runOperator(settings: OperatorSettings, signal: AbortSignal): Promise<void> {
  const log = pino({ level: settings.logLevel, base: { replica: settings.identity }, timestamp: pino.stdTimeFunctions.isoTime });
  const metrics = operatorMetrics(log);
  const connection = new KubeConnection(kubeConfig(settings.kubeconfig), metrics.requests);
  const state = { leading: false, synced: false };
  const servers: ListeningServer[] = [
    await serveHealth(settings.healthPort, {
      dead: () => undefined,
      unready: () => (state.leading && !state.synced ? 'the caches are being filled' : undefined),
    }),
    await serveMetrics(settings.metricsPort, metrics.registry),
  ];
  try {
    const lease = new LeaderLease(new ResourceClient<LeaseObject>(connection, resourceTypes.leases), {
      namespace: settings.namespace,
      name: settings.leaseName,
      identity: settings.identity,
      onError: (error) => log.warn({ err: error }, 'the leader lease could not be read or written'),
    });
    log.info({ lease: settings.leaseName }, 'waiting for the lease');
    let flush = (): Promise<void> => Promise.resolve();
    await lease.run(signal, async (leading) => {
      state.leading = true;
      metrics.leading.set(1);
      log.info('leading');
      flush = await lead({ settings, log, metrics, connection }, leading, () => {
        state.synced = true;
      });
      metrics.leading.set(0);
      log.info('leading no more');
    });
    await flush();
    // A lease that was lost ends the process; started anew, nothing of the old leadership is left in memory.
    if (!signal.aborted) throw new Error('the leader lease was lost; this replica ends and is started anew');
  } finally {
    await Promise.all(servers.map((server) => server.close()));
    connection.close();
  }
}

interface Replica {
  readonly settings: OperatorSettings;
  readonly log: Logger;
  readonly metrics: OperatorMetrics;
  readonly connection: KubeConnection;
}

/** @returns what writes the last events: nobody has to wait for them who wants to lead next */
async function lead({ settings, log, metrics, connection }: Replica, signal: AbortSignal, onSynced: () => void): Promise<() => Promise<void>> {
  const onError = (error: unknown): void => log.warn({ err: error }, 'a watch broke off and is begun again');
  const secrets = new Informer(new ResourceClient<RawSecret>(connection, resourceTypes.secrets), { namespace: settings.namespace, onError });
  const source = { lookup: secretLookup(secrets, settings.namespace), namespace: settings.namespace };
  const credentialMinter = new RealCredentialMinter(source);
  const replication = new RealReplicationAccess(source);
  const signer = new SecretSigner(connection, settings.namespace, log);
  const events = new EventRecorder(connection, settings.identity, () => new Date(), (error) => log.warn({ err: error }, 'an event could not be written'));
  await runControllers(
    {
      connection,
      secrets,
      events,
      metrics,
      operatorNamespace: settings.namespace,
      moverImage: settings.moverImage,
      moverNamespace: settings.moverNamespace,
      newTenantId: () => randomBytes(16).toString('hex'),
      onError,
      ports: {
        clock: { now: () => Date.now() },
        credentialMinter,
        locationProbe: new RealLocationProbe(source, credentialMinter, replication, (message) => log.warn(message)),
        lockProver: new RealLockProver(source, () => Date.now()),
        tenantRecords: new RealTenantRecords(source, signer),
        recovery: new RealRecoverySource(source),
        replication,
        resultReader: new RealResultReader(source),
        audit: new RealAuditRecorder(signer, source, log),
        eraser: new RealTenantEraser(source),
      },
      onSynced: () => {
        onSynced();
        log.info('the caches are filled');
      },
      onCaughtUp: () => log.info('everything has been looked at'),
    },
    signal,
  );
  return () => Promise.race([events.flush(), sleep(FLUSH_MS)]);
}

function kubeConfig(path: string | undefined): KubeConfig {
  const config = new KubeConfig();
  if (path === undefined) config.loadFromDefault();
  else config.loadFromFile(path);
  return config;
}
