/**
 * Hooks of a Backup, one at a time. What is to run stands in the status before it begins, so that after a crash, and whatever has
 * become of the policy meanwhile, it is known what is owed: once a pre hook may have begun, every post hook runs.
 */
import { MOST_HOOK_MESSAGE, MOST_HOOK_PODS, durationToMs, type BackupPolicy, type ConditionInput, type Hook, type HookRun } from '../api/index.ts';
import type { BackupFacts, BackupStep } from './backup-facts.ts';
import { timeOf } from './backup-status.ts';
import { displayTime, shortened } from './display.ts';
import { placesOf, type ExecPlace, type ExecPodFact } from './exec-target.ts';
import type { Failure } from './failure-reason.ts';

export type HookStage = HookRun['stage'];

/** What this process knows of the hook that it ran last for a backup. Another process knows nothing: then it runs again. */
export type HookRunFact =
  | { readonly id: string; readonly state: 'running' }
  | { readonly id: string; readonly state: 'ended'; readonly ok: boolean; readonly message: string; /** Milliseconds since the epoch. */ readonly at: number };

export interface HookFacts {
  /** The customer's pods, read from the API server; `undefined` until a plan asks for them. */
  readonly pods: readonly ExecPodFact[] | undefined;
  readonly run: HookRunFact | undefined;
}

/** A command that is to be run in pods. */
export interface HookStart {
  /** Names this run among all of the backup. */
  readonly id: string;
  readonly places: readonly ExecPlace[];
  readonly command: readonly string[];
  readonly timeoutMs: number;
}

export type HooksVerdict =
  /** Nothing can be said before the customer's pods are looked at. */
  | { readonly kind: 'blind' }
  /** All of the stage have ended, and the status says so. */
  | { readonly kind: 'done'; readonly failure: Failure | undefined }
  | {
      readonly kind: 'busy';
      readonly runs: readonly HookRun[];
      readonly said: Failure;
      readonly steps: readonly BackupStep[];
      readonly wakeAt?: number;
      readonly again?: boolean;
    };

/** How soon a post hook that failed is run again. */
const RETRY_MS = 2000;
/** How soon a pod is looked at again that is not ready: customers' pods are not watched. */
const POD_LOOK_MS = 2000;

/** Whether the workload is, or may be, quiesced: a post hook is owed. */
export function owesPostHooks(hooks: readonly HookRun[] | undefined): boolean {
  return hooks?.some((run) => run.stage === 'Post' && !hasEnded(run)) === true;
}

/** Whether the hooks of this attempt are over: what would be read now is not what they had quiesced. */
export function areReleased(hooks: readonly HookRun[] | undefined): boolean {
  return hooks?.some(({ stage }) => stage === 'Post') === true && !owesPostHooks(hooks);
}

export function decideHooks(stage: HookStage, facts: BackupFacts, now: number): HooksVerdict {
  const recorded = facts.backup.status?.hooks;
  const runs = recorded ?? (stage === 'Pre' ? plannedRuns(facts.ground.policy) : []);
  const place = runs.findIndex((run) => run.stage === stage && !hasEnded(run));
  const run = runs[place];
  if (run !== undefined) return advance(runs, place, run, facts, now);
  // Post hooks without pre hooks are owed too from now on.
  if (recorded === undefined && runs.length > 0) return { kind: 'busy', runs, said: saidOf('Pre', 'The hooks are noted.'), steps: [], again: true };
  return { kind: 'done', failure: failureOfStage(runs, stage) };
}

