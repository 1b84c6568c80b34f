import { MoverResult, MOVER_CONTRACT_VERSION, MOVER_EXIT } from '../api/index.ts';
import type { AttemptFacts, MoverPodFact, OwnerFact, TerminationFact } from './observed.ts';
import { isLost, LOST_GRACE_MS, lostMessage, lostSince } from './lost-node.ts';
import { silenceOf } from './stalled.ts';
import { troubleOf, type Trouble } from './trouble.ts';

/** A Job whose pod has not started after this long is given up, with what kept it as the cause. */
export const START_DEADLINE_MS = 30 * 60_000;

export interface AttemptIdentity {
  readonly task: MoverResult['task'];
  readonly name: string;
  /** Of the Backup or Restore: the Job must be owned by it, the result must name it. */
  readonly uid: string;
  /** Whose the Job must be instead: of several that share one, the garbage collector takes the name of each away that is gone. */
  readonly owner?: string;
  /** Whether the status says that the Job was seen: if it is missing now it is lost, else it was never made. */
  readonly jobWasSeen: boolean;
}

/** How one attempt stands. `ended` is final; all else may change with the next look. */
export type AttemptState =
  | { readonly kind: 'absent' }
  | { readonly kind: 'nameTaken'; readonly owners: readonly OwnerFact[] }
  | { readonly kind: 'starting'; readonly trouble: Trouble | undefined; readonly node: string | undefined; readonly lookAt?: number | undefined }
  /** `lookAt`, milliseconds since the epoch: when it is given up unless its node answers again. */
  | { readonly kind: 'running'; readonly trouble: Trouble | undefined; readonly node: string | undefined; readonly pod: string; readonly lookAt?: number | undefined }
  /** Nothing was heard of it for long, so its log must be read. */
  | { readonly kind: 'logWanted' }
  /** The pod cannot tell what happened, so the bucket must be asked. */
  | { readonly kind: 'resultWanted' }
  | { readonly kind: 'resultUnreachable'; readonly message: string }
  | { readonly kind: 'succeeded'; readonly result: MoverResult; readonly node: string | undefined }
  | { readonly kind: 'failed'; readonly code: string; readonly message: string; readonly retryable: boolean; readonly node: string | undefined };

/** Reads an attempt's state from its Job, its pod and its result. Pure. */
export function attemptState(identity: AttemptIdentity, facts: AttemptFacts, now: number): AttemptState {
  const { job } = facts;
  if (job === undefined) {
    return identity.jobWasSeen ? fromBucket(identity, facts, lost('its Job was deleted while it ran')) : { kind: 'absent' };
  }
  if (!job.owners.some((owner) => owner.uid === (identity.owner ?? identity.uid))) return { kind: 'nameTaken', owners: job.owners };
  const pod = youngestPod(facts.pods);
  if (pod?.terminated !== undefined) return fromTermination(identity, facts, pod, pod.terminated);
  if (job.ended !== undefined || pod?.phase === 'Failed' || pod?.phase === 'Succeeded') {
    return fromBucket(identity, facts, lostPod(pod, job.ended?.message), pod?.node);
  }
  // It may have done its work all the same: the bucket knows.
  if (pod !== undefined && isLost(pod, now)) return fromBucket(identity, facts, lostNode(pod), pod.node);
  if (pod?.running === true) return running(identity, facts, pod, now);
  const trouble = troubleOf(facts);
  if (job.suspended)
    return {
      kind: 'starting',
      trouble: { reason: 'JobSuspended', message: `Job ${job.name} is suspended: the queueing system of the cluster has not admitted it yet.` },
      node: undefined,
    };
  if (now - (job.resumedAt ?? job.createdAt) > START_DEADLINE_MS) {
    const why = trouble ?? { reason: 'MoverNotStarted', message: 'its pod did not start' };
    return {
      kind: 'failed',
      code: why.reason,
      message: `${why.message}; given up after ${START_DEADLINE_MS / 60_000} minutes`,
      retryable: false,
      node: pod?.node,
    };
  }
  return { kind: 'starting', trouble, node: pod?.node, ...lookAt(pod === undefined ? undefined : givenUpAt(pod)) };
}

function running(identity: AttemptIdentity, facts: AttemptFacts, pod: MoverPodFact, now: number): AttemptState {
  const silence = silenceOf(facts, pod, now);
  if (silence.kind === 'long') return { kind: 'logWanted' };
  if (silence.kind === 'stalled') return fromBucket(identity, facts, { code: 'Stalled', message: silence.message, retryable: true }, pod.node);
  return { kind: 'running', trouble: troubleOf(facts), node: pod.node, pod: pod.name, ...lookAt(silence.lookAt, givenUpAt(pod)) };
}

/** When the pod of a node that does not answer is given up. */
function givenUpAt(pod: MoverPodFact): number | undefined {
  const since = lostSince(pod);
  return since === undefined ? undefined : since + LOST_GRACE_MS;
}

function lookAt(...at: readonly (number | undefined)[]): { readonly lookAt?: number } {
  const times = at.filter((time) => time !== undefined);
  return times.length === 0 ? {} : { lookAt: Math.min(...times) };
}

