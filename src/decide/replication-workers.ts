/**
 * Workers of a copy that hang, or whose node does not answer. Each shard has a pod of its own and says by itself that it gets on, by the rule of movers
 * (`stalled.ts`); the attempt is over once nobody of it gets on any more, so that none that works is ended for one that does not.
 */
import { isLost, lostMessage, mayStillRun } from './lost-node.ts';
import type { MoverPodFact } from './observed.ts';
import type { ReplicationFacts } from './replication-facts.ts';
import { silenceOf } from './stalled.ts';

export type WorkersState =
  /** `lookAt`, milliseconds since the epoch: when one has been silent for too long unless it says something. */
  | { readonly kind: 'working'; readonly lookAt: number | undefined }
  /** Nothing was heard for long of those that are left: the logs of these pods are to be read. */
  | { readonly kind: 'logsWanted'; readonly pods: readonly string[] }
  /** Why each is given up, by shard. */
  | { readonly kind: 'over'; readonly reasons: ReadonlyMap<number, string> };

export function workersState(facts: Pick<ReplicationFacts, 'attempt' | 'workers'>, now: number): WorkersState {
  const left = facts.attempt.pods.filter((pod) => pod.terminated === undefined && pod.phase !== 'Succeeded' && pod.phase !== 'Failed');
  // Who has not begun may yet, and the Job tells of the end of the others.
  if (left.length === 0 || left.some((pod) => !mayStillRun(pod))) return { kind: 'working', lookAt: undefined };
  const states = left.map((pod) => ({ pod, ...stateOf(facts, pod, now) }));
  const working = states.filter(({ kind }) => kind === 'short');
  if (working.length > 0) return { kind: 'working', lookAt: earliest(working.map(({ lookAt }) => lookAt)) };
  const unread = states.filter(({ kind }) => kind === 'long').map(({ pod }) => pod.name);
  if (unread.length > 0) return { kind: 'logsWanted', pods: unread };
  return { kind: 'over', reasons: new Map(states.map(({ pod, message = '' }, index) => [pod.shard ?? index, message])) };
}

interface OneState {
  readonly kind: 'short' | 'long' | 'over';
  readonly lookAt?: number | undefined;
  readonly message?: string;
}

function stateOf({ attempt, workers }: Pick<ReplicationFacts, 'attempt' | 'workers'>, pod: MoverPodFact, now: number): OneState {
  if (isLost(pod, now)) return { kind: 'over', message: `NodeLost: ${lostMessage(pod)}` };
  if (!pod.running) return { kind: 'short' };
  const said = workers.get(pod.name);
  const silence = silenceOf({ ...attempt, spoken: said?.spoken ?? { progress: undefined, trouble: undefined }, lately: said?.lately }, pod, now, 'both storage services, as seen from that node, answer');
  return silence.kind === 'stalled' ? { kind: 'over', message: `Stalled: ${silence.message}` } : silence;
}

function earliest(times: readonly (number | undefined)[]): number | undefined {
  const known = times.filter((time) => time !== undefined);
  return known.length === 0 ? undefined : Math.min(...known);
}
