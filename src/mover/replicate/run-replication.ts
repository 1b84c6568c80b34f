import { hash } from 'node:crypto';
import { MOVER_CONTRACT_VERSION, MOVER_EXIT, RESULTS_FOLDER, replicationResultKey, type ReplicationOrders, type ReplicationPlace, type ReplicationResult } from '../../api/index.ts';
import { canonicalJson, openStore, s3Url, type ObjectStore } from '../../storage/index.ts';
import { CredentialsFile } from '../credentials-file.ts';
import { failureOf } from '../failure.ts';
import type { MoverLines } from '../mover-lines.ts';
import { removeOldResults } from '../old-results.ts';
import type { Pulse } from '../pulse.ts';
import { collectLocation, newTally, replicateLocation, type LocationOutcome, type LocationTally } from './replicate-location.ts';
import { ServiceCopier } from './service-copier.ts';

export interface ReplicationEnvironment {
  readonly ordersDirectory: string;
  /** From 0. */
  readonly shard: number;
  readonly lines: MoverLines;
  readonly pulse: Pick<Pulse, 'answered'>;
  readonly signal: AbortSignal;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly peakMemory: () => number;
}

/** A stopping pod has thirty seconds; what the result may take of them. */
const RESULT_TIMEOUT_MS = 10_000;
/** Connections that a service started anew breaks are not given a night up for. */
const PATIENCE_MS = 5 * 60_000;

export interface EndedReplication {
  readonly result: ReplicationResult;
  /** SHA-256 of what was left in the bucket, in hex; `undefined` where nothing could be. */
  readonly sha256: string | undefined;
}

/** Carries out a shard of a run and leaves the result in the bucket of whoever works. Never throws: what happens is in the result. */
export async function runReplication(orders: ReplicationOrders, environment: ReplicationEnvironment): Promise<EndedReplication> {
  const startedAt = new Date(environment.now()).toISOString();
  const opened: ObjectStore[] = [];
  let outcome: LocationOutcome;
  try {
    outcome = await carryOut(orders, environment, opened);
  } catch (error) {
    outcome = { tenants: [], findings: [], tally: newTally(), failure: failureOf(error, environment.signal) };
  }
  const result = resultOf(orders, environment, startedAt, outcome);
  const sha256 = await leave(orders, environment, result, opened);
  await Promise.all(opened.map((store) => store.close()));
  return { result, sha256 };
}

export function replicationExit({ failure }: Pick<ReplicationResult, 'failure'>): number {
  if (failure === undefined) return MOVER_EXIT.done;
  return failure.retryable ? MOVER_EXIT.retryable : MOVER_EXIT.failed;
}

async function carryOut(orders: ReplicationOrders, environment: ReplicationEnvironment, opened: ObjectStore[]): Promise<LocationOutcome> {
  const { signal, now, lines, shard } = environment;
  const { lock, shards, tenants, windowEnd, released } = orders;
  const onProgress = ({ objects, bytes, collected }: LocationTally): void => lines.progress({ filesDone: objects + collected, bytesDone: bytes, bytesAdded: bytes });
  const open = async (place: ReplicationPlace, maxRequests?: number): Promise<ObjectStore> => {
    const store = await openPlace(place, environment, maxRequests);
    opened.push(store);
    return store;
  };
  const common = { lock, shard, shards, tenants, windowEnd, released, signal, now, onProgress };
  if (orders.task === 'collect') return collectLocation({ ...common, replica: await open(orders.replica), dryRun: orders.dryRun });
  const { concurrency, bytesPerSecond } = orders;
  const byService = orders.byService === true ? serviceCopier(orders.source, lines) : undefined;
  const source = await open(orders.source, concurrency);
  return replicateLocation({ ...common, source, replica: await open(orders.replica, concurrency), concurrency, bytesPerSecond, byService });
}

function serviceCopier({ bucket, prefix }: ReplicationPlace, lines: MoverLines): ServiceCopier {
  const key = [prefix, 'tenants'].filter((part) => part !== '').join('/');
  return new ServiceCopier({ bucket, key }, (message) => lines.trouble('NotByService', message));
}

function openPlace(place: ReplicationPlace, { ordersDirectory, now, signal, lines, pulse }: ReplicationEnvironment, maxRequests?: number): Promise<ObjectStore> {
  const credentials = new CredentialsFile({ directory: ordersDirectory, file: place.credentialsFile, now, signal, onWaiting: (message) => lines.trouble('ExpiredCredentials', message) });
  return openStore(s3Url(place, place.prefix), {
    s3: { credentials: () => credentials.s3(), ...(maxRequests === undefined ? {} : { maxRequests }), ...(place.caBundle === undefined ? {} : { caBundle: place.caBundle }) },
    retry: {
      patienceMs: PATIENCE_MS,
      onAnswer: pulse.answered,
      onRetry: ({ doing, attempt, error }) => lines.trouble(error.code, `${doing}: ${error.message} (try ${attempt}; it is tried again)`),
    },
  });
}

function resultOf(orders: ReplicationOrders, environment: ReplicationEnvironment, startedAt: string, { tenants, findings, failure, tally, notByService }: LocationOutcome): ReplicationResult {
  const inState = (state: string): number => tenants.filter((tenant) => tenant.state === state).length;
  return {
    version: MOVER_CONTRACT_VERSION,
    task: orders.task,
    attempt: orders.attempt.name,
    uid: orders.attempt.uid,
    runId: orders.runId,
    shard: environment.shard,
    outcome: failure === undefined ? 'succeeded' : 'failed',
    ...(failure === undefined ? {} : { failure }),
    startedAt,
    finishedAt: new Date(environment.now()).toISOString(),
    counts: { done: inState('done'), waiting: inState('waiting'), failed: inState('failed'), diverged: inState('diverged'), ...tally },
    tenants: [...tenants],
    findings: [...findings],
    ...(notByService === undefined ? {} : { notByService }),
    peakMemory: environment.peakMemory(),
  };
}

/** In Push mode the first data center's bucket, in Pull mode and after a collection the second's. @returns its SHA-256, in hex */
async function leave(orders: ReplicationOrders, { lines, now }: ReplicationEnvironment, result: ReplicationResult, opened: readonly ObjectStore[]): Promise<string | undefined> {
  const store = opened[orders.task === 'replicate' && orders.mode === 'Pull' ? 1 : 0];
  if (store === undefined) return undefined;
  const bytes = canonicalJson(result);
  let sha256: string | undefined = hash('sha256', bytes, 'hex');
  try {
    await store.put(replicationResultKey(orders.runId, result.shard), bytes, { ifAbsent: true, signal: AbortSignal.timeout(RESULT_TIMEOUT_MS) });
  } catch (error) {
    const { code, message } = failureOf(error);
    lines.trouble(code, `the result could not be left in the bucket: ${message}`);
    // What lies there under its name is another one, and whoever reads it has to know.
    if (code !== 'AlreadyExists') sha256 = undefined;
  }
  if (result.shard !== 0) return sha256;
  // Who may not delete here leaves them; they are small, and nobody needs them.
  await removeOldResults(store, RESULTS_FOLDER, new Date(now()), AbortSignal.timeout(RESULT_TIMEOUT_MS)).catch(() => undefined);
  return sha256;
}
