/**
 * Who may start a mover now. Everything here is derived from resources, so the queue survives a restart. What a person asked for
 * comes before what a schedule did: a night of thousands keeps nobody waiting who clicked. Then first in, first out inside a
 * namespace; between namespaces the one with the fewest movers comes first, so that a customer with fifty backups does not keep
 * the others waiting. One writer per tenant at a time is part of it: that is why no Lease per tenant exists.
 */
import { displayOrdinal } from './display.ts';

export type MoverTask = 'backup' | 'restore' | 'forget';

/** Something that holds a mover's place now: a Backup that transfers, a Restore from its admission to its end, a forget Job. */
export interface RunningMover {
  /** Of the Backup or Restore that it works for. */
  readonly uid: string;
  readonly task: MoverTask;
  readonly namespace: string;
  readonly location: string;
  /** The Restore whose safety backup this is: it uses the place that the Restore holds. */
  readonly safetyFor: string | undefined;
  /** Where it runs, or most likely will: the node of the policy's last backup. */
  readonly node?: string | undefined;
}

/** Something that wants one. */
export interface WaitingMover extends RunningMover {
  /** Of the Backup or Restore. */
  readonly name: string;
  /** RFC 3339 */
  readonly queuedAt: string;
  /** Made by a schedule, or the deletion of what one made: nobody waits for it. */
  readonly automatic?: boolean;
}

export interface QueueFacts {
  readonly location: string;
  readonly running: readonly RunningMover[];
  readonly waiting: readonly WaitingMover[];
  /** Movers of the location that may run at a time. */
  readonly limit: number;
  /** Movers that may run on one node at a time, of all tasks; undefined for no limit. */
  readonly limitPerNode?: number | undefined;
}

export type Admission =
  | { readonly admitted: true }
  | { readonly admitted: false; readonly reason: 'LocationBusy' | 'NamespaceBusy' | 'NodeBusy' | 'RestoreRunning'; readonly message: string };

export interface Place {
  readonly mover: WaitingMover;
  readonly admission: Admission;
}

/** Whether `candidate` may start now, given all that runs and waits. Two candidates judged by the same facts never take one place. */
export function admit(candidate: WaitingMover, facts: QueueFacts): Admission {
  const waiting = [...facts.waiting.filter((mover) => mover.uid !== candidate.uid), candidate];
  const place = lineUp({ ...facts, waiting }).find(({ mover }) => mover.uid === candidate.uid);
  if (place === undefined) throw new RangeError(`the candidate waits for location ${candidate.location}, the queue is that of ${facts.location}`);
  return place.admission;
}

/** Everything that waits at a location, in the order in which it gets a place, with the answer to each. */
export function lineUp(facts: QueueFacts): readonly Place[] {
  const waiting = facts.waiting.filter((mover) => mover.location === facts.location);
  const waitingUids = new Set(waiting.map((mover) => mover.uid));
  const taken = facts.running.filter((mover) => !waitingUids.has(mover.uid));
  const running = taken.filter((mover) => mover.location === facts.location && !isSafety(mover, taken)).length;
  let free = facts.limit - running;
  return inOrder(waiting, taken).map((mover, index) => {
    if (isSafety(mover, taken)) return { mover, admission: { admitted: true } };
    const hindrance = hindranceOf(mover, taken) ?? nodeHindrance(mover.node, taken, facts.limitPerNode);
    // One that is hindered keeps nobody waiting; one that is not takes its place as soon as it is looked at.
    if (hindrance !== undefined) return { mover, admission: { admitted: false, ...hindrance } };
    if (free > 0) {
      free--;
      taken.push(mover);
      return { mover, admission: { admitted: true } };
    }
    const message = `${displayPlace(index + 1)} in line: ${running} of ${facts.limit} movers of BackupLocation ${facts.location} run.`;
    return { mover, admission: { admitted: false, reason: 'LocationBusy', message } };
  });
}

/** Beyond the first ten the place is rounded, so that a long queue that moves does not rewrite every status in it. */
function displayPlace(place: number): string {
  if (place <= 10) return displayOrdinal(place);
  const grain = 10 ** Math.floor(Math.log10(place));
  return `about ${displayOrdinal(Math.ceil(place / grain) * grain)}`;
}

function isSafety(mover: RunningMover, taken: readonly RunningMover[]): boolean {
  return mover.safetyFor !== undefined && taken.some((other) => other.uid === mover.safetyFor);
}

function inOrder(waiting: readonly WaitingMover[], taken: readonly RunningMover[]): readonly WaitingMover[] {
  const movers = new Map<string, number>();
  for (const { namespace } of taken) movers.set(namespace, (movers.get(namespace) ?? 0) + 1);
  const byNamespace = Map.groupBy(waiting, ({ namespace }) => namespace);
  // Each is ranked by the movers that its namespace would have before it; that number, then arrival, is the order.
  const ranked = [...byNamespace].flatMap(([namespace, queue]) =>
    queue.sort(byArrivalAtHome).map((mover, index) => ({ mover, before: (movers.get(namespace) ?? 0) + index })),
  );
  return ranked.sort((a, b) => byUrgency(a.mover, b.mover) || a.before - b.before || byArrival(a.mover, b.mover)).map(({ mover }) => mover);
}

/** A restore comes before the backups of its namespace: somebody waits for it. */
function byArrivalAtHome(a: WaitingMover, b: WaitingMover): number {
  return Number(b.task === 'restore') - Number(a.task === 'restore') || byUrgency(a, b) || byArrival(a, b);
}

function byUrgency(a: WaitingMover, b: WaitingMover): number {
  return Number(a.automatic === true) - Number(b.automatic === true);
}

function byArrival(a: WaitingMover, b: WaitingMover): number {
  return compare(a.queuedAt, b.queuedAt) || compare(a.uid, b.uid);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}

function hindranceOf(mover: WaitingMover, taken: readonly RunningMover[]): Omit<Admission & { admitted: false }, 'admitted'> | undefined {
  const here = taken.filter((other) => other.namespace === mover.namespace);
  if (here.some((other) => other.task === 'restore')) {
    return { reason: 'RestoreRunning', message: 'A Restore of this namespace runs; this starts when it has ended.' };
  }
  const [other] = here;
  if (other !== undefined)
    return { reason: 'NamespaceBusy', message: `Another ${WORDS[other.task]} of this namespace runs; this starts when it has ended.` };
  return undefined;
}

/** Movers are limited on the node that holds their volume; where that is not known yet, the limit shows when they are placed. */
export function nodeHindrance(
  node: string | undefined,
  taken: readonly RunningMover[],
  limit: number | undefined,
): { readonly reason: 'NodeBusy'; readonly message: string } | undefined {
  if (node === undefined || limit === undefined) return undefined;
  const there = taken.filter((mover) => mover.node === node).length;
  return there < limit ? undefined : { reason: 'NodeBusy', message: `${there} of ${limit} movers of node ${node} run; this starts when one has ended.` };
}

const WORDS = { backup: 'backup', restore: 'restore', forget: 'deletion' } as const satisfies Record<MoverTask, string>;
