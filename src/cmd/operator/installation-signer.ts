import type { Logger } from 'pino';
import { newAuditKeys, openAuditSigner, type AuditSigner } from '../../audit/index.ts';
import { PortError, type RawSecret } from '../../controller/index.ts';
import { isKubeError, ResourceClient, resourceTypes, type KubeConnection } from '../../kube/index.ts';

/** Holds the keys with which this installation signs audit trails and tenants' records, and `publicKey` for people. */
export const AUDIT_SECRET = 'tenant-backup-audit';

/** What this installation signs with. */
export interface InstallationSigner {
  /** @throws {AuditError | PortError} */
  open(signal: AbortSignal): Promise<AuditSigner>;
}

/** The keys lie in a Secret of the operator's namespace, and are made once, with the first thing that is signed. */
export class SecretSigner implements InstallationSigner {
  readonly #connection: KubeConnection;
  readonly #namespace: string;
  readonly #log: Pick<Logger, 'info'>;
  #signer: Promise<AuditSigner> | undefined;

  constructor(connection: KubeConnection, namespace: string, log: Pick<Logger, 'info'>) {
    this.#connection = connection;
    this.#namespace = namespace;
    this.#log = log;
  }

  open(signal: AbortSignal): Promise<AuditSigner> {
    this.#signer ??= this.#readOrMake(signal);
    // What failed is tried anew the next time.
    this.#signer.catch(() => {
      this.#signer = undefined;
    });
    return this.#signer;
  }

  /** Of two replicas the second reads what the first made. */
  async #readOrMake(signal: AbortSignal): Promise<AuditSigner> {
    const client = new ResourceClient<RawSecret>(this.#connection, resourceTypes.secrets);
    const namespace = this.#namespace;
    const present = await client.get(AUDIT_SECRET, namespace, signal);
    if (present !== undefined) return signerIn(present);
    const keys = newAuditKeys();
    const signer = openAuditSigner(keys);
    const data = Object.fromEntries(Object.entries({ ...keys, publicKey: signer.publicKey }).map(([name, value]) => [name, Buffer.from(value).toString('base64')]));
    try {
      await client.create({ apiVersion: 'v1', kind: 'Secret', metadata: { name: AUDIT_SECRET, namespace }, type: 'Opaque', data }, signal);
      this.#log.info({ publicKey: signer.publicKey }, `the keys of audit trails and records are made and lie in Secret ${AUDIT_SECRET}; keep a copy of the public key where nobody of this cluster can change it`);
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
