/**
 * Who may start a mover now. Everything here is derived from resources, so the queue survives a restart. What a person asked for
 * comes before what a schedule did: a night of thousands keeps nobody waiting who clicked; verifications come last of all. Then first in, first out inside a
 * namespace; between namespaces the one with the fewest movers comes first, so that a customer with fifty backups does not keep
 * the others waiting. Verifications never take more than a quarter of the places, for they may take hours, and nights begin on the minute. One writer per tenant at a time is part of it: that is why no Lease per tenant exists.
 */
import { Homes } from './queue-homes.ts';
import { displayOrdinal } from './display.ts';

export type MoverTask = 'backup' | 'restore' | 'forget' | 'verify';

/** Something that holds a mover's place now: a Backup that transfers, a Restore from its admission to its end, a forget Job, a verification. */
export interface RunningMover {
  /** Of the Backup, Restore or BackupPolicy that it works for. */
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

export interface QueueLimits {
  /** Movers of the location that may run at a time. */
  readonly limit: number;
  /** Movers that may run on one node at a time, of all tasks; undefined for no limit. */
  readonly limitPerNode?: number | undefined;
}

export interface QueueFacts extends QueueLimits {
  readonly location: string;
  readonly running: readonly RunningMover[];
  readonly waiting: readonly WaitingMover[];
}

export type Hindrance = { readonly reason: 'NamespaceBusy' | 'NodeBusy' | 'RestoreRunning' | 'LocationBusy'; readonly message: string };

export type Admission = { readonly admitted: true } | { readonly admitted: false; readonly reason: Hindrance['reason']; readonly message: string };

export interface Place {
  readonly mover: WaitingMover;
  readonly admission: Admission;
}

/** What a decision about one Backup or Restore asks of the queue. */
export type MoverQueue = Pick<MoverLine, 'admit' | 'nodeBusy'>;

/** The queue of one location as it stands. */
export function lineOf({ location, running, waiting, ...limits }: QueueFacts): MoverLine {
  const line = new MoverLine(location, limits);
  for (const mover of running) if (mover.location === location) line.setRunning(mover.uid, mover);
  for (const mover of waiting) if (mover.location === location) line.setWaiting(mover.uid, mover);
  return line;
}

/**
 * The queue of one location: who runs, who waits, in which order. It is kept in that order while movers come and go, so that a
 * night of ten thousand costs each of them a look at its own place and not at all the others'.
 */
export class MoverLine {
  readonly location: string;
  #limits: QueueLimits;
  readonly #homes = new Homes();

  constructor(location: string, limits: QueueLimits) {
    this.location = location;
    this.#limits = limits;
  }

  setLimits(limits: QueueLimits): void {
    this.#limits = limits;
  }

  /** @param mover - `undefined`: it runs no more */
  setRunning(uid: string, mover: RunningMover | undefined): void {
    this.#homes.setRunning(uid, mover);
  }

  /** @param mover - `undefined`: it waits no more */
  setWaiting(uid: string, mover: WaitingMover | undefined): void {
    this.#homes.setWaiting(uid, mover);
  }

  /** Whether `candidate` may start now, given all that runs and waits. Two candidates judged by the same queue never take one place. */
  admit(candidate: WaitingMover): Admission {
    if (candidate.location !== this.location) throw new RangeError(`the candidate waits for location ${candidate.location}, the queue is that of ${this.location}`);
    const known = this.#homes.waiting(candidate.uid);
    this.setWaiting(candidate.uid, candidate);
    try {
      return this.#judge(candidate);
    } finally {
      this.setWaiting(candidate.uid, known);
    }
  }

