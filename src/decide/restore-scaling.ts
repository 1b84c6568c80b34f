/** The workload goes down before anything is written, and gets the scale that it had before, however the restore ends. */
import type { Restore } from '../api/index.ts';
import { findCondition } from './conditions.ts';
import { displayList } from './display.ts';
import type { Failure } from './failure-reason.ts';
import { leftBehind } from './lost-node.ts';
import type { RestoreFacts, RestoreStep, WorkloadTarget } from './restore-facts.ts';
import { concluded, giveUp, underWay, waitAWhile, writeRestore, type RestoreChange, type RestorePlan } from './restore-status.ts';
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
    const stranded = facts.users.find(({ name, nodeLost }) => nodeLost === true && strangers.some(({ pod }) => pod === name));
    const lost = stranded === undefined ? '' : ` Its node ${stranded.node ?? ''} does not answer: if it is down for good, delete it, or taint it with node.kubernetes.io/out-of-service=nodeshutdown:NoExecute.`;
    const waitsFor = target === undefined ? ` The policy names no workload: stop what uses the volumes.` : '';
    const reason = strangers.length > 0 && target === undefined ? 'VolumesInUse' : 'ScalingDown';
    const said = target === undefined ? using.trimStart() : `${target.kind} ${target.name} is scaled to 0.${using}`;
    // What the API server refused is why, where it did.
    const refused = steps.length === 0 ? undefined : refusedBefore(restore);
    const tooLong = (message: string): RestorePlan => giveUp(facts, refused?.reason ?? 'VolumesInUse', `${refused?.message ?? message} Nothing was restored.`, now);
    return waitAWhile(facts, { reason, message: `${said}${lost}${waitsFor}`, lookAfter: LEAVING_LOOK_MS, before: steps, tooLong }, now);
  }
  const next: RestoreChange =
    restore.status?.safetyBackup === undefined
      ? { phase: 'Restoring', conditions: [underWay('Starting', 'The mover is being started.')], fields: { attempt: 1, waitingSince: undefined } }
      : { phase: 'SafetyBackup', conditions: [underWay('SafetyBackup', `The state before is backed up as Backup ${restore.status.safetyBackup}.`)], fields: { waitingSince: undefined } };
  return { steps: [writeRestore(facts, next, now)], again: true };
}

function refusedBefore({ status }: Restore): Failure | undefined {
  const said = findCondition(status?.conditions, 'Succeeded');
  return said?.reason === 'ScaleRefused' ? { reason: said.reason, message: said.message.replace('is given up at', 'was given up at') } : undefined;
}

export function decideScalingUp(facts: RestoreFacts, now: number): RestorePlan {
  const { restore, workload } = facts;
  // It would write over what the workload writes from now on.
  const left = leftBehind(facts.attempt.pods, now);
  if (left !== undefined) return { steps: [writeRestore(facts, { phase: 'ScalingUp', conditions: [underWay(left.reason, left.message)] }, now)], wakeAt: now + LEAVING_LOOK_MS };
  const { status } = restore;
  const target = targetOf(restore);
  const before = status?.workload;
  const steps: RestoreStep[] = [];
  if (target !== undefined && before?.scaledDown === true && workload.state === 'found' && workload.uid === target.uid && workload.replicas === 0) {
    steps.push({ do: 'scale', workload: target, replicas: before.replicasBefore });
  }
  const gone =
    target !== undefined &&
    before?.scaledDown === true &&
    (workload.state === 'missing' || (workload.state === 'found' && workload.uid !== target.uid));
  const unreadable = target !== undefined && before?.scaledDown === true && workload.state === 'notScalable' ? ` ${target.kind} ${target.name} could not be scaled back: ${workload.message} Scale it to ${before.replicasBefore} by hand.` : '';
  const tail = gone ? ` ${target.kind} ${target.name} is gone, so its scale could not be put back.` : unreadable;
  const change = concluded(restore, tail, now, before === undefined ? {} : { workload: { ...before, scaledDown: false } });
  steps.push(writeRestore(facts, change, now));
  return { steps, again: restore.metadata.deletionTimestamp !== undefined };
}
