import type { BackupLocationSpec, ReplicaSettings, ReplicationSettings, S3WithSessions } from '../api/index.ts';

/** From where to where a location copies, and on which terms: the same thing in both modes, seen from who does it. */
export interface ReplicationSetup {
  readonly mode: 'Push' | 'Pull';
  readonly source: S3WithSessions;
  readonly replica: S3WithSessions;
  readonly objectLock: ReplicaSettings['objectLock'];
  readonly replication: ReplicationSettings;
  /** Names of Secrets. */
  readonly probeSecret: string;
  readonly collectorSecret: string | undefined;
}

/** `undefined` for a location whose installation copies nothing. */
export function replicationSetup({ s3, replica, pull }: Pick<BackupLocationSpec, 's3' | 'replica' | 'pull'>): ReplicationSetup | undefined {
  if (pull !== undefined) {
    const { from, objectLock, replication, probeCredentialsSecretRef, collectorCredentialsSecretRef } = pull;
    return { mode: 'Pull', source: from, replica: s3, objectLock, replication, probeSecret: probeCredentialsSecretRef.name, collectorSecret: collectorCredentialsSecretRef?.name };
  }
  if (replica?.s3 === undefined) return undefined;
  const { objectLock, replication, probeCredentialsSecretRef, collectorCredentialsSecretRef } = replica;
  return { mode: 'Push', source: s3, replica: replica.s3, objectLock, replication, probeSecret: probeCredentialsSecretRef?.name ?? '', collectorSecret: collectorCredentialsSecretRef?.name };
}
