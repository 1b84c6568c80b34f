/**
 * A mover that hangs: its container runs, its node answers, and nothing comes of it, for a volume or a service below does not answer. Movers say that
 * they get on at least each half minute in which they do (`AliveLine`), so silence tells; what was heard is a hint only, and the log itself is
 * asked before anything is ended.
 */
import { durationToMs } from '../api/index.ts';
import { displayDuration, displayTime } from './display.ts';
import { ANNOTATION_STALLED_AFTER } from './mover-job.ts';
import type { AttemptFacts, MoverPodFact } from './observed.ts';

/** A log that cannot be read, or says that all is well though nothing was heard, is asked again after this share of the patience. */
const ASK_AGAIN_SHARE = 0.25;

export type Silence =
  /** `lookAt`, milliseconds since the epoch: when it has been silent for too long unless it says something. */
  | { readonly kind: 'short'; readonly lookAt: number | undefined }
  /** Its log is to be read. */
  | { readonly kind: 'long' }
  | { readonly kind: 'stalled'; readonly message: string };

/** How long a Job's mover may get nowhere, milliseconds; undefined for one that may for ever. */
export function patienceOf({ job }: Pick<AttemptFacts, 'job'>): number | undefined {
  const stated = job?.annotations[ANNOTATION_STALLED_AFTER];
  return stated === undefined ? undefined : durationToMs(stated);
}

/** @param below - what it reads from and writes to, for the words to look at */
export function silenceOf(facts: AttemptFacts, pod: MoverPodFact, now: number, below = 'the volume, and the storage service as seen from that node, answer'): Silence {
  const patience = patienceOf(facts);
  if (patience === undefined || pod.runningSince === undefined || facts.job?.deleting === true || pod.deleting) return { kind: 'short', lookAt: undefined };
  const since = Math.max(pod.runningSince, facts.spoken.aliveAt ?? 0);
  if (now < since + patience) return { kind: 'short', lookAt: since + patience };
  switch (facts.lately) {
    case undefined:
      return { kind: 'long' };
    case 'alive':
    case 'unknown':
      return { kind: 'short', lookAt: now + patience * ASK_AGAIN_SHARE };
    case 'silent':
      return { kind: 'stalled', message: words(facts, pod, { since, patience, below }) };
  }
}

function words({ spoken }: AttemptFacts, { name, node = '' }: MoverPodFact, { since, patience, below }: { readonly since: number; readonly patience: number; readonly below: string }): string {
  const heard = spoken.trouble === undefined ? '' : ` Its last words: ${spoken.trouble.message.replace(/[.\s]*$/, '')}.`;
  return (
    `Pod ${name} of the mover on node ${node} has read, stored and written nothing since ${displayTime(since)} and is ended, for that is longer than ${displayDuration(patience)} ` +
    `(spec.mover.stalledAfter of the BackupLocation).${heard} Look whether ${below}.`
  );
}