/** Whether the hooks did what they should; nothing while that is open, or there are none. */
export function quiescedCondition(runs: readonly HookRun[]): readonly ConditionInput[] {
  const failed = runs.filter(({ state }) => state === 'Failed');
  if (failed.length > 0) {
    return [{ type: 'Quiesced', status: 'False', reason: 'HookFailed', message: failed.map((run) => `${titleOf(run)} failed: ${run.message ?? ''}`).join(' ') }];
  }
  if (runs.length === 0 || !runs.every(hasEnded)) return [];
  if (runs.every(({ state }) => state === 'Skipped')) {
    return [{ type: 'Quiesced', status: 'True', reason: 'NothingToQuiesce', message: 'No pod uses the volumes, so no hook had to run.' }];
  }
  return [{ type: 'Quiesced', status: 'True', reason: 'HooksSucceeded', message: `${runs.map(({ name }) => name).join(', ')} ran as they should.` }];
}

function plannedRuns(policy: BackupPolicy | undefined): readonly HookRun[] {
  const hooks = policy?.spec.hooks;
  const planned = (stage: HookStage) => (hooks?.[stage === 'Pre' ? 'pre' : 'post'] ?? []).map(({ name, onError, ...plan }: Hook): HookRun => ({ name, stage, state: 'Pending', onError, plan }));
  return [...planned('Pre'), ...planned('Post')];
}

function hasEnded({ state }: HookRun): boolean {
  return state === 'Succeeded' || state === 'Failed' || state === 'Skipped';
}

/** The first failure of a stage that counts. */
export function failureOfStage(runs: readonly HookRun[], stage: HookStage): Failure | undefined {
  const failed = runs.find((run) => run.stage === stage && run.state === 'Failed' && run.onError === 'Fail');
  if (failed === undefined) return undefined;
  return { reason: stage === 'Pre' ? 'PreHookFailed' : 'PostHookFailed', message: `${titleOf(failed)} failed: ${failed.message ?? ''}` };
}

function titleOf({ stage, name }: HookRun): string {
  return `${stage === 'Pre' ? 'Pre' : 'Post'} hook ${name}`;
}

function saidOf(stage: HookStage, message: string): Failure {
  return { reason: stage === 'Pre' ? 'PreHooks' : 'PostHooks', message };
}

function advance(runs: readonly HookRun[], place: number, run: HookRun, facts: BackupFacts, now: number): HooksVerdict {
  const { plan } = run;
  const put = (changed: HookRun) => runs.with(place, changed);
  // Nobody but this operator writes the status; a run without a plan is one of a later version.
  if (plan === undefined) return end(put, run, { state: 'Failed', message: 'What it should run is not known any more.' }, now);
  const startedAt = timeOf(run.startedAt) ?? now;
  const id = `${facts.backup.status?.attempt ?? 0}/${run.stage}/${run.name}/${displayTime(startedAt)}`;
  const deadline = startedAt + durationToMs(plan.timeout);
  const { run: seen, pods } = facts.hooks;
  if (seen?.id === id && seen.state === 'running') return { kind: 'busy', runs, said: runningSaid(run), steps: [] };
  if (seen?.id === id && seen.state === 'ended') {
    if (seen.ok) return end(put, run, { state: 'Succeeded' }, seen.at);
    if (run.stage === 'Pre' || seen.at >= deadline) return end(put, run, { state: 'Failed', message: seen.message }, seen.at);
    if (now < seen.at + RETRY_MS) return { kind: 'busy', runs, said: saidOf(run.stage, `${titleOf(run)} failed and is run again: ${seen.message}`), steps: [], wakeAt: seen.at + RETRY_MS };
  }
  if (pods === undefined) return { kind: 'blind' };
  return begin({ runs, put, run, plan, id, startedAt, deadline, pods }, facts, now);
}

interface Beginning {
  readonly runs: readonly HookRun[];
  readonly put: (run: HookRun) => readonly HookRun[];
  readonly run: HookRun;
  readonly plan: NonNullable<HookRun['plan']>;
  readonly id: string;
  /** Milliseconds since the epoch, both. */
  readonly startedAt: number;
  readonly deadline: number;
  readonly pods: readonly ExecPodFact[];
}

