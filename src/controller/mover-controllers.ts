import { Controller, execForOutput, followLog, type ControllerObserver, type EventRecorder, type KubeConnection } from '../kube/index.ts';
import { BackupReconciler, watchForBackups } from './backup/index.ts';
import type { Caches } from './caches.ts';
import { copySweeper } from './copy/index.ts';
import { AdmissionLock, LogListener, MoverQueues, QueueWaker, type MoverContext } from './mover/index.ts';
import type { Ports } from './ports.ts';
import { RestoreReconciler, watchForRestores } from './restore/index.ts';

export interface MoverControllersDependencies {
  readonly connection: KubeConnection;
  readonly caches: Caches;
  readonly events: Pick<EventRecorder, 'record'>;
  readonly ports: Pick<Ports, 'clock' | 'credentialMinter' | 'resultReader'>;
  /** Where movers run that need nothing of a customer's namespace. */
  readonly moverNamespace: string;
  /** Image of movers where the BackupLocation names none. */
  readonly moverImage: string;
  readonly observer: ControllerObserver;
}

const MOVER_CONTAINER = 'mover';
/** Most of their time is waiting for the API server. */
const WORKERS = 16;

/** The controllers of Backup and Restore. They share one queue for movers, so they are made together. */
export function moverControllers(dependencies: MoverControllersDependencies): readonly Controller[] {
  const { connection, caches, ports, events, observer } = dependencies;
  const { clock } = ports;
  const queues = new MoverQueues({ caches, clock });
  queues.follow(caches);
  const context: MoverContext = {
    connection,
    caches,
    clock,
    minter: ports.credentialMinter,
    results: ports.resultReader,
    listener: new LogListener(
      (pod, signal) => followLog(connection, { ...pod, container: MOVER_CONTAINER }, signal),
      () => clock.now(),
    ),
    queueOf: (location) => queues.of(location),
    admission: new AdmissionLock(),
    exec: (at, command, signal) => execForOutput(connection, at, command, signal),
    defaultImage: dependencies.moverImage,
    moverNamespace: dependencies.moverNamespace,
  };
  const backups: BackupReconciler = new BackupReconciler(context, events, (key) => backup.queue.add(key));
  const restores: RestoreReconciler = new RestoreReconciler(context, events, (key) => restore.queue.add(key));
  const backup = new Controller({ name: 'backup', workers: WORKERS, reconcile: (key, signal) => backups.reconcile(key, signal), observer });
  const restore = new Controller({ name: 'restore', workers: WORKERS, reconcile: (key, signal) => restores.reconcile(key, signal), observer });
  const waker = new QueueWaker(context, ({ task, namespace, name }) => (task === 'restore' ? restore : backup).queue.add(`${namespace}/${name}`));
  watchForBackups(caches, context, waker, (key) => backup.queue.add(key));
  watchForRestores(caches, context, waker, (key) => restore.queue.add(key));
  return [backup, restore, copySweeper(dependencies)];
}
