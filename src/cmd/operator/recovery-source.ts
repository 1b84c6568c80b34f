import { fingerprintOf, openRecord } from '../../audit/index.ts';
import type { BackupLocation } from '../../api/index.ts';
import type { RecoverySource } from '../../controller/index.ts';
import type { FoundRecord, RecordTrust } from '../../decide/recovery.ts';
import { inParallel } from '../../mover/in-parallel.ts';
import { BucketReader, type Revision } from './bucket-reader.ts';
import type { SecretSource } from './location-access.ts';

/** Tenants that are asked for their oldest record at a time. */
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

  tenant({ spec }: BackupLocation, tenantId: string, trust: RecordTrust, signal: AbortSignal): ReturnType<RecoverySource['tenant']> {
    return BucketReader.with(spec, this.#secrets, async (reader) => {
      const { record, refused } = await trustedRecord(await reader.revisions(tenantId, signal), trust);
      const known = new Set(record?.backups.map(({ stored }) => stored.snapshotId));
      return { tenantId, record, refused, snapshots: await reader.snapshots(tenantId, record?.keyGeneration ?? 1, known, signal) };
    });
  }
}

/** The highest revision of which a version is trusted, and what lies above it and is not. */
async function trustedRecord(revisions: readonly Revision[], { keys, accepted }: RecordTrust): Promise<FoundRecord> {
  const refused: FoundRecord['refused'][number][] = [];
  for (const { rev, firstSound } of revisions) {
    let last: FoundRecord['refused'][number] | undefined;
    const record = await firstSound((bytes) => {
      const opened = openRecord(bytes);
      if (opened === undefined) return undefined;
      const { sealedBy, digest } = opened;
      if ((sealedBy !== undefined && keys.includes(sealedBy)) || accepted.includes(digest)) return opened.record;
      last ??= { rev, digest, sealedBy: sealedBy === undefined ? undefined : fingerprintOf(sealedBy) };
      return undefined;
    });
    if (record !== undefined) return { record, refused };
    if (last !== undefined) refused.push(last);
  }
  return { record: undefined, refused };
}

/**
 * Who wrote here first, by the service's own clock: nobody who comes later can put a record before that one in a bucket whose versions are locked.
 * @returns the public key, base64
 */
async function oldestKey(reader: BucketReader, tenants: readonly string[], signal: AbortSignal): Promise<string | undefined> {
  const oldest: { readonly at: number; readonly read: () => Promise<Uint8Array> }[] = [];
  await inParallel(tenants, PARALLEL_TENANTS, async (tenant) => {
    for (const { versions } of await reader.revisions(tenant, signal)) oldest.push(...versions);
  });
  for (const { read } of oldest.sort((a, b) => a.at - b.at)) {
    const sealedBy = openRecord(await read())?.sealedBy;
    if (sealedBy !== undefined) return sealedBy;
  }
  return undefined;
}
