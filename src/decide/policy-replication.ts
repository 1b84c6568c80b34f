/** What a policy says of its backups in the second data center. Pure. */
import { durationToMs, type Backup, type BackupLocation, type BackupPolicy, type ConditionInput } from '../api/index.ts';
import { findCondition } from './conditions.ts';
import { displayList, displayTime } from './display.ts';
import { storedAt } from './good.ts';
import { replicationSetup } from './replication-setup.ts';

/** What the last copy left of one tenant. */
export interface ReplicaStanding {
  /** Snapshots that the second data center has whole. */
  readonly snapshots: ReadonlySet<string>;
  /** RFC 3339, when the newest of them was taken. */
  readonly replicatedUpTo: string | undefined;
  /** Why it is not up to date, in words. */
  readonly failure: string | undefined;
  /** What the first data center lost of it. */
  readonly findings: readonly string[];
}

export interface PolicyReplication {
  readonly replicatedUpTo: string | undefined;
  /** `undefined` where the location has no second data center. */
  readonly condition: ConditionInput | undefined;
  /** Milliseconds since the epoch: when a backup is waited for in vain. */
  readonly wakeAt?: number | undefined;
}

const TYPE = 'Replicated';

/** @param standing - `undefined` while nothing is known of the tenant */
export function policyReplication(policy: BackupPolicy, location: BackupLocation | undefined, stored: readonly Backup[], standing: ReplicaStanding | undefined, now: number): PolicyReplication {
  const before = policy.status?.replicatedUpTo;
  if (location === undefined) return kept(policy);
  const setup = replicationSetup(location.spec);
  if (setup === undefined) {
    if (location.spec.replica?.mode !== 'Pull') return { replicatedUpTo: undefined, condition: undefined };
    const message = 'The second data center copies by itself; its own installation tells how far it is.';
    return { replicatedUpTo: undefined, condition: { type: TYPE, status: 'Unknown', reason: 'PulledElsewhere', message } };
  }
  if (stored.length === 0) return { replicatedUpTo: before, condition: { type: TYPE, status: 'Unknown', reason: 'NothingStored', message: 'There is no backup that could be copied.' } };
  if (standing === undefined && before !== undefined) return kept(policy);
  const has = standing?.snapshots ?? new Set<string>();
  const missing = stored.filter(({ status }) => !has.has(status?.snapshotId ?? '')).sort((a, b) => storedAt(a) - storedAt(b));
  const replicatedUpTo = standing?.replicatedUpTo ?? before;
  const say = (status: ConditionInput['status'], reason: string, message: string, wakeAt?: number): PolicyReplication => ({ replicatedUpTo, condition: { type: TYPE, status, reason, message }, wakeAt });
  if (standing !== undefined && standing.findings.length > 0) {
    return say('False', 'ReplicaDiverged', `The second data center has what the first has lost: ${displayList(standing.findings)}. Nothing of that loss is copied. Tell the platform's people.`);
  }
  const [oldest] = missing;
  if (oldest === undefined) return say('True', 'UpToDate', stored.length === 1 ? 'The one backup is in the second data center.' : `All ${stored.length} backups are in the second data center.`);
  const late = storedAt(oldest) + durationToMs(setup.replication.maxLag);
  const names = displayList(missing.map(({ metadata }) => metadata.name));
  const why = standing?.failure === undefined ? '' : ` ${standing.failure}`;
  if (late <= now) return say('False', 'ReplicaLags', `Not in the second data center, though stored longer ago than ${setup.replication.maxLag}: ${names}.${why} Look at BackupLocation ${location.metadata.name}.`);
  const status = missing.length < stored.length ? 'True' : 'Unknown';
  return say(status, 'ReplicationDue', `${names}: not in the second data center yet, at the latest expected there at ${displayTime(late)}.${why}`, late);
}

/** While nothing is known what was known stands. */
function kept({ status }: BackupPolicy): PolicyReplication {
  const condition = findCondition(status?.conditions, TYPE);
  return {
    replicatedUpTo: status?.replicatedUpTo,
    condition: condition === undefined ? undefined : { type: TYPE, status: condition.status, reason: condition.reason, message: condition.message },
  };
}
