import { openRecord } from '../../audit/index.ts';
import type { BackupLocation } from '../../api/index.ts';
import { PortError, type RecoverySource } from '../../controller/index.ts';
import { namespaceClaim, type NamespaceClaim, type RecordTrust } from '../../decide/recovery.ts';
import { inParallel } from '../../mover/in-parallel.ts';
import { StorageError } from '../../storage/index.ts';
import { BucketReader, type FoundVersion } from './bucket-reader.ts';
import type { SecretSource } from './location-access.ts';
import { trustedRecord } from './trusted-record.ts';

/** Tenants whose records are read at a time. */
const PARALLEL_TENANTS = 16;

/** Reads the second data center's bucket with the location's own credentials. */
export class RealRecoverySource implements RecoverySource {
  readonly #secrets: SecretSource;

  constructor(secrets: SecretSource) {
    this.#secrets = secrets;
  }

  tenants({ spec }: BackupLocation, signal: AbortSignal): ReturnType<RecoverySource['tenants']> {
    return BucketReader.with(spec, this.#secrets, async (reader) => {
      const tenants = await reader.tenants(signal);
      const needsKey = (spec.recovery?.trustedKeys ?? []).length === 0;
      return { tenants, oldestKey: needsKey ? await oldestKey(reader, tenants, signal) : undefined };
    });
  }

  claims({ spec }: BackupLocation, tenants: readonly string[], trust: RecordTrust, signal: AbortSignal): ReturnType<RecoverySource['claims']> {
    return BucketReader.with(spec, this.#secrets, async (reader) => {
      const claims: NamespaceClaim[] = [];
      await inParallel(tenants, PARALLEL_TENANTS, async (tenant) => {
        const { record } = await trustedRecord(tenant, await reader.revisions(tenant, signal), trust);
        claims.push(namespaceClaim(tenant, record));
      });
      return claims;
    });
  }

  tenant({ spec }: BackupLocation, tenantId: string, trust: RecordTrust, signal: AbortSignal): ReturnType<RecoverySource['tenant']> {
    return BucketReader.with(spec, this.#secrets, async (reader) => {
      const { record, refused } = await trustedRecord(tenantId, await reader.revisions(tenantId, signal), trust);
      const known = new Set(record?.backups.map(({ stored }) => stored.snapshotId));
      return { tenantId, record, refused, snapshots: await reader.snapshots(tenantId, record?.keyGeneration ?? 1, known, signal) };
    });
  }
}

/**
 * Who wrote here first, by the service's own clock: nobody who comes later can put a record before that one in a bucket whose versions are locked. Where they are not,
 * whoever could delete the older ones is the first, so that it proves nothing.
 * @returns the public key, base64
 * @throws {PortError} `OldestRecordUnlocked`
 */
async function oldestKey(reader: BucketReader, tenants: readonly string[], signal: AbortSignal): Promise<string | undefined> {
  const oldest: FoundVersion[] = [];
  await inParallel(tenants, PARALLEL_TENANTS, async (tenant) => {
    for (const { versions } of await reader.revisions(tenant, signal)) oldest.push(...versions);
  });
  for (const version of oldest.sort((a, b) => a.at - b.at)) {
    const sealedBy = openRecord(await version.read())?.sealedBy;
    if (sealedBy === undefined) continue;
    await assertLocked(version);
    return sealedBy;
  }
  return undefined;
}

async function assertLocked({ key, wasLocked }: FoundVersion): Promise<void> {
  const refuse = (why: string, cause?: unknown): PortError =>
    new PortError('OldestRecordUnlocked', `${why}, so nobody knows whether older ones were deleted before it. Name the first installation's public key in spec.recovery.trustedKeys (publicKey of its Secret tenant-backup-audit, or of your copy of it)`, { retryable: false, cause });
  try {
    if (await wasLocked()) return;
  } catch (error) {
    if (!(error instanceof StorageError) || error.retryable) throw error;
    throw refuse(`whether the oldest record, ${key}, is under a lock cannot be seen (${error.message})`, error);
  }
  throw refuse(`the oldest record, ${key}, is not under a lock`);
}
