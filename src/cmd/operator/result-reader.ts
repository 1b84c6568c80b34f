import type { BackupLocation } from '../../api/index.ts';
import type { ResultReader } from '../../controller/index.ts';
import { openLocationStore, type SecretSource } from './location-access.ts';
import { readResult } from './read-result.ts';

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
      return await readResult(store, { key: `tenants/${tenantId}/${key}`, name: key, mostBytes: MOST_BYTES, writer: 'mover' }, signal);
    } finally {
      await store.close();
    }
  }
}
