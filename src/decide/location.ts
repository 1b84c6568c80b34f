import { isDeepStrictEqual } from 'node:util';
import type { BackupLocation, BackupLocationStatus, ConditionInput } from '../api/index.ts';
import { mergeConditions } from './conditions.ts';
import { displayList, displayTime } from './display.ts';
import type { ReplicationPlan } from './replication-facts.ts';

/** One thing that was tried at a location, as the probe reports it. */
export type ProbeFinding = { readonly ok: true; readonly message: string } | { readonly ok: false; readonly reason: string; readonly message: string };

/** Whether the second bucket keeps what is under a lock; `unknown` says nothing of it. */
export type LockFinding = { readonly kind: 'proven' | 'refuted' | 'unknown'; readonly reason: string; readonly message: string };

export interface LocationFacts {
  readonly storageReachable: ProbeFinding;
  readonly storageWritable: ProbeFinding;
  readonly keyUsable: ProbeFinding;
  readonly replicaKeyUsable?: ProbeFinding;
  /** Absent where the location has no second bucket. */
  readonly replicaLocked?: LockFinding | undefined;
  /** RFC 3339, of the last proof that succeeded. */
  readonly lockProvenAt?: string | undefined;
  /** What was decided of its copy. */
  readonly replication?: Pick<ReplicationPlan, 'status' | 'replicatedUpTo' | 'conditions'>;
  /** How far what the bucket has is made anew. */
  readonly recovery?: BackupLocationStatus['recovery'];
  readonly storageIsolated: ProbeFinding;
  readonly keysIsolated: ProbeFinding;
  /** Absent where this installation copies nothing. */
  readonly workersIsolated?: ProbeFinding | undefined;
  readonly tenants: number;
  readonly runningMovers: number;
}

/** A location that works is tried again after this; one that does not, sooner. */
export const PROBE_EVERY_MS = 5 * 60_000;
const RETRY_MS = { first: 1000, most: 60_000 } as const;

/** Milliseconds until the next probe, after `failures` probes in a row that found something wrong. */
export function nextProbeIn(failures: number): number {
  return failures === 0 ? PROBE_EVERY_MS : Math.min(RETRY_MS.most, RETRY_MS.first * 2 ** (failures - 1));
}

/** What is locked is proven every day, for a setting that was changed since. */
export const PROVE_EVERY_MS = 24 * 60 * 60_000;
const PROVE_RETRY_MS = { first: 5000, most: 5 * 60_000 } as const;

/** Milliseconds until the next proof, after `failures` in a row that did not succeed. Each leaves a probe under a lock of minutes. */
export function nextProofIn(failures: number): number {
  return failures === 0 ? PROVE_EVERY_MS : Math.min(PROVE_RETRY_MS.most, PROVE_RETRY_MS.first * 2 ** (failures - 1));
}

export function isReady(facts: Pick<LocationFacts, 'storageReachable' | 'storageWritable' | 'keyUsable' | 'replicaKeyUsable' | 'replicaLocked'>): boolean {
  return firstWrong(facts) === undefined;
}

/** The first thing that is wrong, in the order in which a person would look. A second data center that does not answer is no reason to make no backups in the first. */
function firstWrong(facts: Pick<LocationFacts, 'storageReachable' | 'storageWritable' | 'keyUsable' | 'replicaKeyUsable' | 'replicaLocked'>): { readonly reason: string; readonly message: string } | undefined {
  for (const check of [facts.storageReachable, facts.storageWritable, facts.keyUsable, facts.replicaKeyUsable]) if (check?.ok === false) return check;
  return facts.replicaLocked?.kind === 'refuted' ? facts.replicaLocked : undefined;
}

/**
 * The status that a location should have after a probe. `lastProbe` moves only when a condition does, so that a quiet location
 * costs no write.
 */
