/** What a policy says of the verification of its backups while nothing new is known: the condition `Verified`. */
import { durationToMs, type Backup, type ConditionInput, type VerificationStatus } from '../api/index.ts';
import { timeOf } from './backup-status.ts';
import { findCondition } from './conditions.ts';
import { displayTime } from './display.ts';
import { standsIn, storedAt } from './good.ts';
import type { VerificationFacts, VerificationPlan } from './verification-facts.ts';

/** What was stored a moment ago was read a moment ago. */
export const SETTLE_MS = 3_600_000;

/** The condition as the last run left it, or that nothing is known, or that it is overdue. */
export function standing(facts: VerificationFacts, status: VerificationStatus | undefined, now: number): Pick<VerificationPlan, 'status' | 'lastVerified' | 'condition'> {
  const { policy } = facts;
  return { status, lastVerified: policy.status?.lastVerified, condition: conditionOf(facts, now) };
}

const NOT_YET: ConditionInput = { type: 'Verified', status: 'Unknown', reason: 'NotVerifiedYet', message: 'What is stored is verified for the first time an hour after the first good backup at the earliest.' };

function conditionOf({ policy, backups }: VerificationFacts, now: number): ConditionInput {
  const before = findCondition(policy.status?.conditions, 'Verified');
  const kept = before === undefined ? NOT_YET : { type: 'Verified', status: before.status, reason: before.reason, message: before.message };
  const oldest = oldestStored(backups);
  // Nothing is stored, so there is nothing to prove.
  if (oldest === undefined) return NOT_YET;
  const verified = timeOf(policy.status?.lastVerified);
  const since = verified ?? oldest;
  const interval = durationToMs(policy.spec.verification.interval);
  // Late by half an interval and an hour: the queue may have been long.
  if (now < since + interval * 1.5 + SETTLE_MS || before?.reason === 'DamageFound') return kept;
  const why = policy.spec.verification.suspend ? ' spec.verification.suspend is true.' : before?.status === 'False' && before.reason !== 'VerificationOverdue' ? ` ${before.reason}: ${before.message}` : '';
  const words = verified === undefined ? `What is stored since ${displayTime(oldest)} was never verified` : `What is stored was last verified at ${displayTime(verified)}`;
  return { type: 'Verified', status: 'False', reason: 'VerificationOverdue', message: `${words}, and it should be every ${policy.spec.verification.interval}.${why}` };
}

/** Milliseconds since the epoch. */
export function oldestStored(backups: readonly Backup[]): number | undefined {
  const times = backups.filter(standsIn).map(storedAt);
  return times.length === 0 ? undefined : Math.min(...times);
}
