import { ReplicationResult, replicationResultKey, type BackupLocation, type ReplicationOrders } from '../../api/index.ts';
import { PortError, type ReplicationAccess } from '../../controller/index.ts';
import { REPLICA_CREDENTIALS, SOURCE_CREDENTIALS, replicationSetup, type ReplicationSetup } from '../../decide/index.ts';
import { workerSessionPolicy, type ObjectStore } from '../../storage/index.ts';
import { openBucket, type SecretSource } from './location-access.ts';
import { readResult } from './read-result.ts';
import { accessKeyOf } from './secrets.ts';
import { workerSession, type WorkerSession } from './worker-session.ts';

/** A result names every snapshot of its tenants: some hundred megabytes are no result of ours. */
const MOST_BYTES = 256 << 20;

/** Hands workers sessions of what the location's Secrets hold for both buckets, and reads what they leave in its own. */
export class RealReplicationAccess implements ReplicationAccess {
  readonly #secrets: SecretSource;

  constructor(secrets: SecretSource) {
    this.#secrets = secrets;
  }

  async credentials({ metadata, spec }: BackupLocation, task: ReplicationOrders['task'], signal: AbortSignal): ReturnType<ReplicationAccess['credentials']> {
    const setup = replicationSetup(spec);
    if (setup === undefined) throw new PortError('NoReplica', `BackupLocation ${metadata.name} has no second bucket any more`, { retryable: false });
    const sessions = Object.entries(await this.#sessions(setup, task, signal));
    const ends = sessions.flatMap(([, { credentials: { s3 } }]) => (s3.expiration === undefined ? [] : [Date.parse(s3.expiration)]));
    return {
      files: Object.fromEntries(sessions.map(([file, { credentials }]) => [file, credentials])),
      // All are renewed together, before the first of them ends.
      expiresAt: ends.length === 0 ? undefined : Math.min(...ends),
      shared: sessions.flatMap(([, { shared }]) => (shared === undefined ? [] : [shared])),
    };
  }

  async #sessions(setup: ReplicationSetup, task: ReplicationOrders['task'], signal: AbortSignal): Promise<Record<string, WorkerSession>> {
    const { source, replica, mode, replication } = setup;
    const own = (secret: string) => accessKeyOf(this.#secrets.lookup, secret, this.#secrets.namespace);
    if (task === 'collect') {
      return { [REPLICA_CREDENTIALS]: await workerSession(replica, own(setup.collectorSecret ?? ''), workerSessionPolicy(replica, 'collect', { leavesResults: true }), signal) };
    }
    const ofSource = workerSessionPolicy(source, 'read', { leavesResults: mode === 'Push' });
    const ofReplica = workerSessionPolicy(replica, 'copy', { leavesResults: mode === 'Pull', copiesFrom: replication.serverSideCopy ? source : undefined });
    // One after the other: of two at a time, one would go on alone when the other is refused.
    const atSource = await workerSession(source, own(source.credentialsSecretRef.name), ofSource, signal);
    return { [SOURCE_CREDENTIALS]: atSource, [REPLICA_CREDENTIALS]: await workerSession(replica, own(replica.credentialsSecretRef.name), ofReplica, signal) };
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
}

async function read(store: ObjectStore, key: string, signal: AbortSignal): Promise<ReplicationResult | undefined> {
  const found = await readResult(store, { key, name: key, mostBytes: MOST_BYTES, writer: 'worker' }, signal);
  if (found === undefined) return undefined;
  const parsed = ReplicationResult.safeParse(found);
  if (parsed.success) return parsed.data;
  throw new PortError('ResultRefused', `the result ${key} is malformed at ${parsed.error.issues[0]?.path.map(String).join('.') ?? ''}; let operator and mover image be of one release`, { retryable: false });
}