/** Whether a mover works on, or hangs, though its attempt is over. */
export function mayGoOn({ pods }: AttemptFacts): boolean {
  return pods.some(({ running: runs }) => runs);
}

function youngestPod(pods: readonly MoverPodFact[]): MoverPodFact | undefined {
  return pods.find((pod) => pod.terminated !== undefined) ?? pods[0];
}

interface Failure {
  readonly code: string;
  readonly message: string;
  readonly retryable: boolean;
}

function lost(why: string): Failure {
  return { code: 'MoverLost', message: `The mover was lost: ${why}.`, retryable: true };
}

function lostNode(pod: MoverPodFact): Failure {
  return { code: 'NodeLost', message: lostMessage(pod), retryable: true };
}

function lostPod(pod: MoverPodFact | undefined, jobMessage: string | undefined): Failure {
  if (pod?.reason === 'Evicted') return { code: 'MoverEvicted', message: `The mover was evicted from its node: ${pod.message}`, retryable: true };
  if (pod?.disruption !== undefined)
    return { code: 'MoverEvicted', message: `The mover's pod was ended (${pod.disruption.reason}): ${pod.disruption.message}`, retryable: true };
  return lost(pod?.message ?? jobMessage ?? 'its pod is gone');
}

function fromTermination(identity: AttemptIdentity, facts: AttemptFacts, pod: MoverPodFact, end: TerminationFact): AttemptState {
  // The kubelet cuts a message at 4 KiB; what is not whole JSON is then read from the bucket.
  const said = parseJson(end.message);
  if (said !== undefined) return fromResult(identity, said, pod.node);
  return fromBucket(identity, facts, silentEnd(facts, pod, end), pod.node);
}

/** What an exit without a result means. */
function silentEnd(facts: AttemptFacts, pod: MoverPodFact, end: TerminationFact): Failure {
  const heard = facts.spoken.trouble === undefined ? '' : ` Its last words: ${facts.spoken.trouble.message}`;
  if (end.reason === 'OOMKilled') {
    return {
      code: 'OOMKilled',
      message: 'The mover needed more memory than its limit. Raise spec.mover.resources.limits.memory of the BackupLocation.',
      retryable: true,
    };
  }
  if (pod.reason === 'Evicted' || pod.disruption !== undefined) return lostPod(pod, undefined);
  if (end.reason === 'StartError' || end.reason === 'ContainerCannotRun') {
    return {
      code: 'MoverCannotRun',
      message: `The mover's container could not run: ${end.message || end.reason}. Check spec.mover.image of the BackupLocation.`,
      retryable: false,
    };
  }
  if (end.exitCode === MOVER_EXIT.failed) {
    return { code: 'MoverFailed', message: `The mover ended with status 1 and left no result.${heard}`, retryable: false };
  }
  return { code: 'MoverLost', message: `The mover ended with status ${end.exitCode} (${end.reason}) and left no result.${heard}`, retryable: true };
}

function fromBucket(identity: AttemptIdentity, facts: AttemptFacts, otherwise: Failure, node?: string): AttemptState {
  const { stored } = facts;
  switch (stored.state) {
    case 'notLooked':
      return { kind: 'resultWanted' };
    case 'unreachable':
      return { kind: 'resultUnreachable', message: stored.message };
    case 'absent':
      return { kind: 'failed', ...otherwise, node };
    case 'found':
      return fromResult(identity, stored.value, node);
  }
}

/** A result of another version, task or owner is refused: a refusal is better than a guess (design.md, invariant 9). */
function fromResult(identity: AttemptIdentity, value: unknown, node: string | undefined): AttemptState {
  const refuse = (message: string): AttemptState => ({ kind: 'failed', code: 'ResultRefused', message, retryable: false, node });
  const version = typeof value === 'object' && value !== null && 'version' in value ? value.version : undefined;
  if (version !== MOVER_CONTRACT_VERSION) {
    return refuse(
      `The mover's result has version ${JSON.stringify(version)}; this operator knows ${MOVER_CONTRACT_VERSION}. Let operator and mover image be of one release.`,
    );
  }
  const parsed = MoverResult.safeParse(value);
  if (!parsed.success) {
    const where = parsed.error.issues.map((issue) => issue.path.join('.') || '(top)').join(', ');
    return refuse(`The mover's result is malformed at ${where}. Let operator and mover image be of one release.`);
  }
  const result = parsed.data;
  if (result.task !== identity.task || result.uid !== identity.uid || result.attempt !== identity.name) {
    return refuse(`The mover's result speaks of ${result.task} ${result.attempt}, not of ${identity.task} ${identity.name}.`);
  }
  if (result.outcome === 'succeeded') {
    if (result[identity.task] === undefined) return refuse(`The mover's result says that it succeeded but not with what.`);
    return { kind: 'succeeded', result, node };
  }
  const failure = result.failure ?? { code: 'MoverFailed', message: 'The mover failed without saying why.', retryable: false };
  return { kind: 'failed', ...failure, node };
}

function parseJson(text: string): unknown {
  if (!text.startsWith('{')) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
