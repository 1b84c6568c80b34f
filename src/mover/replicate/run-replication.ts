import { MOVER_CONTRACT_VERSION, MOVER_EXIT, replicationResultKey, type ReplicateOrders, type ReplicationOrders, type ReplicationPlace, type ReplicationResult } from '../../api/index.ts';
import { memoryPlan } from '../../restic/memory-plan.ts';
import { canonicalJson, MemoryStore, openStore, StorageError, type ObjectStore } from '../../storage/index.ts';
import { ByteBudget } from '../byte-budget.ts';
import { CredentialsFile } from '../credentials-file.ts';
import { failureOf } from '../failure.ts';
import type { MoverLines } from '../mover-lines.ts';
import { collectTenant } from './collect-tenant.ts';
import { paceOf } from './pace.ts';
import { eachTenant, type ShardOutcome } from './replicate-shard.ts';
import { replicateTenant } from './replicate-tenant.ts';
import type { ReplicationTally, ReplicationWork, VersionedStore } from './work.ts';

export interface ReplicationEnvironment {
  readonly ordersDirectory: string;
  /** From 0. */
  readonly shard: number;
  readonly lines: MoverLines;
  readonly signal: AbortSignal;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly peakMemory: () => number;
}

/** A stopping pod has thirty seconds; what the result may take of them. */
const RESULT_TIMEOUT_MS = 10_000;
/** Connections that a service started anew breaks are not given a night up for. */
const PATIENCE_MS = 5 * 60_000;

type Tally = ReplicationTally & { collected: number };

/** Carries out a shard of a run and leaves the result in the bucket of whoever works. Never throws: what happens is in the result. */
export async function runReplication(orders: ReplicationOrders, environment: ReplicationEnvironment): Promise<ReplicationResult> {
  const startedAt = new Date(environment.now()).toISOString();
  const tally: Tally = { objects: 0, bytes: 0, extended: 0, collected: 0 };
  const opened: ObjectStore[] = [];
  let outcome: ShardOutcome;
  try {
    outcome = orders.task === 'replicate' ? await replicate(orders, environment, tally, opened) : await collect(orders, environment, tally, opened);
  } catch (error) {
    outcome = { tenants: [], findings: [], failure: failureOf(error, environment.signal) };
  }
  const result = resultOf(orders, environment, { startedAt, tally, outcome });
  await leave(orders, environment, result, opened);
  await Promise.all(opened.map((store) => store.close()));
  return result;
}

export function replicationExit({ failure }: Pick<ReplicationResult, 'failure'>): number {
  if (failure === undefined) return MOVER_EXIT.done;
  return failure.retryable ? MOVER_EXIT.retryable : MOVER_EXIT.failed;
}

async function replicate(orders: ReplicateOrders, environment: ReplicationEnvironment, tally: Tally, opened: ObjectStore[]): Promise<ShardOutcome> {
  const { signal, now, lines } = environment;
  const source = await openPlace(orders.source, environment, orders.concurrency);
  opened.push(source);
  const replica = await openPlace(orders.replica, environment, orders.concurrency);
  opened.push(replica);
  const pace = paceOf(orders.bytesPerSecond, now, signal);
  const work: ReplicationWork = {
    source: source.within('tenants'),
    replica: versioned(replica.within('tenants')),
    lock: orders.lock,
    released: new Set(orders.released),
    concurrency: orders.concurrency,
    budget: new ByteBudget(memoryPlan().copied),
    pace: async (bytes) => {
      lines.progress({ filesDone: tally.objects, bytesDone: tally.bytes, bytesAdded: tally.bytes });
      await pace(bytes);
    },
    mayBegin: windowOf(orders, environment),
    tally,
    signal,
    now: () => new Date(now()),
  };
  return eachTenant(work, { shard: environment.shard, shards: orders.shards, tenants: orders.tenants }, (listing) => replicateTenant(work, listing));
}

