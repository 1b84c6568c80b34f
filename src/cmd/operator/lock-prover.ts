import type { BackupLocation } from '../../api/index.ts';
import { PortError, type LockFinding, type LockProver } from '../../controller/index.ts';
import { replicationSetup } from '../../decide/index.ts';
import { StorageError, parseStoreUrl, proveObjectLock, type LockProof, type S3Address } from '../../storage/index.ts';
import { bucketConnection, bucketUrl, type SecretSource } from './location-access.ts';
import { accessKeyOf } from './secrets.ts';

/** Tries to delete what is locked, with a principal that may. */
export class RealLockProver implements LockProver {
  readonly #secrets: SecretSource;
  readonly #now: () => number;

  constructor(secrets: SecretSource, now: () => number) {
    this.#secrets = secrets;
    this.#now = now;
  }

  async prove({ spec }: BackupLocation, signal: AbortSignal): Promise<LockFinding | undefined> {
    const setup = replicationSetup(spec);
    if (setup === undefined) return undefined;
    const { lookup, namespace } = this.#secrets;
    try {
      const proof = await proveObjectLock({
        address: addressOf(bucketUrl(setup.replica)),
        connection: bucketConnection(setup.replica, this.#secrets),
        prober: accessKeyOf(lookup, setup.probeSecret, namespace),
        mode: setup.objectLock.mode === 'Compliance' ? 'COMPLIANCE' : 'GOVERNANCE',
        now: this.#now(),
        signal,
      });
      return inWords(proof, setup.replica.bucket);
    } catch (error) {
      if (error instanceof PortError) return { kind: 'refuted', reason: error.reason, message: error.message };
      if (error instanceof StorageError) return { kind: 'refuted', reason: error.code, message: error.message };
      throw error;
    }
  }
}

function inWords(proof: LockProof, bucket: string): LockFinding {
  if (proof.kind !== 'proven') return proof;
  const warning = proof.warning === undefined ? '' : ` Warning: ${proof.warning}`;
  return { kind: 'proven', reason: 'LockProven', message: `Nobody could delete a version under a lock in bucket ${bucket}, or shorten its lock.${warning}` };
}

function addressOf(url: string): S3Address {
  const address = parseStoreUrl(url);
  if (address.kind !== 's3') throw new StorageError('InvalidUrl', `${url} is no bucket`, { retryable: false });
  return address;
}
