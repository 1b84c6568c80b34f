import type { BackupLocation } from '../../api/index.ts';
import { PortError, type TenantEraser } from '../../controller/index.ts';
import type { ErasureProgress } from '../../decide/index.ts';
import { StorageError, tenantPrefix, type ObjectStore } from '../../storage/index.ts';
import { openBucket, openLocationStore, type SecretSource } from './location-access.ts';

/** Removals of one step: the controller has other tenants, too. */
const MOST_REMOVALS = 5000;
const PARALLEL = 16;
/** Locks are looked up of so many: those of a night end together. */
const MOST_LOCK_LOOKS = 50;

/** What makes a stored backup readable; it goes first, so that what comes after can end at any time. */
const KEYS = /^g[0-9]+\/(?:wrappings|keys)\//;
/** The proof stays, with the proof that all else is gone; and in the second data center the replicator's ledger, which holds names and dates. */
const KEPT = /^(?:audit|ledger)\//;

/** Removes what a tenant has in the buckets, every version of it, with the location's own credentials. */
export class RealTenantEraser implements TenantEraser {
  readonly #secrets: SecretSource;

  constructor(secrets: SecretSource) {
    this.#secrets = secrets;
  }

  async step(location: BackupLocation, tenantId: string, what: 'destroyKeys' | 'removeAll', signal: AbortSignal): Promise<ErasureProgress> {
    const { spec } = location;
    const primary = await openLocationStore(spec, this.#secrets);
    try {
      const here = await erase(primary.within(tenantPrefix('', tenantId)), what === 'destroyKeys' ? (key) => KEYS.test(key) : () => true, signal);
      const replicaRemaining = what === 'removeAll' && here.remaining === 0 ? await this.#inReplica(location, tenantId, signal) : undefined;
      return { ...here, replicaRemaining };
    } catch (error) {
      if (!(error instanceof StorageError)) throw error;
      throw new PortError(error.code, error.message, { retryable: error.retryable, cause: error });
    } finally {
      await primary.close();
    }
  }

  /** Here nobody of the first data center deletes: it is collected by its own principal once the locks have ended. Only what is left is counted. */
  async #inReplica({ spec }: BackupLocation, tenantId: string, signal: AbortSignal): Promise<number | undefined> {
    const s3 = spec.replica?.s3;
    if (s3 === undefined) return undefined;
    const replica = await openBucket(s3, this.#secrets);
    try {
      let left = 0;
      for await (const { count } of versionsOf(replica.within(tenantPrefix('', tenantId)), signal)) left += count;
      return left;
    } finally {
      await replica.close();
    }
  }
}

interface Lying {
  readonly key: string;
  /** Version ids of versions and delete markers; none where the store knows no versions. */
  readonly ids: readonly string[];
  readonly count: number;
  readonly bytes: number;
  readonly newestVersion: string | undefined;
}

async function* versionsOf(store: ObjectStore, signal: AbortSignal): AsyncIterable<Lying> {
  if (store.versions === undefined) {
    for await (const { key, size } of store.list('', { signal })) if (isErasable(key)) yield { key, ids: [], count: 1, bytes: size, newestVersion: undefined };
    return;
  }
  for await (const { key, versions, markers } of store.versions.list('', { signal })) {
    const ids = [...versions.map(({ versionId }) => versionId), ...markers];
    if (isErasable(key)) yield { key, ids, count: ids.length, bytes: versions.reduce((sum, { size }) => sum + size, 0), newestVersion: versions.at(-1)?.versionId };
  }
}

function isErasable(key: string): boolean {
  return !KEPT.test(key);
}

async function erase(store: ObjectStore, wanted: (key: string) => boolean, signal: AbortSignal): Promise<Omit<ErasureProgress, 'replicaRemaining'>> {
  const sums = { removed: 0, bytes: 0, remaining: 0 };
  const locked: Lying[] = [];
  let batch: Lying[] = [];
  async function removeBatch(): Promise<void> {
    await Promise.all(
      batch.map(async (lying) => {
        if (await remove(store, lying, signal)) {
          sums.removed += lying.count;
          sums.bytes += lying.bytes;
        } else {
          sums.remaining += lying.count;
          locked.push(lying);
        }
      }),
    );
    batch = [];
  }
  for await (const lying of versionsOf(store, signal)) {
    if (!wanted(lying.key)) continue;
    if (sums.removed >= MOST_REMOVALS) {
      sums.remaining += lying.count;
      continue;
    }
    batch.push(lying);
    if (batch.length === PARALLEL) await removeBatch();
  }
  await removeBatch();
  return { ...sums, lockedUntil: await lastLock(store, locked, signal) };
}

/** @returns false where a lock holds a version back */
async function remove(store: ObjectStore, { key, ids }: Lying, signal: AbortSignal): Promise<boolean> {
  try {
    if (store.versions === undefined) await store.delete(key, { signal });
    else for (const id of ids) await store.versions.remove(key, id, { signal });
    return true;
  } catch (error) {
    // Some services say AccessDenied of a lock; a principal that may not delete at all shows as a lock that nobody set.
    if (error instanceof StorageError && (error.code === 'Locked' || error.code === 'AccessDenied')) return false;
    throw error;
  }
}

/** @throws {StorageError} `AccessDenied` where what stays has no lock: then it is the right to delete that lacks */
async function lastLock(store: ObjectStore, locked: readonly Lying[], signal: AbortSignal): Promise<number | undefined> {
  let last: number | undefined;
  for (const { key, newestVersion } of locked.slice(0, MOST_LOCK_LOOKS)) {
    const retention = newestVersion === undefined ? undefined : await store.versions?.retentionOf(key, newestVersion, { signal });
    if (retention === undefined) {
      throw new StorageError('AccessDenied', `${key} in ${store.location} may not be removed, though it has no lock; extend the policy of the location's principal by s3:DeleteObject and s3:DeleteObjectVersion`, {
        retryable: false,
        context: { key },
      });
    }
    last = Math.max(last ?? 0, retention.until.getTime());
  }
  return last;
}
