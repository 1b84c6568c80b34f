import { AuditError, openRecord, sealRecord } from '../../audit/index.ts';
import { tenantRecordKey, type BackupLocation, type TenantRecord } from '../../api/index.ts';
import { PortError, type TenantRecords } from '../../controller/index.ts';
import { StorageError } from '../../storage/index.ts';
import { BucketReader } from './bucket-reader.ts';
import type { InstallationSigner } from './installation-signer.ts';
import { openLocationStore, type SecretSource } from './location-access.ts';
import { isInPlace } from './trusted-record.ts';

/** Puts and reads revisions with the location's own credentials, each under this installation's seal. */
export class RealTenantRecords implements TenantRecords {
  readonly #secrets: SecretSource;
  readonly #signer: InstallationSigner;

  constructor(secrets: SecretSource, signer: InstallationSigner) {
    this.#secrets = secrets;
    this.#signer = signer;
  }

  async put({ spec }: BackupLocation, record: TenantRecord, signal: AbortSignal): Promise<boolean> {
    const store = await openLocationStore(spec, this.#secrets);
    try {
      const sealed = sealRecord(record, await this.#signer.open(signal));
      await store.put(`tenants/${record.tenant}/${tenantRecordKey(record.rev)}`, sealed, { ifAbsent: true, signal });
      return true;
    } catch (error) {
      if (!(error instanceof StorageError) && !(error instanceof AuditError)) throw error;
      if (error.code === 'AlreadyExists') return false;
      throw new PortError(error.code, `the record of tenant ${record.tenant} could not be written: ${error.message}`, { retryable: error.retryable, cause: error });
    } finally {
      await store.close();
    }
  }

  async latest({ spec }: BackupLocation, tenantId: string, signal: AbortSignal): ReturnType<TenantRecords['latest']> {
    const { publicKey } = await this.#signer.open(signal);
    return BucketReader.with(spec, this.#secrets, async (reader) => {
      const [newest] = await reader.revisions(tenantId, signal);
      if (newest === undefined) return undefined;
      const own = await newest.firstSound((bytes) => {
        const opened = openRecord(bytes);
        return opened?.sealedBy === publicKey && isInPlace(opened, { tenantId, rev: newest.rev }) ? opened.record : undefined;
      });
      return { rev: newest.rev, record: own };
    });
  }
}
