import { lostSince, lostWords } from './lost-node.ts';
import type { AttemptFacts, MoverPodFact, WarningFact } from './observed.ts';

/** What keeps a mover from getting on, while it is happening. */
export interface Trouble {
  /** One CamelCase word. */
  readonly reason: string;
  readonly message: string;
}

/** Waiting reasons that pass by themselves in a moment. */
const USUAL_WAITS = new Set(['ContainerCreating', 'PodInitializing', '']);

/** The most telling cause that is visible now, nearest to the container first. */
export function troubleOf(facts: AttemptFacts): Trouble | undefined {
  const pod = facts.pods[0];
  if (pod === undefined) return refusedPod(facts);
  return runningTrouble(facts, pod) ?? waitingTrouble(pod) ?? mountTrouble(facts, pod) ?? copyTrouble(facts, pod) ?? placementTrouble(pod);
}

function refusedPod(facts: AttemptFacts): Trouble | undefined {
  const refused = newest(facts.warnings, 'FailedCreate', facts.job?.name);
  if (refused === undefined) return undefined;
  const quota = /exceeded quota/i.test(refused.message);
  return {
    reason: quota ? 'QuotaExceeded' : 'PodRefused',
    message: `The mover's pod is refused: ${refused.message}`,
  };
}

function runningTrouble(facts: AttemptFacts, pod: MoverPodFact): Trouble | undefined {
  if (lostSince(pod) !== undefined) return { reason: 'NodeLost', message: lostWords(pod) };
  if (pod.reason === 'NodeLost') return { reason: 'NodeLost', message: `The node ${pod.node ?? ''} of the mover does not answer.` };
  if (!pod.running) return undefined;
  const { trouble } = facts.spoken;
  return trouble === undefined ? undefined : { reason: trouble.code, message: trouble.message };
}

function waitingTrouble(pod: MoverPodFact): Trouble | undefined {
  if (pod.waiting === undefined || USUAL_WAITS.has(pod.waiting.reason)) return undefined;
  const { reason, message } = pod.waiting;
  switch (reason) {
    case 'ErrImagePull':
    case 'ImagePullBackOff':
    case 'ErrImageNeverPull':
    case 'InvalidImageName':
      return {
        reason: 'ImageNotPullable',
        message: `The mover's image cannot be pulled (${reason}): ${message} Check spec.mover.image of the BackupLocation.`,
      };
    default:
      return { reason, message: `The mover's container does not start (${reason}): ${message}` };
  }
}

function mountTrouble(facts: AttemptFacts, pod: MoverPodFact): Trouble | undefined {
  const failed = newest(facts.warnings, 'FailedMount', pod.name) ?? newest(facts.warnings, 'FailedAttachVolume', pod.name);
  // The event outlives what it tells of: once the container runs, it mounted.
  if (failed === undefined || pod.running) return undefined;
  return { reason: 'VolumeNotMounted', message: `A volume of the mover cannot be mounted: ${failed.message}` };
}

/** A volume that is made only for its pod, and is not. */
function copyTrouble(facts: AttemptFacts, pod: MoverPodFact): Trouble | undefined {
  const failed = facts.warnings.findLast(({ reason }) => reason === 'ProvisioningFailed');
  if (failed === undefined || pod.running || pod.unschedulable === undefined) return undefined;
  return { reason: 'CopyFailing', message: `The volume ${failed.about} for the mover cannot be made: ${failed.message}` };
}

function placementTrouble(pod: MoverPodFact): Trouble | undefined {
  return pod.unschedulable === undefined ? undefined : { reason: 'Unschedulable', message: `No node takes the mover: ${pod.unschedulable}` };
}

function newest(warnings: readonly WarningFact[], reason: string, about: string | undefined): WarningFact | undefined {
  return warnings
    .filter((warning) => warning.reason === reason && warning.about === about)
    .reduce<WarningFact | undefined>((best, warning) => (best === undefined || warning.seenAt > best.seenAt ? warning : best), undefined);
}
