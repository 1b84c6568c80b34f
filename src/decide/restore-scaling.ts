/** The workload goes down before anything is written, and gets the scale that it had before, however the restore ends. */
import type { Restore } from '../api/index.ts';
import { findCondition } from './conditions.ts';
import { displayDuration, displayList, displayTime } from './display.ts';
import type { RestoreFacts, RestoreStep, WorkloadTarget } from './restore-facts.ts';
import { notSucceeded, OUTCOME, underWay, writeRestore, type RestoreChange, type RestorePlan } from './restore-status.ts';
import { timeOf } from './backup-status.ts';
import { strangersOn } from './volumes.ts';

/** Pods of a customer are not watched; while they go down they are looked at this often. */
const LEAVING_LOOK_MS = 1000;

function targetOf(restore: Restore): WorkloadTarget | undefined {
  const workload = restore.status?.workload;
  return workload === undefined ? undefined : { apiVersion: workload.apiVersion, kind: workload.kind, name: workload.name, uid: workload.uid };
}

export function decideScalingDown(facts: RestoreFacts, now: number): RestorePlan {
  const { restore, workload } = facts;
  const target = targetOf(restore);
  const steps: RestoreStep[] = [];
  if (target !== undefined && workload.state === 'found' && workload.uid === target.uid && workload.replicas > 0)
    steps.push({ do: 'scale', workload: target, replicas: 0 });
  const strangers = strangersOn(restore.status?.volumes ?? [], facts.users);
  if (steps.length > 0 || strangers.length > 0) {
    const using =
      strangers.length === 0 ? '' : ` Pod ${displayList(strangers.map(({ pod }) => pod))} still uses volume ${strangers[0]?.claim ?? ''}.`;
    const waitsFor = target === undefined ? ` The policy names no workload: stop what uses the volumes.` : '';
    const reason = strangers.length > 0 && target === undefined ? 'VolumesInUse' : 'ScalingDown';
    const said = target === undefined ? using.trimStart() : `${target.kind} ${target.name} is scaled to 0.${using}`;
    steps.push(writeRestore(facts, { phase: 'ScalingDown', conditions: [underWay(reason, `${said}${waitsFor}`)] }, now));
    return { steps, wakeAt: now + LEAVING_LOOK_MS };
  }
  const next: RestoreChange =
    restore.status?.safetyBackup === undefined
      ? { phase: 'Restoring', conditions: [underWay('Starting', 'The mover is being started.')], fields: { attempt: 1 } }
      : { phase: 'SafetyBackup', conditions: [underWay('SafetyBackup', `The state before is backed up as Backup ${restore.status.safetyBackup}.`)] };
  return { steps: [writeRestore(facts, next, now)], again: true };
}

export function decideScalingUp(facts: RestoreFacts, now: number): RestorePlan {
  const { restore, workload } = facts;
  const { status } = restore;
  const target = targetOf(restore);
  const before = status?.workload;
  const steps: RestoreStep[] = [];
  if (target !== undefined && before?.scaledDown === true && workload.state === 'found' && workload.uid === target.uid && workload.replicas === 0) {
    steps.push({ do: 'scale', workload: target, replicas: before.replicasBefore });
  }
  const result = findCondition(status?.conditions, OUTCOME);
  const gone =
    target !== undefined &&
    before?.scaledDown === true &&
    (workload.state === 'missing' || (workload.state === 'found' && workload.uid !== target.uid));
  const tail = gone ? ` ${target.kind} ${target.name} is gone, so its scale could not be put back.` : '';
  const message = `${result?.message ?? ''}${tail}`;
  const startedAt = timeOf(status?.startedAt) ?? now;
  const succeeded = result?.status === 'True';
  const condition = succeeded
    ? ({ type: 'Succeeded', status: 'True', reason: 'Restored', message } as const)
    : notSucceeded(result?.reason ?? 'Failed', message);
  const change: RestoreChange = {
    phase: succeeded ? 'Succeeded' : result?.reason === 'Cancelled' ? 'Cancelled' : 'Failed',
    conditions: [condition],
    fields: {
      completedAt: displayTime(now),
      duration: displayDuration(now - startedAt),
      progress: undefined,
      ...(before === undefined ? {} : { workload: { ...before, scaledDown: false } }),
    },
  };
  steps.push(writeRestore(facts, change, now));
  return { steps, again: restore.metadata.deletionTimestamp !== undefined };
}
