/** What a location says of its copy while nothing new is known: the conditions `Replicated` and `ReplicaDiverged`. */
import { durationToMs, type ConditionInput, type ReplicationStatus } from '../api/index.ts';
import { timeOf } from './backup-status.ts';
import { displayList } from './display.ts';
import type { ReplicationFacts, ReplicationPlan } from './replication-facts.ts';

export function standingReplication(facts: ReplicationFacts, status: ReplicationStatus, now: number, upTo = facts.location.status?.replicatedUpTo): ReplicationPlan & { readonly status: ReplicationStatus } {
  return { status, replicatedUpTo: upTo, conditions: [replicated(facts, status, upTo, now), diverged(status)] };
}

/** When the copy becomes too old though nothing happens, milliseconds since the epoch. */
export function laggingFrom(facts: ReplicationFacts, upTo: string | undefined): number | undefined {
  const covered = timeOf(upTo);
  return covered === undefined ? undefined : covered + durationToMs(facts.setup.replication.maxLag);
}

function replicated(facts: ReplicationFacts, status: ReplicationStatus, upTo: string | undefined, now: number): ConditionInput {
  const type = 'Replicated';
  const { maxLag } = facts.setup.replication;
  const lag = laggingFrom(facts, upTo);
  const why = status.message === undefined ? '' : ` ${status.message}`;
  if (lag !== undefined && lag > now) return { type, status: 'True', reason: 'UpToDate', message: `Everything that was stored before ${upTo ?? ''} is in the second data center.` };
  if (lag !== undefined) return { type, status: 'False', reason: 'ReplicaLags', message: `The second data center has everything that was stored before ${upTo ?? ''}, which is longer ago than ${maxLag}.${why}` };
  const ended = status.phase === 'Failed' || (status.phase === 'Completed' && status.stage !== undefined);
  if (ended) return { type, status: 'False', reason: 'NeverReplicated', message: `The second data center never had everything yet.${why}` };
  const next = status.nextRun === undefined || status.phase === 'Running' ? '' : ` The first copy is due at ${status.nextRun}.`;
  return { type, status: 'Unknown', reason: 'NotReplicatedYet', message: `Nothing was copied yet.${next}${why}` };
}

function diverged({ diverged: found = [], tenantsDiverged = 0, phase, completedAt }: ReplicationStatus): ConditionInput {
  const type = 'ReplicaDiverged';
  if (found.length > 0 || tenantsDiverged > 0) {
    const of = tenantsDiverged === 0 ? '' : ` of ${tenantsDiverged} tenants`;
    const message = `The second data center has what the first has lost, or finds altered${of}: ${displayList(found, 5)}. None of it is copied. Find out who did that before anything else; docs/runbook.md, "The replica diverges", goes on from there.`;
    return { type, status: 'True', reason: 'ReplicaDiverged', message };
  }
  if (completedAt === undefined && phase !== 'Completed') return { type, status: 'Unknown', reason: 'NotReplicatedYet', message: 'Nothing was compared yet.' };
  return { type, status: 'False', reason: 'NoDivergence', message: 'The first data center has all that it should have.' };
}
