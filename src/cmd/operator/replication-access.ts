import { MOVER_CONTRACT_VERSION, ReplicationResult, replicationResultKey, type BackupLocation, type ReplicationOrders, type S3WithSessions } from '../../api/index.ts';
import { PortError, type ReplicationAccess, type ResultsOfRun } from '../../controller/index.ts';
import { REPLICA_CREDENTIALS, SOURCE_CREDENTIALS, replicationSetup, type ReplicationSetup } from '../../decide/index.ts';
import { workerSessionPolicy, type ObjectStore, type PolicyDocument } from '../../storage/index.ts';
import { openBucket, type SecretSource } from './location-access.ts';
import { readResult } from './read-result.ts';
import { s3Session, type S3Session } from './s3-session.ts';
import { accessKeyOf } from './secrets.ts';

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
    const ends = sessions.flatMap(([, { credentials: { expiration } }]) => (expiration === undefined ? [] : [Date.parse(expiration)]));
    return {
      files: Object.fromEntries(sessions.map(([file, { credentials }]) => [file, { version: MOVER_CONTRACT_VERSION, s3: credentials, kms: {} }])),
      // All are renewed together, before the first of them ends.
      expiresAt: ends.length === 0 ? undefined : Math.min(...ends),
      shared: sessions.flatMap(([, { shared }]) => (shared === undefined ? [] : [shared])),
    };
  }

  async #sessions(setup: ReplicationSetup, task: ReplicationOrders['task'], signal: AbortSignal): Promise<Record<string, S3Session>> {
    const { source, replica, mode, replication } = setup;
    const session = (s3: S3WithSessions, secret: string, policy: PolicyDocument): Promise<S3Session> =>
      s3Session(s3, accessKeyOf(this.#secrets.lookup, secret, this.#secrets.namespace), { policy, sessionName: 'tenant-backup-replication', whose: 'the workers' }, signal);
    if (task === 'collect') {
      return { [REPLICA_CREDENTIALS]: await session(replica, setup.collectorSecret ?? '', workerSessionPolicy(replica, 'collect', { leavesResults: true })) };
    }
    const ofSource = workerSessionPolicy(source, 'read', { leavesResults: mode === 'Push' });
    const ofReplica = workerSessionPolicy(replica, 'copy', { leavesResults: mode === 'Pull', copiesFrom: replication.serverSideCopy ? source : undefined });
    // One after the other: of two at a time, one would go on alone when the other is refused.
    const atSource = await session(source, source.credentialsSecretRef.name, ofSource);
    return { [SOURCE_CREDENTIALS]: atSource, [REPLICA_CREDENTIALS]: await session(replica, replica.credentialsSecretRef.name, ofReplica) };
  }

  /** Who copies leaves them in the location's own bucket, who collects where there is something to collect. */
  async results({ spec }: BackupLocation, { task, runId, shards, told }: ResultsOfRun, signal: AbortSignal): Promise<readonly (ReplicationResult | undefined)[]> {
    const replica = task === 'collect' ? replicationSetup(spec)?.replica : undefined;
    const store = await openBucket(replica ?? spec.s3, this.#secrets);
    try {
      const found: (ReplicationResult | undefined)[] = [];
      for (let shard = 0; shard < shards; shard++) found.push(await read(store, replicationResultKey(runId, shard), told.get(shard), signal));
      return found;
    } finally {
      await store.close();
    }
  }
}

async function read(store: ObjectStore, key: string, sha256: string | undefined, signal: AbortSignal): Promise<ReplicationResult | undefined> {
  const found = await readResult(store, { key, name: key, mostBytes: MOST_BYTES, writer: 'worker', sha256 }, signal);
  if (found === undefined) return undefined;
  const parsed = ReplicationResult.safeParse(found);
  if (parsed.success) return parsed.data;
  throw new PortError('ResultRefused', `the result ${key} is malformed at ${parsed.error.issues[0]?.path.map(String).join('.') ?? ''}; let operator and mover image be of one release`, { retryable: false });
}