async function collect(orders: Extract<ReplicationOrders, { task: 'collect' }>, environment: ReplicationEnvironment, tally: Tally, opened: ObjectStore[]): Promise<ShardOutcome> {
  const { signal, lines } = environment;
  const store = await openPlace(orders.replica, environment);
  opened.push(store);
  const replica = versioned(store.within('tenants'));
  const mayBegin = windowOf(orders, environment);
  const range = { shard: environment.shard, shards: orders.shards, tenants: orders.tenants };
  // Collection reads the replica alone; the other side of its listing is empty.
  return eachTenant({ source: new MemoryStore('nothing'), replica, signal, mayBegin }, range, async (listing) => {
    const { removed, stillLocked } = await collectTenant(replica, listing, orders, { now: new Date(environment.now()), signal, mayBegin });
    tally.collected += removed;
    lines.progress({ filesDone: tally.collected, bytesDone: 0, bytesAdded: 0 });
    return { tenant: { tenant: listing.tenant, state: stillLocked > 0 ? 'waiting' : 'done', snapshots: [] }, findings: [] };
  });
}

function windowOf({ windowEnd }: ReplicationOrders, { now, signal }: ReplicationEnvironment): () => boolean {
  const end = windowEnd === undefined ? Infinity : Date.parse(windowEnd);
  return () => !signal.aborted && now() < end;
}

function openPlace(place: ReplicationPlace, { ordersDirectory, now, signal, lines }: ReplicationEnvironment, maxRequests?: number): Promise<ObjectStore> {
  const credentials = new CredentialsFile({ directory: ordersDirectory, file: place.credentialsFile, now, signal, onWaiting: (message) => lines.trouble('ExpiredCredentials', message) });
  const url = new URL(`s3://${place.bucket}`);
  url.pathname = `/${place.prefix}`;
  url.searchParams.set('region', place.region);
  url.searchParams.set('path-style', String(place.forcePathStyle));
  if (place.endpoint !== undefined) url.searchParams.set('endpoint', place.endpoint);
  return openStore(url.href, {
    s3: { credentials: () => credentials.s3(), ...(maxRequests === undefined ? {} : { maxRequests }), ...(place.caBundle === undefined ? {} : { caBundle: place.caBundle }) },
    retry: { patienceMs: PATIENCE_MS, onRetry: ({ doing, attempt, error }) => lines.trouble(error.code, `${doing}: ${error.message} (try ${attempt}; it is tried again)`) },
  });
}

/** The replica must be a bucket that keeps versions; only such a one has locks. */
export function versioned(store: ObjectStore): VersionedStore {
  if (keepsVersions(store)) return store;
  throw new StorageError('Unsupported', `${store.location} keeps no versions; a replica needs a bucket with Object Lock`, { retryable: false });
}

function keepsVersions(store: ObjectStore): store is VersionedStore {
  return store.versions !== undefined;
}

function resultOf(orders: ReplicationOrders, environment: ReplicationEnvironment, told: { readonly startedAt: string; readonly tally: Tally; readonly outcome: ShardOutcome }): ReplicationResult {
  const { tenants, findings, failure } = told.outcome;
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
    startedAt: told.startedAt,
    finishedAt: new Date(environment.now()).toISOString(),
    counts: { done: inState('done'), waiting: inState('waiting'), failed: inState('failed'), diverged: inState('diverged'), ...told.tally },
    tenants: [...tenants],
    findings: [...findings],
    peakMemory: environment.peakMemory(),
  };
}

/** In Push mode the first data center's bucket, in Pull mode and after a collection the second's. */
async function leave(orders: ReplicationOrders, { lines }: ReplicationEnvironment, result: ReplicationResult, opened: readonly ObjectStore[]): Promise<void> {
  const store = opened[orders.task === 'replicate' && orders.mode === 'Pull' ? 1 : 0];
  if (store === undefined) return;
  try {
    await store.put(replicationResultKey(orders.runId, result.shard), canonicalJson(result), { ifAbsent: true, signal: AbortSignal.timeout(RESULT_TIMEOUT_MS) });
  } catch (error) {
    const { code, message } = failureOf(error);
    if (code !== 'AlreadyExists') lines.trouble(code, `the result could not be left in the bucket: ${message}`);
  }
}