export function locationStatus(location: BackupLocation, facts: LocationFacts, now: number): BackupLocationStatus {
  const wanted = conditionsOf(facts);
  const merged = mergeConditions(location.status?.conditions, wanted, location.metadata.generation, displayTime(now));
  // A second data center that the spec names no more leaves nothing behind.
  const conditions = merged.filter(({ type }) => !OF_REPLICA.has(type) || wanted.some((each) => each.type === type));
  // Not by their text: the API server gives keys back in an order of its own.
  const isSame = isDeepStrictEqual(conditions, location.status?.conditions);
  const lastProbe = isSame ? location.status?.lastProbe : undefined;
  return {
    observedGeneration: location.metadata.generation,
    phase: isReady(facts) ? 'Ready' : 'NotReady',
    lastProbe: lastProbe ?? displayTime(now),
    tenants: facts.tenants,
    runningMovers: facts.runningMovers,
    lockProvenAt: facts.lockProvenAt,
    replicatedUpTo: facts.replication?.replicatedUpTo,
    replication: facts.replication?.status,
    recovery: facts.recovery,
    conditions,
  };
}

const OF_REPLICA: ReadonlySet<string> = new Set(['ReplicaKeyUsable', 'ReplicaLocked', 'Replicated', 'ReplicaDiverged']);

function conditionsOf(facts: LocationFacts): ConditionInput[] {
  const { replicaKeyUsable } = facts;
  return [
    readiness(facts),
    condition('StorageReachable', facts.storageReachable, 'Reached'),
    condition('StorageWritable', facts.storageWritable, 'Written'),
    condition('KeyUsable', facts.keyUsable, 'Wrapped'),
    ...(replicaKeyUsable ? [condition('ReplicaKeyUsable', replicaKeyUsable, 'Wrapped')] : []),
    ...(facts.replicaLocked === undefined ? [] : [locked(facts.replicaLocked, facts.lockProvenAt)]),
    isolation(facts),
    ...(facts.replication?.conditions ?? []),
    ...(facts.recovery === undefined ? [] : [recovered(facts.recovery)]),
  ];
}

function recovered({ tenants, recovered: done, backups, problems = [], completedAt }: NonNullable<BackupLocationStatus['recovery']>): ConditionInput {
  const type = 'Recovered';
  const so = `${done} of ${tenants} tenants with ${backups} backups`;
  if (problems.length > 0) return { type, status: 'False', reason: 'RecoveryIncomplete', message: `${so} were made anew${completedAt === undefined ? ' so far' : ''}; what could not be: ${displayList(problems)}.` };
  if (completedAt === undefined) return { type, status: 'Unknown', reason: 'Recovering', message: `${so} were made anew so far.` };
  return { type, status: 'True', reason: 'Recovered', message: `${so} were made anew from the bucket.` };
}

function locked({ kind, reason, message }: LockFinding, provenAt: string | undefined): ConditionInput {
  const type = 'ReplicaLocked';
  if (kind === 'proven') return { type, status: 'True', reason, message };
  const before = provenAt === undefined ? 'It was never proven.' : `It was last proven at ${provenAt}.`;
  return { type, status: kind === 'refuted' ? 'False' : 'Unknown', reason, message: kind === 'refuted' ? message : `${message} ${before}` };
}

function readiness(facts: LocationFacts): ConditionInput {
  const wrong = firstWrong(facts);
  if (wrong !== undefined) return { type: 'Ready', status: 'False', reason: wrong.reason, message: wrong.message };
  return { type: 'Ready', status: 'True', reason: 'Usable', message: 'Storage can be written and secret keys can be wrapped.' };
}

function isolation(facts: LocationFacts): ConditionInput {
  const wrong = [facts.storageIsolated, facts.keysIsolated, facts.workersIsolated].filter((each) => each?.ok === false);
  const [first] = wrong;
  if (first === undefined) return { type: 'Isolated', status: 'True', reason: 'Isolated', message: "A mover's credentials reach its own tenant only." };
  return { type: 'Isolated', status: 'False', reason: first.reason, message: wrong.map(({ message }) => message).join(' ') };
}

function condition(type: string, finding: ProbeFinding, goodReason: string): ConditionInput {
  return finding.ok ? { type, status: 'True', reason: goodReason, message: finding.message } : { type, status: 'False', reason: finding.reason, message: finding.message };
}
