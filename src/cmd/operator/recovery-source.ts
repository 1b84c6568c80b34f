import type { BackupLocation } from '../../api/index.ts';
import type { RecoverySource } from '../../controller/index.ts';
import { BucketReader } from './bucket-reader.ts';
import type { SecretSource } from './location-access.ts';

/** Reads the second data center's bucket with the location's own credentials. */
export class RealRecoverySource implements RecoverySource {
  readonly #secrets: SecretSource;

  constructor(secrets: SecretSource) {
    this.#secrets = secrets;
  }

  tenants({ spec }: BackupLocation, signal: AbortSignal): ReturnType<RecoverySource['tenants']> {
    return BucketReader.with(spec, this.#secrets, (reader) => reader.tenants(signal));
  }

  tenant({ spec }: BackupLocation, tenantId: string, signal: AbortSignal): ReturnType<RecoverySource['tenant']> {
    return BucketReader.with(spec, this.#secrets, async (reader) => {
      const record = await reader.latestRecord(tenantId, signal);
      const known = new Set(record?.backups.map(({ stored }) => stored.snapshotId));
      return { tenantId, record, snapshots: await reader.snapshots(tenantId, record?.keyGeneration ?? 1, known, signal) };
    });
  }
}