  /** Everything that waits, in the order in which it gets a place, with the answer to each. */
  *places(): Generator<Place> {
    const ahead = new Ahead(this.#homes, this.#limits);
    let place = 0;
    for (const mover of this.#homes.inOrder()) {
      place++;
      const admission = ahead.take(mover) ?? this.#busy(mover, place);
      yield { mover, admission };
    }
  }

  /** What may start now. */
  admitted(): readonly WaitingMover[] {
    const ahead = new Ahead(this.#homes, this.#limits);
    const admitted: WaitingMover[] = [];
    const judged = new Set<WaitingMover>();
    for (const mover of this.#homes.inOrder()) {
      if (!ahead.hasRoom) break;
      judged.add(mover);
      if (ahead.take(mover)?.admitted === true) admitted.push(mover);
    }
    // These need no room of their own. One that was judged was so by what stood before it in the line, as in `places`.
    for (const mover of this.#homes.waitingForSafety()) if (!judged.has(mover) && ahead.take(mover)?.admitted === true) admitted.push(mover);
    return admitted;
  }

  /** Whether as many movers as may run on a node do, beside the one of this Backup or Restore. */
  nodeBusy(node: string | undefined, uid: string): Hindrance | undefined {
    const { limitPerNode } = this.#limits;
    if (node === undefined || limitPerNode === undefined) return undefined;
    return nodeHindrance(node, this.#homes.runningOn(node, uid), limitPerNode);
  }

  #judge(candidate: WaitingMover): Admission {
    const ahead = new Ahead(this.#homes, this.#limits);
    for (const mover of ahead.hasRoom ? this.#homes.inOrder() : []) {
      if (mover.uid === candidate.uid || !ahead.hasRoom) break;
      ahead.take(mover);
    }
    return ahead.take(candidate) ?? this.#busy(candidate, this.#homes.placeOf(candidate.uid));
  }

  #busy(mover: WaitingMover, place: number): Admission {
    const message = `${displayPlace(place, mover.automatic === true)} in line: BackupLocation ${this.location} runs ${this.#limits.limit} movers at a time.`;
    return { admitted: false, reason: 'LocationBusy', message };
  }
}

/** What is taken by those that run, and by those of the line that were looked at so far. */
class Ahead {
  readonly #homes: Homes;
  readonly #limits: QueueLimits;
  readonly #tasks = new Map<string, MoverTask>();
  readonly #nodes = new Map<string, number>();
  readonly #uids = new Set<string>();
  #free: number;
  #verifying: number;

  constructor(homes: Homes, limits: QueueLimits) {
    this.#homes = homes;
    this.#limits = limits;
    this.#free = limits.limit - homes.counted();
    this.#verifying = homes.verifying();
  }

  get hasRoom(): boolean {
    return this.#free > 0;
  }

  /** The answer to the next in line, whose place is taken if there is one; `undefined` where all are. */
  take(mover: WaitingMover): Admission | undefined {
    if (this.#isSafety(mover)) return { admitted: true };
    const hindrance = this.#hindranceOf(mover);
    // One that is hindered keeps nobody waiting; one that is not takes its place as soon as it is looked at.
    if (hindrance !== undefined) return { admitted: false, ...hindrance };
    if (!this.hasRoom) return undefined;
    this.#free--;
    if (mover.task === 'verify') this.#verifying++;
    this.#uids.add(mover.uid);
    this.#tasks.set(mover.namespace, mover.task);
    if (mover.node !== undefined) this.#nodes.set(mover.node, (this.#nodes.get(mover.node) ?? 0) + 1);
    return { admitted: true };
  }

  #isSafety({ safetyFor }: WaitingMover): boolean {
    return safetyFor !== undefined && (this.#homes.isTaken(safetyFor) || this.#uids.has(safetyFor));
  }

  #hindranceOf({ namespace, node, task: wanted }: WaitingMover): Hindrance | undefined {
    const ahead = this.#tasks.get(namespace);
    // A verification reads only: it is in the way of nothing but what removes data.
    const isInTheWay = (task: MoverTask) => task !== 'verify' || wanted === 'forget' || wanted === 'verify';
    const tasks = [...this.#homes.tasksIn(namespace), ...(ahead === undefined ? [] : [ahead])].filter(isInTheWay);
    if (tasks.includes('restore')) return { reason: 'RestoreRunning', message: 'A Restore of this namespace runs; this starts when it has ended.' };
    // Of several that run, the same one is named whoever came first.
    const task = (['backup', 'forget', 'verify'] as const).find((each) => tasks.includes(each));
    if (task !== undefined) return { reason: 'NamespaceBusy', message: `Another ${WORDS[task]} of this namespace runs; this starts when it has ended.` };
    const { limit, limitPerNode } = this.#limits;
    if (wanted === 'verify' && this.#verifying >= mostVerifying(limit))
      return { reason: 'LocationBusy', message: `${this.#verifying} verifications run, and no more than a quarter of the ${limit} movers of the BackupLocation; this starts when one has ended.` };
    if (node === undefined || limitPerNode === undefined) return undefined;
    return nodeHindrance(node, this.#homes.takenOn(node) + (this.#nodes.get(node) ?? 0), limitPerNode);
  }
}

/** A quarter of the places, but one at least: else nothing would ever be verified. */
function mostVerifying(limit: number): number {
  return Math.max(1, Math.floor(limit / 4));
}

/** Movers are limited on the node that holds their volume; where that is not known yet, the limit shows when they are placed. */
function nodeHindrance(node: string, there: number, limit: number): Hindrance | undefined {
  return there < limit ? undefined : { reason: 'NodeBusy', message: `${there} of ${limit} movers of node ${node} run; this starts when one has ended.` };
}

/** Beyond the first ten the place is rounded, for nobody but a schedule coarsely, so that a long queue that moves does not rewrite every status in it. */
function displayPlace(place: number, automatic: boolean): string {
  if (place <= 10) return displayOrdinal(place);
  const step = [1, 2, 5, 10].map((factor) => factor * 10 ** Math.floor(Math.log10(place - 1))).find((each) => each >= place) ?? place;
  return `about ${displayOrdinal(automatic ? 10 ** Math.ceil(Math.log10(place)) : step)}`;
}

const WORDS = { backup: 'backup', restore: 'restore', forget: 'deletion', verify: 'verification' } as const satisfies Record<MoverTask, string>;
