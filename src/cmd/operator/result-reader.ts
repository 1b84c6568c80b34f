import type { BackupLocation } from '../../api/index.ts';
import { PortError, type ResultReader } from '../../controller/index.ts';
import { StorageError } from '../../storage/index.ts';
import { openLocationStore, type SecretSource } from './location-access.ts';

/** A result is some hundred bytes with at most some warnings; more is not ours. */
const MOST_BYTES = 1 << 20;

/** Reads results with the location's own credentials. */
export class RealResultReader implements ResultReader {
  readonly #secrets: SecretSource;

  constructor(secrets: SecretSource) {
    this.#secrets = secrets;
  }

  async read(location: BackupLocation, tenantId: string, key: string, signal: AbortSignal): Promise<unknown> {
    const store = await openLocationStore(location.spec, this.#secrets);
    try {
      const path = `tenants/${tenantId}/${key}`;
      const found = await store.head(path, { signal });
      if (found === undefined) return undefined;
      if (found.size > MOST_BYTES) throw new PortError('Damaged', `the result ${key} has ${found.size} bytes; that is no mover's`, { retryable: false });
      return JSON.parse(Buffer.from(await store.get(path, { signal })).toString('utf8'));
    } catch (error) {
      if (error instanceof StorageError) throw new PortError(error.code, `the result ${key} could not be read: ${error.message}`, { retryable: error.retryable, cause: error });
      if (error instanceof SyntaxError) throw new PortError('Damaged', `the result ${key} is no JSON`, { retryable: false, cause: error });
      throw error;
    } finally {
      await store.close();
    }
  }
}
