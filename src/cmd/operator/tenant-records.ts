import { TenantRecord, tenantRecordKey, type BackupLocation } from '../../api/index.ts';
import { PortError, type TenantRecords } from '../../controller/index.ts';
import { StorageError, canonicalJson } from '../../storage/index.ts';
import { BucketReader } from './bucket-reader.ts';
import { openLocationStore, type SecretSource } from './location-access.ts';

/** Puts and reads revisions with the location's own credentials. */
export class RealTenantRecords implements TenantRecords {
  readonly #secrets: SecretSource;

  constructor(secrets: SecretSource) {
    this.#secrets = secrets;
  }

  async put({ spec }: BackupLocation, record: TenantRecord, signal: AbortSignal): Promise<boolean> {
    const store = await openLocationStore(spec, this.#secrets);
    try {
      await store.put(`tenants/${record.tenant}/${tenantRecordKey(record.rev)}`, canonicalJson(record), { ifAbsent: true, signal });
      return true;
    } catch (error) {
      if (!(error instanceof StorageError)) throw error;
      if (error.code === 'AlreadyExists') return false;
      throw new PortError(error.code, `the record of tenant ${record.tenant} could not be written: ${error.message}`, { retryable: error.retryable, cause: error });
    } finally {
      await store.close();
    }
  }

  async latest({ spec }: BackupLocation, tenantId: string, signal: AbortSignal): Promise<TenantRecord | undefined> {
    return BucketReader.with(spec, this.#secrets, (reader) => reader.latestRecord(tenantId, signal));
  }
}