function begin(beginning: Beginning, facts: BackupFacts, now: number): HooksVerdict {
  const { runs, put, run, plan, id, startedAt, deadline, pods } = beginning;
  const found = placesOf(plan, facts.backup.status?.volumes ?? [], pods);
  switch (found.kind) {
    case 'wrong':
      return end(put, run, { state: 'Failed', message: found.message }, now);
    case 'none':
      // A workload that is down writes nothing. One that was quiesced may be on its way back, and still has to be released.
      if (run.stage === 'Pre' || !runs.some(({ stage, state }) => stage === 'Pre' && state !== 'Skipped'))
        return end(put, run, { state: 'Skipped', message: found.message }, now);
      return awaitPod(beginning, found.message, now);
    case 'unready':
      return awaitPod(beginning, found.message, now);
    case 'found': {
      const places = chosen(found.places, plan.allPods, runs);
      const running: HookRun = { ...run, state: 'Running', pods: places.slice(0, MOST_HOOK_PODS).map(({ pod }) => pod), startedAt: displayTime(startedAt) };
      // After an outage longer than its timeout it still gets one whole try.
      const timeoutMs = run.stage === 'Post' && deadline > now ? deadline - now : durationToMs(plan.timeout);
      return { kind: 'busy', runs: put(running), said: runningSaid(running), steps: [{ do: 'runHook', start: { id, places, command: plan.command, timeoutMs } }] };
    }
  }
}

/** One pod: that in which a hook of this backup ran before, for it may be what holds a lock. */
function chosen(places: readonly ExecPlace[], allPods: boolean, runs: readonly HookRun[]): readonly ExecPlace[] {
  if (allPods) return places;
  const before = new Set(runs.flatMap(({ pods }) => pods ?? []));
  return [places.find(({ pod }) => before.has(pod)) ?? places[0]].filter((place) => place !== undefined);
}

function awaitPod({ put, run, startedAt, deadline }: Beginning, message: string, now: number): HooksVerdict {
  if (run.startedAt !== undefined && now >= deadline) return end(put, run, { state: 'Failed', message: `${message} It was waited for until the hook's timeout.` }, now);
  const waiting: HookRun = { ...run, state: 'Waiting', startedAt: displayTime(startedAt) };
  return { kind: 'busy', runs: put(waiting), said: saidOf(run.stage, `${titleOf(run)} waits for a pod: ${message}`), steps: [], wakeAt: Math.min(deadline, now + POD_LOOK_MS) };
}

function runningSaid(run: HookRun): Failure {
  const where = run.pods === undefined ? '' : ` in pod ${run.pods.join(', ')}`;
  return saidOf(run.stage, `${titleOf(run)} runs${where}.`);
}

/** Writes how a hook ended. A pre hook whose failure counts skips the others. */
function end(put: (run: HookRun) => readonly HookRun[], run: HookRun, how: Pick<HookRun, 'state' | 'message'>, at: number): HooksVerdict {
  // What many pods print together must not be what keeps this from being written: then nothing would be released.
  const message = how.message === undefined ? {} : { message: shortened(how.message, MOST_HOOK_MESSAGE) };
  const ended: HookRun = { ...withoutPlan(run), state: how.state, ...message, finishedAt: displayTime(at) };
  const skipsOthers = run.stage === 'Pre' && how.state === 'Failed' && run.onError === 'Fail';
  const runs = put(ended).map((other): HookRun => {
    if (!skipsOthers || other.stage !== 'Pre' || hasEnded(other)) return other;
    return { ...withoutPlan(other), state: 'Skipped', message: `Hook ${run.name} before it failed.` };
  });
  return { kind: 'busy', runs, said: saidOf(run.stage, `${titleOf(run)} has ended.`), steps: [], again: true };
}

function withoutPlan({ name, stage, state, onError, pods, startedAt }: HookRun): HookRun {
  return { name, stage, state, onError, ...(pods === undefined ? {} : { pods }), ...(startedAt === undefined ? {} : { startedAt }) };
}
