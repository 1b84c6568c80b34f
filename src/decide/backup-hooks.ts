/** Hooks as part of a backup's plan: before the volumes are cut or read, and after it on every way out. */
import type { BackupPhase, ConditionInput } from '../api/index.ts';
import type { BackupFacts, BackupStep, Plan } from './backup-facts.ts';
import { changedStatus } from './backup-status.ts';
import type { Failure } from './failure-reason.ts';
import { decideHooks, quiescedCondition, type HookStage } from './hooks.ts';

/** How the status says what is going on meanwhile. */
export interface Saying {
  readonly phase: BackupPhase;
  readonly condition: (reason: string, message: string) => ConditionInput;
}

/** A plan as long as hooks of the stage are to be run, else the first failure that counts. */
export type HooksOutcome = { readonly plan: Plan<BackupStep> } | { readonly plan?: never; readonly failure: Failure | undefined };

/**
 * Carry out `plan` while there is one. `Pre`: nothing of the volumes may be cut or read before it is done. `Post`: call it once everything
 * is cut or read, and before every change to a phase in which nothing more is done for the backup.
 */
export function hooksOutcome(stage: HookStage, facts: BackupFacts, now: number, saying: Saying): HooksOutcome {
  const verdict = decideHooks(stage, facts, now);
  if (verdict.kind === 'done') return { failure: verdict.failure };
  if (verdict.kind === 'blind') return { plan: { steps: [], needsPods: true } };
  const { runs, said, steps, wakeAt, again } = verdict;
  const status = changedStatus(
    facts.backup,
    { phase: saying.phase, conditions: [saying.condition(said.reason, said.message), ...quiescedCondition(runs)], fields: { hooks: [...runs] } },
    now,
  );
  return {
    plan: { steps: [{ do: 'writeStatus', status }, ...steps], ...(wakeAt === undefined ? {} : { wakeAt }), ...(again === undefined ? {} : { again }) },
  };
}

/** What `end` decides, once every post hook that is owed has ended; it learns of a failure that counts. */
export function afterPostHooks(facts: BackupFacts, now: number, saying: Saying, end: (failure: Failure | undefined) => Plan<BackupStep>): Plan<BackupStep> {
  const outcome = hooksOutcome('Post', facts, now, saying);
  return outcome.plan ?? end(outcome.failure);
}
