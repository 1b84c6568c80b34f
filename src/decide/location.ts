import { isDeepStrictEqual } from 'node:util';
import type { BackupLocation, BackupLocationStatus, ConditionInput } from '../api/index.ts';
import { mergeConditions } from './conditions.ts';
import { displayTime } from './display.ts';

/** One thing that was tried at a location, as the probe reports it. */
export type ProbeFinding = { readonly ok: true; readonly message: string } | { readonly ok: false; readonly reason: string; readonly message: string };

export interface LocationFacts {
  readonly storageReachable: ProbeFinding;
  readonly storageWritable: ProbeFinding;
  readonly keyUsable: ProbeFinding;
  readonly replicaKeyUsable?: ProbeFinding;
  readonly storageIsolated: ProbeFinding;
  readonly keysIsolated: ProbeFinding;
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

export function isReady(facts: Pick<LocationFacts, 'storageReachable' | 'storageWritable' | 'keyUsable' | 'replicaKeyUsable'>): boolean {
  return facts.storageReachable.ok && facts.storageWritable.ok && facts.keyUsable.ok && (facts.replicaKeyUsable?.ok ?? true);
}

/**
 * The status that a location should have after a probe. `lastProbe` moves only when a condition does, so that a quiet location
 * costs no write.
 */
export function locationStatus(location: BackupLocation, facts: LocationFacts, now: number): BackupLocationStatus {
  const conditions = mergeConditions(location.status?.conditions, conditionsOf(facts), location.metadata.generation, displayTime(now));
  // Not by their text: the API server gives keys back in an order of its own.
  const isSame = isDeepStrictEqual(conditions, location.status?.conditions);
  const lastProbe = isSame ? location.status?.lastProbe : undefined;
  return {
    observedGeneration: location.metadata.generation,
    phase: isReady(facts) ? 'Ready' : 'NotReady',
    lastProbe: lastProbe ?? displayTime(now),
    tenants: facts.tenants,
    runningMovers: facts.runningMovers,
    conditions,
  };
}

function conditionsOf(facts: LocationFacts): ConditionInput[] {
  const { replicaKeyUsable } = facts;
  return [
    readiness(facts),
    condition('StorageReachable', facts.storageReachable, 'Reached'),
    condition('StorageWritable', facts.storageWritable, 'Written'),
    condition('KeyUsable', facts.keyUsable, 'Wrapped'),
    ...(replicaKeyUsable ? [condition('ReplicaKeyUsable', replicaKeyUsable, 'Wrapped')] : []),
    isolation(facts),
  ];
}

/** The first thing that is wrong, in the order in which a person would look. */
function readiness(facts: LocationFacts): ConditionInput {
  const checks = [facts.storageReachable, facts.storageWritable, facts.keyUsable, facts.replicaKeyUsable];
  const wrong = checks.find((check) => check?.ok === false);
  if (wrong?.ok === false) return { type: 'Ready', status: 'False', reason: wrong.reason, message: wrong.message };
  return { type: 'Ready', status: 'True', reason: 'Usable', message: 'Storage can be written and secret keys can be wrapped.' };
}

function isolation(facts: LocationFacts): ConditionInput {
  const wrong = [facts.storageIsolated, facts.keysIsolated].filter((each) => !each.ok);
  const [first] = wrong;
  if (first === undefined) return { type: 'Isolated', status: 'True', reason: 'Isolated', message: "A mover's credentials reach its own tenant only." };
  return { type: 'Isolated', status: 'False', reason: first.reason, message: wrong.map(({ message }) => message).join(' ') };
}

function condition(type: string, finding: ProbeFinding, goodReason: string): ConditionInput {
  return finding.ok ? { type, status: 'True', reason: goodReason, message: finding.message } : { type, status: 'False', reason: finding.reason, message: finding.message };
}
