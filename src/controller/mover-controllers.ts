import { Controller, execForOutput, followLog, readLog, type ControllerObserver, type EventRecorder, type KubeConnection } from '../kube/index.ts';
import { BackupReconciler, watchForBackups } from './backup/index.ts';
import type { Caches } from './caches.ts';
import { copySweeper } from './copy/index.ts';
import { AdmissionLock, LogListener, MoverQueues, QueueWaker, type MoverContext } from './mover/index.ts';
import type { Ports } from './ports.ts';
import { RestoreReconciler, watchForRestores } from './restore/index.ts';

const MOVER_CONTAINER = 'mover';

export interface MoverContextDependencies {
  readonly connection: KubeConnection;
  readonly caches: Caches;
  readonly ports: Pick<Ports, 'clock' | 'credentialMinter' | 'resultReader' | 'audit'>;
  /** Image of movers where the BackupLocation names none. */
  readonly moverImage: string;
  readonly moverNamespace: string;
  /** What the second data center has of each tenant. */
  readonly standings?: MoverContext['standings'];
}

/** What every controller that has movers needs; one for all of them, for they share one queue. */
export function moverContext({ connection, caches, ports, moverImage, moverNamespace, standings }: MoverContextDependencies): MoverContext {
  const { clock } = ports;
  const queues = new MoverQueues({ caches, clock });
  queues.follow(caches);
  return {
    connection,
    caches,
    clock,
    minter: ports.credentialMinter,
    results: ports.resultReader,
    audit: ports.audit,
    listener: new LogListener(
      {
        follow: (pod, signal) => followLog(connection, { ...pod, container: MOVER_CONTAINER }, signal),
        since: (pod, seconds, signal) => readLog(connection, { ...pod, container: MOVER_CONTAINER }, seconds, signal),
      },
      () => clock.now(),
    ),
    standings,
    queueOf: (location) => queues.of(location),
    admission: new AdmissionLock(),
    exec: (at, command, signal) => execForOutput(connection, at, command, signal),
    defaultImage: moverImage,
    moverNamespace,
  };
}

export interface MoverControllersDependencies {
  readonly connection: KubeConnection;
  readonly caches: Caches;
  readonly events: Pick<EventRecorder, 'record'>;
  readonly context: MoverContext;
  /** Puts a policy's key into its controller's queue: its verification may have a mover now. */
  readonly wakePolicy: (key: string) => void;
  readonly observer: ControllerObserver;
}

/** Most of their time is waiting for the API server. */
const WORKERS = 16;

/** The controllers of Backup and Restore. They share one queue for movers, so they are made together. */
export function moverControllers(dependencies: MoverControllersDependencies): readonly Controller[] {
  const { connection, caches, events, observer, context, wakePolicy } = dependencies;
  const backups: BackupReconciler = new BackupReconciler(context, events, (key) => backup.queue.add(key));
  const restores: RestoreReconciler = new RestoreReconciler(context, events, (key) => restore.queue.add(key));
  const backup = new Controller({ name: 'backup', workers: WORKERS, reconcile: (key, signal) => backups.reconcile(key, signal), observer });
  const restore = new Controller({ name: 'restore', workers: WORKERS, reconcile: (key, signal) => restores.reconcile(key, signal), observer });
  const waker = new QueueWaker(context, ({ task, namespace, name }) => {
    const key = `${namespace}/${name}`;
    if (task === 'verify') wakePolicy(key);
    else (task === 'restore' ? restore : backup).queue.add(key);
  });
  watchForBackups(caches, context, waker, (key) => backup.queue.add(key));
  watchForRestores(caches, context, waker, (key) => restore.queue.add(key));
  return [backup, restore, copySweeper({ connection, caches, moverNamespace: context.moverNamespace, observer })];
}
