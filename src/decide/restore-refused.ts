/** What the API server refuses a Restore for good: a quota, an admission rule, a missing right. */
import type { RestoreFacts, RestoreStep } from './restore-facts.ts';
import { giveUp, underWay, waitAWhile, writeRestore, type RestorePlan } from './restore-status.ts';

export type RefusableStep = Extract<RestoreStep, { do: 'scale' | 'createClaim' | 'createSafetyBackup' }>;

const LOOK_MS = 30_000;

/** Waited for, as others can mend it, and given up: only a workload that is down is never given up. */
export function decideStepRefused(facts: RestoreFacts, step: RefusableStep, why: string, now: number): RestorePlan {
  const { reason, message } = refusalOf(step, why);
  if (facts.restore.status?.phase === 'ScalingUp')
    return { steps: [writeRestore(facts, { phase: 'ScalingUp', conditions: [underWay(reason, message)] }, now)], wakeAt: now + LOOK_MS };
  return waitAWhile(facts, { reason, message, lookAfter: LOOK_MS, tooLong: (said) => giveUp(facts, reason, `${said} Nothing was restored.`, now) }, now);
}

function refusalOf(step: RefusableStep, why: string): { readonly reason: string; readonly message: string } {
  switch (step.do) {
    case 'scale':
      return { reason: 'ScaleRefused', message: `${step.workload.kind} ${step.workload.name} cannot be scaled to ${step.replicas}: ${why}. Allow it to the operator, or scale it by hand.` };
    case 'createClaim':
      return { reason: 'NewVolumeRefused', message: `New volume ${step.claim.metadata.name} cannot be made: ${why}. Make room in the namespace's ResourceQuota, or allow it.` };
    case 'createSafetyBackup':
      return { reason: 'SafetyBackupRefused', message: `Backup ${step.backup.name} of the state before cannot be made: ${why}. Make room in the namespace's ResourceQuota, or allow it.` };
  }
}
