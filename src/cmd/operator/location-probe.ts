import { randomUUID } from 'node:crypto';
import type { BackupLocation, BackupLocationSpec, KmsSettings, MoverCredentials } from '../../api/index.ts';
import { PortError, type CredentialMinter, type Finding, type LocationFindings, type LocationProbe, type ReplicationAccess } from '../../controller/index.ts';
import { isReadOnly, replicationSetup } from '../../decide/index.ts';
import { KeyError, LOCAL_KMS_WARNING, probeKms } from '../../keys/index.ts';
import { canonicalJson, StorageError, type ObjectStore } from '../../storage/index.ts';
import { keysIsolation, PROBE_TENANT } from './kms-isolation.ts';
import { openKms, openLocationStore, type SecretSource } from './location-access.ts';

/** Tries a location's bucket, keys and sessions with what the operator itself holds. */
export class RealLocationProbe implements LocationProbe {
  readonly #secrets: SecretSource;
  readonly #minter: CredentialMinter;
  readonly #workers: Pick<ReplicationAccess, 'credentials'>;
  readonly #warn: (message: string) => void;

  constructor(secrets: SecretSource, minter: CredentialMinter, workers: Pick<ReplicationAccess, 'credentials'>, warn: (message: string) => void) {
    this.#secrets = secrets;
    this.#minter = minter;
    this.#workers = workers;
    this.#warn = warn;
  }

  async probe(location: BackupLocation, signal: AbortSignal): Promise<LocationFindings> {
    const { spec } = location;
    const [storage, minted, workersIsolated, key, replica] = await Promise.all([
      this.#probeStorage(spec, signal),
      this.#mint(location, signal),
      replicationSetup(spec) === undefined ? undefined : this.#probeWorkers(location, signal),
      this.#probeKey(spec.kms, signal),
      spec.replica ? this.#probeKey(spec.replica.kms, signal) : undefined,
    ]);
    return {
      ...storage,
      storageIsolated: storageIsolation(spec, minted),
      ...(workersIsolated === undefined ? {} : { workersIsolated }),
      keyUsable: key.usable,
      ...(replica ? { replicaKeyUsable: replica.usable } : {}),
      keysIsolated: await keysIsolation(spec, minted, key.canUnwrap || (replica?.canUnwrap ?? false), signal),
    };
  }

  async #probeStorage(spec: BackupLocationSpec, signal: AbortSignal): Promise<Pick<LocationFindings, 'storageReachable' | 'storageWritable'>> {
    let store: ObjectStore | undefined;
    try {
      store = await openLocationStore(spec, this.#secrets);
      await firstOf(store.list('location.json', { signal }));
    } catch (error) {
      await store?.close();
      const wrong = finding(error, `bucket ${spec.s3.bucket}`);
      return { storageReachable: wrong, storageWritable: { ok: false, reason: 'NotTried', message: 'Not tried, for the bucket could not be read.' } };
    }
    const storageReachable: Finding = { ok: true, message: `Bucket ${spec.s3.bucket} answers.` };
    if (isReadOnly({ spec })) {
      await store.close();
      return { storageReachable, storageWritable: { ok: true, message: 'Not tried: what lies there is a copy, and only read.' } };
    }
    try {
      const key = `probe/${randomUUID()}`;
      await store.put(key, Buffer.from('tenant-backup'), { ifAbsent: true, signal });
      await store.get(key, { signal });
      await store.delete(key, { signal });
      await markLocation(store, signal);
      return { storageReachable, storageWritable: { ok: true, message: 'An object was put, read and deleted.' } };
    } catch (error) {
      return { storageReachable, storageWritable: finding(error, `bucket ${spec.s3.bucket}`) };
    } finally {
      await store.close();
    }
  }

  /** The credentials of a mover of nobody. */
  async #mint(location: BackupLocation, signal: AbortSignal): Promise<MoverCredentials | FailedFinding> {
    try {
      return (await this.#minter.mint(location, PROBE_TENANT, signal)).credentials;
    } catch (error) {
      return finding(error, 'STS');
    }
  }

  async #probeWorkers(location: BackupLocation, signal: AbortSignal): Promise<Finding> {
    try {
      const { shared } = await this.#workers.credentials(location, 'replicate', signal);
      if (shared.length === 0) return { ok: true, message: 'Workers of the second data center get S3 sessions confined to what they do.' };
      return { ok: false, reason: 'WorkersShareCredentials', message: `Workers that copy into the second data center hold a bucket's own credentials: ${shared.map((why) => why.replace(/[.\s]*$/, '')).join('; ')}.` };
    } catch (error) {
      return finding(error, 'STS');
    }
  }

  async #probeKey(kms: KmsSettings, signal: AbortSignal): Promise<{ usable: Finding; canUnwrap: boolean }> {
    try {
      const provider = await openKms(kms, this.#secrets, this.#warn);
      try {
        const { keyId, canUnwrap } = await probeKms(provider, signal);
        const warning = kms.provider === 'local' ? ` Warning: ${LOCAL_KMS_WARNING}.` : '';
        return { usable: { ok: true, message: `A random value was wrapped under key ${keyId}.${warning}` }, canUnwrap };
      } finally {
        provider.close();
      }
    } catch (error) {
      return { usable: finding(error, 'KMS'), canUnwrap: false };
    }
  }
}

function storageIsolation({ s3 }: BackupLocationSpec, minted: MoverCredentials | FailedFinding): Finding {
  if (s3.sts.mode === 'Disabled') {
    return { ok: false, reason: 'StorageShared', message: "Sessions are disabled (spec.s3.sts.mode), so every mover holds the location's own S3 credentials and could reach other tenants." };
  }
  if ('ok' in minted) return { ...minted, message: `No session could be made: ${minted.message}` };
  if (minted.s3.sessionToken !== undefined) return { ok: true, message: 'Movers get S3 sessions confined to their own tenant.' };
  return { ok: false, reason: 'StorageShared', message: "The endpoint offers no sessions (STS), or wants a role and none is named (spec.s3.sts.roleArn), so every mover holds the location's own S3 credentials and could reach other tenants." };
}

/** Says once who writes here, so that a reader refuses what it does not know (`layout.md`). */
async function markLocation(store: ObjectStore, signal: AbortSignal): Promise<void> {
  if ((await store.head('location.json', { signal })) !== undefined) return;
  try {
    await store.put('location.json', canonicalJson({ version: 1, writer: 'tenant-backup' }), { ifAbsent: true, signal });
  } catch (error) {
    if (!(error instanceof StorageError && error.code === 'AlreadyExists')) throw error;
  }
}

async function firstOf<T>(items: AsyncIterable<T>): Promise<T | undefined> {
  for await (const item of items) return item;
  return undefined;
}

type FailedFinding = Finding & { readonly ok: false };

function finding(error: unknown, what: string): FailedFinding {
  if (error instanceof PortError) return { ok: false, reason: error.reason, message: error.message };
  if (error instanceof StorageError || error instanceof KeyError) return { ok: false, reason: error.code, message: error.message };
  return { ok: false, reason: 'Unexpected', message: `${what}: ${error instanceof Error ? error.message : String(error)}` };
}
