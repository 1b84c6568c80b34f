import { MOVER_CONTRACT_VERSION, ReplicationResult, replicationResultKey, type BackupLocation, type MoverCredentials, type ReplicationOrders } from '../../api/index.ts';
import { PortError, type ReplicationAccess } from '../../controller/index.ts';
import { REPLICA_CREDENTIALS, SOURCE_CREDENTIALS, replicationSetup } from '../../decide/index.ts';
import type { ObjectStore } from '../../storage/index.ts';
import { openBucket, type SecretSource } from './location-access.ts';
import { readResult } from './read-result.ts';
import { accessKeyOf } from './secrets.ts';

/** A result names every snapshot of its tenants: some hundred megabytes are no result of ours. */
const MOST_BYTES = 256 << 20;

/** Hands workers what the location's Secrets hold for both buckets, and reads what they leave in its own. */
export class RealReplicationAccess implements ReplicationAccess {
  readonly #secrets: SecretSource;

  constructor(secrets: SecretSource) {
    this.#secrets = secrets;
  }

  credentials({ metadata, spec }: BackupLocation, task: ReplicationOrders['task']): Promise<Readonly<Record<string, MoverCredentials>>> {
    const setup = replicationSetup(spec);
    if (setup === undefined) throw new PortError('NoReplica', `BackupLocation ${metadata.name} has no second bucket any more`, { retryable: false });
    if (task === 'collect') {
      const name = setup.collectorSecret ?? '';
      return Promise.resolve({ [REPLICA_CREDENTIALS]: this.#of(name) });
    }
    const { source, replica } = setup;
    return Promise.resolve({ [SOURCE_CREDENTIALS]: this.#of(source.credentialsSecretRef.name), [REPLICA_CREDENTIALS]: this.#of(replica.credentialsSecretRef.name) });
  }

  /** Who copies leaves them in the location's own bucket, who collects where there is something to collect. */
  async results({ spec }: BackupLocation, task: ReplicationOrders['task'], runId: string, shards: number, signal: AbortSignal): Promise<readonly (ReplicationResult | undefined)[]> {
    const replica = task === 'collect' ? replicationSetup(spec)?.replica : undefined;
    const store = await openBucket(replica ?? spec.s3, this.#secrets);
    try {
      const found: (ReplicationResult | undefined)[] = [];
      for (let shard = 0; shard < shards; shard++) found.push(await read(store, replicationResultKey(runId, shard), signal));
      return found;
    } finally {
      await store.close();
    }
  }

  #of(secret: string): MoverCredentials {
    return { version: MOVER_CONTRACT_VERSION, s3: accessKeyOf(this.#secrets.lookup, secret, this.#secrets.namespace), kms: {} };
  }
}

async function read(store: ObjectStore, key: string, signal: AbortSignal): Promise<ReplicationResult | undefined> {
  const found = await readResult(store, { key, name: key, mostBytes: MOST_BYTES, writer: 'worker' }, signal);
  if (found === undefined) return undefined;
  const parsed = ReplicationResult.safeParse(found);
  if (parsed.success) return parsed.data;
  throw new PortError('ResultRefused', `the result ${key} is malformed at ${parsed.error.issues[0]?.path.map(String).join('.') ?? ''}; let operator and mover image be of one release`, { retryable: false });
}
