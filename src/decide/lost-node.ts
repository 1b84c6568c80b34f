/**
 * A mover whose node does not answer. Nobody can say whether it still works there, and the pod stays as it is until the node comes back or somebody
 * says that it will not. What only reads and adds is done by another attempt; what writes a customer's volume waits until the pod is gone.
 */
import { displayTime } from './display.ts';
import type { Failure } from './failure-reason.ts';
import type { MoverPodFact } from './observed.ts';

/** Kubernetes itself waits 40 to 50 seconds before it says so; a node that is started anew is back within this. */
export const LOST_GRACE_MS = 2 * 60_000;

/** Milliseconds since the epoch since which a pod should have been heard of, or gone; undefined for one that is well. */
export function lostSince(pod: Pick<MoverPodFact, 'nodeLostSince' | 'goneBy'>): number | undefined {
  const times = [pod.nodeLostSince, pod.goneBy].filter((time) => time !== undefined);
  return times.length === 0 ? undefined : Math.min(...times);
}

/** Whether it is given up. */
export function isLost(pod: Pick<MoverPodFact, 'nodeLostSince' | 'goneBy'>, now: number): boolean {
  const since = lostSince(pod);
  return since !== undefined && now - since >= LOST_GRACE_MS;
}

/** A pod whose program may still run: it came to a node and has not ended, as far as anybody knows. */
export function mayStillRun(pod: MoverPodFact): boolean {
  return pod.node !== undefined && pod.terminated === undefined && pod.phase !== 'Succeeded' && pod.phase !== 'Failed';
}

/** Once it is given up. */
export function lostMessage({ node = '', nodeLostSince }: MoverPodFact): string {
  return nodeLostSince === undefined ? `The mover's pod was deleted and does not go from node ${node}.` : `The mover's node ${node} does not answer any more.`;
}

/** While it is not given up. */
export function lostWords({ node = '', name, nodeLostSince, goneBy }: MoverPodFact): string {
  const until = (since: number): string => `If that lasts until ${displayTime(since + LOST_GRACE_MS)}, this attempt is given up.`;
  if (nodeLostSince !== undefined) return `Node ${node} of the mover does not answer since ${displayTime(nodeLostSince)}. ${until(nodeLostSince)}`;
  return `Pod ${name} of the mover was to be gone by ${displayTime(goneBy ?? 0)} and is still there on node ${node}. ${until(goneBy ?? 0)}`;
}

/** What is waited for while nothing else may write what a pod of an earlier attempt may still be writing; undefined when there is none. */
export function leftBehind(pods: readonly MoverPodFact[], now: number): Failure | undefined {
  const pod = pods.find(mayStillRun);
  if (pod === undefined) return undefined;
  if (lostSince(pod) === undefined || !isLost(pod, now)) return { reason: 'Stopping', message: `Pod ${pod.name} of an earlier mover is ending; it goes on when the pod is gone.` };
  return { reason: 'NodeLost', message: leftBehindWords(pod) };
}

function leftBehindWords({ node = '', name, nodeLostSince }: MoverPodFact): string {
  const why = nodeLostSince === undefined ? 'it does not end' : `the node does not answer since ${displayTime(nodeLostSince)}`;
  return (
    `Pod ${name} of an earlier mover is still there on node ${node} and may still write, for ${why}. It goes on when the pod is gone. ` +
    `If the node is down for good, delete it, or taint it with node.kubernetes.io/out-of-service=nodeshutdown:NoExecute; if you know that it is off, \`kubectl delete pod ${name} --force\`.`
  );
}
