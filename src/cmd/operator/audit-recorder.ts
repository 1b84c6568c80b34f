import type { Logger } from 'pino';
import { AuditError, AuditTrail, type AuditSigner } from '../../audit/index.ts';
import type { BackupLocation } from '../../api/index.ts';
import { PortError, type AuditRecorder } from '../../controller/index.ts';
import { isReadOnly, type AuditRecord } from '../../decide/index.ts';
import { openStore, StorageError, tenantPrefix } from '../../storage/index.ts';
import type { InstallationSigner } from './installation-signer.ts';
import { bucketConnection, bucketUrl, type SecretSource } from './location-access.ts';

/** The ends of so many trails are kept in mind; the others are read from the bucket again. */
const MOST_TRAILS = 2000;
/** A mover's start waits for its event. */
const ATTEMPTS = 3;

/** Writes events into the buckets, and each of them on the log as well. */
export class RealAuditRecorder implements AuditRecorder {
  readonly #signer: InstallationSigner;
  readonly #secrets: SecretSource;
  readonly #log: Pick<Logger, 'info'>;
  /** By location and tenant; the one that was used last comes last. */
  readonly #trails = new Map<string, AuditTrail>();

  constructor(signer: InstallationSigner, secrets: SecretSource, log: Pick<Logger, 'info'>) {
    this.#signer = signer;
    this.#secrets = secrets;
    this.#log = log;
  }

  async record(location: BackupLocation, tenantId: string, record: AuditRecord, signal: AbortSignal): Promise<void> {
    // A copy is not written to: what is restored from it in a disaster is told on the log, and no trail is forked.
    if (isReadOnly(location)) return this.#log.info({ audit: { ...record, requestedBy: undefined, tenant: tenantId } }, 'audit, on the log alone: the bucket is a copy');
    try {
      await this.#record(location, tenantId, record, signal);
    } catch (error) {
      if (!(error instanceof AuditError) && !(error instanceof StorageError)) throw error;
      throw new PortError(error.code, `the audit trail could not be written, and nothing is done that it does not tell: ${error.message}`, { retryable: error.retryable, cause: error });
    }
  }

  async #record({ metadata, spec }: BackupLocation, tenantId: string, { requestedBy, ...entry }: AuditRecord, signal: AbortSignal): Promise<void> {
    const signer = await this.#signer.open(signal);
    const trail = this.#trail(`${metadata.uid}/${tenantId}`, tenantId, signer);
    const store = await openStore(bucketUrl(spec.s3), { s3: bucketConnection(spec.s3, this.#secrets), retry: { attempts: ATTEMPTS } });
    try {
      await trail.record(store.within(tenantPrefix('', tenantId)), { ...entry, actor: requestedBy === undefined ? 'operator' : signer.pseudonym(requestedBy), details: { ...entry.details } }, signal);
    } finally {
      await store.close();
    }
  }

  #trail(key: string, tenantId: string, signer: AuditSigner): AuditTrail {
    const trail = this.#trails.get(key) ?? new AuditTrail({ tenantId, signer, now: () => new Date(), onRecorded: (event) => this.#log.info({ audit: event }, 'audit') });
    this.#trails.delete(key);
    this.#trails.set(key, trail);
    const [oldest] = this.#trails.keys();
    if (this.#trails.size > MOST_TRAILS && oldest !== undefined) this.#trails.delete(oldest);
    return trail;
  }
}
