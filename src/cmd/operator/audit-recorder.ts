import type { Logger } from 'pino';
import { AuditError, AuditTrail, newAuditKeys, openAuditSigner, type AuditSigner } from '../../audit/index.ts';
import type { BackupLocation } from '../../api/index.ts';
import { PortError, type AuditRecorder, type RawSecret } from '../../controller/index.ts';
import { isReadOnly, type AuditRecord } from '../../decide/index.ts';
import { isKubeError, ResourceClient, resourceTypes, type KubeConnection } from '../../kube/index.ts';
import { openStore, StorageError, tenantPrefix } from '../../storage/index.ts';
import { bucketConnection, bucketUrl, type SecretSource } from './location-access.ts';

/** Holds the keys of this installation's audit trails, and `publicKey` for people. */
export const AUDIT_SECRET = 'tenant-backup-audit';
/** The ends of so many trails are kept in mind; the others are read from the bucket again. */
const MOST_TRAILS = 2000;
/** A mover's start waits for its event. */
const ATTEMPTS = 3;

/** Writes events into the buckets, and each of them on the log as well. */
export class RealAuditRecorder implements AuditRecorder {
  readonly #connection: KubeConnection;
  readonly #secrets: SecretSource;
  readonly #log: Pick<Logger, 'info'>;
  /** By location and tenant; the one that was used last comes last. */
  readonly #trails = new Map<string, AuditTrail>();
  #signer: Promise<AuditSigner> | undefined;

  constructor(connection: KubeConnection, secrets: SecretSource, log: Pick<Logger, 'info'>) {
    this.#connection = connection;
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
    const signer = await this.#open(signal);
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

  #open(signal: AbortSignal): Promise<AuditSigner> {
    this.#signer ??= this.#readOrMake(signal);
    // What failed is tried anew with the next event.
    this.#signer.catch(() => {
      this.#signer = undefined;
    });
    return this.#signer;
  }

  /** The keys are made once, with the first event. Of two replicas the second reads what the first made. */
  async #readOrMake(signal: AbortSignal): Promise<AuditSigner> {
    const client = new ResourceClient<RawSecret>(this.#connection, resourceTypes.secrets);
    const { namespace } = this.#secrets;
    const present = await client.get(AUDIT_SECRET, namespace, signal);
    if (present !== undefined) return signerIn(present);
    const keys = newAuditKeys();
    const signer = openAuditSigner(keys);
    const data = Object.fromEntries(Object.entries({ ...keys, publicKey: signer.publicKey }).map(([name, value]) => [name, Buffer.from(value).toString('base64')]));
    try {
      await client.create({ apiVersion: 'v1', kind: 'Secret', metadata: { name: AUDIT_SECRET, namespace }, type: 'Opaque', data }, signal);
      this.#log.info({ publicKey: signer.publicKey }, `the keys of audit trails are made and lie in Secret ${AUDIT_SECRET}; keep a copy of the public key where nobody of this cluster can change it`);
      return signer;
    } catch (error) {
      if (!isKubeError(error, 'AlreadyExists')) throw error;
    }
    const made = await client.get(AUDIT_SECRET, namespace, signal);
    if (made === undefined) throw new PortError('SecretMissing', `Secret ${AUDIT_SECRET} in namespace ${namespace} came and went; it is tried again`, { retryable: true });
    return signerIn(made);
  }
}

/** A Secret that lost its keys gets no new ones: a trail with two keys is what tampering looks like. */
function signerIn({ data = {} }: RawSecret): AuditSigner {
  const { signingKey = '', pseudonymKey = '' } = Object.fromEntries(Object.entries(data).map(([name, value]) => [name, Buffer.from(value, 'base64').toString('utf8').trim()]));
  return openAuditSigner({ signingKey, pseudonymKey });
}
