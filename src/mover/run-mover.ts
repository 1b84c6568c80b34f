import { MOVER_CONTRACT_VERSION, MOVER_EXIT, type MoverFailure, type MoverOrders, type MoverResult, type ReplicationOrders } from '../api/index.ts';
import type { Engine } from '../restic/contract.ts';
import type { ObjectStore } from '../storage/index.ts';
import { backupTask } from './backup-task.ts';
import { CredentialsFile } from './credentials-file.ts';
import { failureOf } from './failure.ts';
import { forgetTask } from './forget-task.ts';
import { openKmsProviders } from './kms-providers.ts';
import { moverLines, type MoverLines } from './mover-lines.ts';
import type { MoverWork, TaskOutcome } from './mover-work.ts';
import { readOrders } from './orders.ts';
import { Pulse } from './pulse.ts';
import { restoreTask } from './restore-task.ts';
import { replicationExit, runReplication } from './replicate/index.ts';
import { putResult, writeReplicationMessage, writeTerminationMessage } from './result.ts';
import { openTenantStore } from './tenant-store.ts';
import { verifyTask } from './verify-task.ts';

export interface MoverEnvironment {
  /** Holds `orders.json` and `credentials.json`. */
  readonly ordersDirectory: string;
  readonly terminationMessage: string;
  /** Writes to stdout. */
  readonly write: (text: string) => void;
  /** Aborted when the pod is told to stop; the reason is the signal's name. */
  readonly signal: AbortSignal;
  readonly engine: Engine;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Where the bridge listens that reads streams. */
  readonly bridgeSocket: string;
  /** Which of an Indexed Job's pods this is, from 0; orders that replicate or collect need it. */
  readonly shard?: number | undefined;
  /** Peak resident memory of the process, bytes. */
  readonly peakMemory: () => number;
  /** What the process has read from files and sockets, bytes; undefined where the system does not tell. */
  readonly bytesRead: () => number | undefined;
}

/** A stopping pod has thirty seconds; what the result may take of them. */
const RESULT_TIMEOUT_MS = 10_000;

/**
 * Carries out the orders and resolves to the exit status (`MOVER_EXIT`). Never throws: whatever happens ends in a result, in
 * the termination message always, and in the bucket where that can be reached.
 */
export async function runMover(environment: MoverEnvironment): Promise<number> {
  const startedAt = new Date(environment.now()).toISOString();
  const lines = moverLines(environment.write, environment.now);
  const read = await readOrders(environment.ordersDirectory);
  if ('refused' in read) {
    const { task, attempt } = read.outline;
    const failure = failureOf(read.refused, environment.signal);
    return leave(environment, lines, resultOf({ task, attempt, startedAt, environment, failure }));
  }
  if ('replication' in read) return replicateShard(read.replication, environment, lines);
  const { orders } = read;
  const told = { task: orders.task, attempt: orders.attempt, startedAt, environment };
  let store: ObjectStore | undefined;
  let result: MoverResult;
  const pulse = new Pulse(lines, environment.bytesRead);
  try {
    store = await openTenantStore(orders, credentialsFile(environment, lines), lines, pulse);
    result = resultOf({ ...told, outcome: await runTask(orders, store, environment, { lines, pulse }) });
  } catch (error) {
    result = resultOf({ ...told, failure: failureOf(error, environment.signal) });
  } finally {
    pulse.stop();
  }
  lines.end();
  return leave(environment, lines, result, store === undefined ? undefined : { orders, store });
}

/** A pod of a run that keeps the second data center: it has no tenant of its own and no key. */
async function replicateShard(orders: ReplicationOrders, environment: MoverEnvironment, lines: MoverLines): Promise<number> {
  const { ordersDirectory, shard = 0, signal, now, peakMemory } = environment;
  const pulse = new Pulse(lines, environment.bytesRead);
  const { result, sha256 } = await runReplication(orders, { ordersDirectory, shard, lines, pulse, signal, now, peakMemory });
  pulse.stop();
  lines.end();
  try {
    await writeReplicationMessage(environment.terminationMessage, result, sha256);
  } catch (error) {
    lines.trouble('TerminationMessage', error instanceof Error ? error.message : String(error));
  }
  return replicationExit(result);
}

function credentialsFile(environment: MoverEnvironment, lines: MoverLines): CredentialsFile {
  return new CredentialsFile({
    directory: environment.ordersDirectory,
    now: environment.now,
    signal: environment.signal,
    onWaiting: (message) => lines.trouble('ExpiredCredentials', message),
  });
}

async function runTask(orders: MoverOrders, tenantStore: ObjectStore, environment: MoverEnvironment, { lines, pulse }: Pick<MoverWork, 'lines' | 'pulse'>): Promise<TaskOutcome> {
  const { engine, signal, bridgeSocket } = environment;
  const kms = await openKmsProviders(orders, credentialsFile(environment, lines), (message) => lines.trouble('NotForProduction', message));
  try {
    const work: Omit<MoverWork, 'orders'> = { engine, tenantStore, kms, lines, pulse, signal, bridgeSocket, now: () => new Date(environment.now()) };
    return await taskOf(work, orders);
  } finally {
    kms.close();
  }
}

function taskOf(work: Omit<MoverWork, 'orders'>, orders: MoverOrders): Promise<TaskOutcome> {
  switch (orders.task) {
    case 'backup':
      return backupTask({ ...work, orders });
    case 'restore':
      return restoreTask({ ...work, orders });
    case 'forget':
      return forgetTask({ ...work, orders });
    case 'verify':
      return verifyTask({ ...work, orders });
  }
}

function resultOf(told: {
  readonly task: MoverOrders['task'];
  readonly attempt: { readonly name: string; readonly uid: string };
  readonly startedAt: string;
  readonly environment: MoverEnvironment;
  readonly outcome?: TaskOutcome;
  readonly failure?: MoverFailure;
}): MoverResult {
  const { task, attempt, startedAt, environment, outcome, failure } = told;
  return {
    version: MOVER_CONTRACT_VERSION,
    task,
    attempt: attempt.name,
    uid: attempt.uid,
    outcome: failure === undefined ? 'succeeded' : 'failed',
    startedAt,
    finishedAt: new Date(environment.now()).toISOString(),
    ...(failure === undefined ? {} : { failure }),
    ...(outcome ?? { warnings: [], warningCount: 0 }),
    peakMemory: environment.peakMemory(),
  };
}

/** The bucket first: the termination message may be the last thing that this process does. */
async function leave(
  environment: MoverEnvironment,
  lines: MoverLines,
  result: MoverResult,
  bucket?: { readonly orders: MoverOrders; readonly store: ObjectStore },
): Promise<number> {
  let isInBucket = false;
  if (bucket !== undefined) {
    try {
      await putResult(bucket.store, bucket.orders, result, AbortSignal.timeout(RESULT_TIMEOUT_MS));
      isInBucket = true;
      await bucket.store.close();
    } catch (error) {
      const { code, message } = failureOf(error);
      lines.trouble(code, `the result could not be left in the bucket: ${message}`);
    }
  }
  try {
    await writeTerminationMessage(environment.terminationMessage, result, isInBucket);
  } catch (error) {
    lines.trouble('TerminationMessage', error instanceof Error ? error.message : String(error));
  }
  if (result.failure === undefined) return MOVER_EXIT.done;
  return result.failure.retryable ? MOVER_EXIT.retryable : MOVER_EXIT.failed;
}
