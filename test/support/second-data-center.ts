// The ground's second data center as locations name it, copies that are asked for, and a first one that is off.
import { restartDaemon, signalDaemon, stopDaemon } from '../ground/daemons.ts';
import { runningInit } from '../ground/record.ts';
import { until } from '../ground/run.ts';
import { openStore, type ObjectStore } from '../../src/storage/index.ts';
import { SYSTEM_NAMESPACE, environment, getObject, kubectl, waitFor, type StatusLike } from './cluster.ts';
import { secret } from './customer.ts';

export const MOVERS = `${SYSTEM_NAMESPACE}-movers`;
const env = (name: string): string => environment()[name] ?? '';

export interface CopyTerms {
  readonly retainFor: string;
  /** Whether the location may remove what nothing needs any more. */
  readonly collects?: boolean;
  /** Merged into `replication`; asked for, not scheduled, unless it says otherwise. */
  readonly replication?: object;
}

/** Secrets for each principal that a location of this name may have in either data center. */
export function replicaSecrets(name: string): object[] {
  const of = (suffix: string, user: string) => secret(`${name}-${suffix}`, { accessKeyId: env(`${user}ACCESS_KEY_ID`), secretAccessKey: env(`${user}SECRET_ACCESS_KEY`) });
  return [of('replica', 'S3_B_'), of('probe', 'S3_B_PROBER_'), of('collector', 'S3_B_COLLECTOR_'), of('reader', 'S3_A_READER_')];
}

/** What `spec.replica` and `spec.pull` share. */
export function copyTerms(name: string, { retainFor, collects = false, replication = {} }: CopyTerms): object {
  return {
    probeCredentialsSecretRef: { name: `${name}-probe` },
    ...(collects ? { collectorCredentialsSecretRef: { name: `${name}-collector` } } : {}),
    objectLock: { retainFor },
    replication: { schedule: '0 0 1 1 *', ...replication },
  };
}

/** The second data center's bucket. */
export function secondBucket(name: string, prefix: string): object {
  return { endpoint: env('S3_B_ENDPOINT'), region: env('S3_B_REGION'), bucket: env('S3_B_BUCKET'), prefix, credentialsSecretRef: { name: `${name}-replica` } };
}

/** The same as whoever may do everything there but what a lock forbids. */
export async function openSecond(prefix: string): Promise<ObjectStore> {
  const url = `s3://${env('S3_B_BUCKET')}/${prefix}?endpoint=${encodeURIComponent(env('S3_B_ENDPOINT'))}&region=${env('S3_B_REGION')}`;
  return openStore(url, { s3: { credentials: { accessKeyId: env('S3_B_ROOT_ACCESS_KEY_ID'), secretAccessKey: env('S3_B_ROOT_SECRET_ACCESS_KEY') } } });
}

/** Keys of the second data center that have a version, delete markers or not. */
export async function keysInSecond(prefix: string): Promise<string[]> {
  const store = await openSecond(prefix);
  try {
    const keys: string[] = [];
    for await (const { key, versions } of store.versions?.list('') ?? []) if (versions.length > 0) keys.push(key);
    return keys;
  } finally {
    await store.close();
  }
}

export async function locationOf(name: string): Promise<StatusLike & { readonly status: { readonly replication: Readonly<Record<string, unknown>> } }> {
  const found = await getObject<StatusLike>('bl', name);
  return { ...found, status: { ...found?.status, replication: (found?.status?.['replication'] ?? {}) as Readonly<Record<string, unknown>> } } as Awaited<ReturnType<typeof locationOf>>;
}

let asked = 0;

/** Asks for a copy, as an administrator does. @returns what was asked with */
export async function askForCopy(location: string): Promise<string> {
  asked += 1;
  const value = `${asked} ${Date.now()}`;
  await kubectl(['annotate', 'bl', location, `backup.dupp.de/replicate=${value}`, '--overwrite']);
  return value;
}

/** Waits for the end of the copy that was asked for. */
export async function copied(location: string, value: string, seconds = 120): ReturnType<typeof locationOf> {
  let last: Awaited<ReturnType<typeof locationOf>> | undefined;
  try {
    return await waitFor('the copy', seconds, async () => {
      last = await locationOf(location);
      const { requested, phase } = last.status.replication;
      return requested === value && (phase === 'Completed' || phase === 'Failed') ? last : undefined;
    });
  } catch (error) {
    throw new Error(`the copy of ${location} did not end: ${JSON.stringify(last?.status.replication)}`, { cause: error });
  }
}

export async function copyNow(location: string, seconds?: number): ReturnType<typeof locationOf> {
  return copied(location, await askForCopy(location), seconds);
}

/** Jobs, pods and Secrets that workers left. */
export async function workersLeft(): Promise<string> {
  return kubectl(['get', 'jobs,pods,secrets', '-n', MOVERS, '-o', 'name']);
}

/** A metric of the operator that leads; `undefined` where it tells none of this location. */
export async function locationMetric(name: string, location: string): Promise<number | undefined> {
  const pods = (await kubectl(['get', 'pods', '-n', SYSTEM_NAMESPACE, '-l', 'app.kubernetes.io/component=operator', '-o', 'jsonpath={.items[*].metadata.name}'])).split(' ').filter(Boolean);
  for (const pod of pods) {
    const page = await kubectl(['get', '--raw', `/api/v1/namespaces/${SYSTEM_NAMESPACE}/pods/${pod}:9090/proxy/metrics`]);
    const found = new RegExp(`^tenant_backup_location_${name}\\{location="${location}"\\} (\\S+)$`, 'm').exec(page)?.[1];
    if (found !== undefined) return Number(found);
  }
  return undefined;
}

/** The first data center's S3 is gone; its KMS takes connections and says nothing, for it keeps its keys in memory alone. */
export async function firstDataCenterOff(): Promise<void> {
  await stopDaemon(runningInit(), 's3-a');
  await signalDaemon(runningInit(), 'kms-a', 'STOP');
}

export async function firstDataCenterOn(): Promise<void> {
  await signalDaemon(runningInit(), 'kms-a', 'CONT');
  if (await answers()) return;
  await restartDaemon(runningInit(), 's3-a');
  await until('the first S3 service', 30, answers);
}

async function answers(): Promise<boolean> {
  try {
    return (await fetch(`${env('S3_A_ENDPOINT')}/minio/health/cluster`, { signal: AbortSignal.timeout(2000) })).ok;
  } catch {
    return false;
  }
}
