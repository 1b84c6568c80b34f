import type { MoverTask, RunningMover, WaitingMover } from './queue.ts';

/** What runs and waits in one namespace. */
interface Home {
  readonly taken: Map<string, RunningMover>;
  /** In the order in which it gets a place at home. */
  readonly queue: WaitingMover[];
}

/**
 * Movers by namespace, and all that wait in one order: urgency, then how many movers the namespace would have before it, then
 * arrival. Each change sorts one namespace anew and puts it back into the order.
 */
export class Homes {
  readonly #running = new Map<string, RunningMover>();
  readonly #waiting = new Map<string, WaitingMover>();
  readonly #homes = new Map<string, Home>();
  readonly #safety = new Set<string>();
  readonly #order = new Order();
  #counted: number | undefined;
  #verifying: number | undefined;

  waiting(uid: string): WaitingMover | undefined {
    return this.#waiting.get(uid);
  }

  setRunning(uid: string, mover: RunningMover | undefined): void {
    const before = this.#running.get(uid);
    if (isSameMover(before, mover)) return;
    this.#change([before?.namespace, mover?.namespace], () => {
      if (mover === undefined) this.#running.delete(uid);
      else this.#running.set(uid, mover);
      this.#take(uid, before);
    });
  }

  setWaiting(uid: string, mover: WaitingMover | undefined): void {
    const before = this.#waiting.get(uid);
    if (isSameMover(before, mover)) return;
    this.#change([before?.namespace, mover?.namespace, this.#running.get(uid)?.namespace], () => {
      if (before !== undefined) remove(this.#homes.get(before.namespace)?.queue ?? [], before);
      this.#safety.delete(uid);
      if (mover === undefined) this.#waiting.delete(uid);
      else {
        this.#waiting.set(uid, mover);
        this.#home(mover.namespace).queue.push(mover);
        if (mover.safetyFor !== undefined) this.#safety.add(uid);
      }
      this.#take(uid, this.#running.get(uid));
    });
  }

  /** All that wait, first come first. */
  inOrder(): Iterable<WaitingMover> {
    return this.#order.all();
  }

  /** From 1. */
  placeOf(uid: string): number {
    const mover = this.#waiting.get(uid);
    const home = mover && this.#homes.get(mover.namespace);
    return mover === undefined || home === undefined ? 0 : this.#order.placeOf(mover, home.taken.size + home.queue.indexOf(mover));
  }

  waitingForSafety(): readonly WaitingMover[] {
    return [...this.#safety].flatMap((uid) => this.#waiting.get(uid) ?? []);
  }

  isTaken(uid: string): boolean {
    return this.#running.has(uid) && !this.#waiting.has(uid);
  }

  tasksIn(namespace: string): readonly MoverTask[] {
    const home = this.#homes.get(namespace);
    return home === undefined ? [] : [...home.taken.values()].map(({ task }) => task);
  }

  takenOn(node: string): number {
    return this.#takenMovers().filter((mover) => mover.node === node).length;
  }

  runningOn(node: string, except: string): number {
    return [...this.#running.values()].filter((mover) => mover.node === node && mover.uid !== except).length;
  }

  /** Places that are taken: a safety backup uses that of its Restore. */
  counted(): number {
    this.#counted ??= this.#takenMovers().filter(({ safetyFor }) => safetyFor === undefined || !this.isTaken(safetyFor)).length;
    return this.#counted;
  }

  /** Those of them that verify. */
  verifying(): number {
    this.#verifying ??= this.#takenMovers().filter(({ task }) => task === 'verify').length;
    return this.#verifying;
  }

  #takenMovers(): readonly RunningMover[] {
    return [...this.#running.values()].filter(({ uid }) => !this.#waiting.has(uid));
  }

  /** One that waits holds no place, though its last Job may still be there. */
  #take(uid: string, before: RunningMover | undefined): void {
    if (before !== undefined) this.#homes.get(before.namespace)?.taken.delete(uid);
    const now = this.#running.get(uid);
    if (now !== undefined && !this.#waiting.has(uid)) this.#home(now.namespace).taken.set(uid, now);
  }

  #home(namespace: string): Home {
    const home = this.#homes.get(namespace) ?? { taken: new Map<string, RunningMover>(), queue: [] };
    this.#homes.set(namespace, home);
    return home;
  }

  #change(namespaces: readonly (string | undefined)[], change: () => void): void {
    const touched = new Set(namespaces.filter((namespace) => namespace !== undefined));
    this.#counted = undefined;
    this.#verifying = undefined;
    for (const namespace of touched) this.#each(namespace, (mover, before) => this.#order.remove(mover, before));
    change();
    for (const namespace of touched) {
      this.#homes.get(namespace)?.queue.sort(byArrivalAtHome);
      this.#each(namespace, (mover, before) => this.#order.add(mover, before));
      const home = this.#homes.get(namespace);
      if (home?.queue.length === 0 && home.taken.size === 0) this.#homes.delete(namespace);
    }
  }

  #each(namespace: string, visit: (mover: WaitingMover, before: number) => void): void {
    const home = this.#homes.get(namespace);
    home?.queue.forEach((mover, index) => visit(mover, home.taken.size + index));
  }
}

/** Higher than any number of movers of one namespace. */
const URGENCY = 1e9;

/** Sorted lists of movers, one for each rank. */
class Order {
  readonly #ranks = new Map<number, WaitingMover[]>();
  #sorted: readonly number[] | undefined;

  add(mover: WaitingMover, before: number): void {
    const rank = rankOf(mover, before);
    const list = this.#ranks.get(rank);
    if (list === undefined) {
      this.#ranks.set(rank, [mover]);
      this.#sorted = undefined;
    } else {
      list.splice(indexIn(list, mover), 0, mover);
    }
  }

  remove(mover: WaitingMover, before: number): void {
    const rank = rankOf(mover, before);
    const list = this.#ranks.get(rank);
    if (list === undefined) return;
    list.splice(indexIn(list, mover), 1);
    if (list.length > 0) return;
    this.#ranks.delete(rank);
    this.#sorted = undefined;
  }

  *all(): Generator<WaitingMover> {
    for (const rank of this.#inOrder()) yield* this.#ranks.get(rank) ?? [];
  }

  placeOf(mover: WaitingMover, before: number): number {
    const own = rankOf(mover, before);
    let place = 1;
    for (const rank of this.#inOrder()) {
      const list = this.#ranks.get(rank) ?? [];
      if (rank === own) return place + indexIn(list, mover);
      place += list.length;
    }
    return place;
  }

  #inOrder(): readonly number[] {
    this.#sorted ??= [...this.#ranks.keys()].sort((a, b) => a - b);
    return this.#sorted;
  }
}

function rankOf(mover: WaitingMover, before: number): number {
  return urgencyOf(mover) * URGENCY + before;
}

/** Where it is in a list sorted by arrival, or would be. */
function indexIn(list: readonly WaitingMover[], mover: WaitingMover): number {
  let [low, high] = [0, list.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    const other = list[middle];
    if (other !== undefined && byArrival(other, mover) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

function remove(queue: WaitingMover[], mover: WaitingMover): void {
  const index = queue.indexOf(mover);
  if (index >= 0) queue.splice(index, 1);
}

/** A restore comes before the backups of its namespace: somebody waits for it. */
function byArrivalAtHome(a: WaitingMover, b: WaitingMover): number {
  return Number(b.task === 'restore') - Number(a.task === 'restore') || byUrgency(a, b) || byArrival(a, b);
}

function byUrgency(a: WaitingMover, b: WaitingMover): number {
  return urgencyOf(a) - urgencyOf(b);
}

/** The least first: nobody waits for a verification, and nobody soon for what a schedule made. */
function urgencyOf({ task, automatic }: WaitingMover): number {
  return task === 'verify' ? 2 : Number(automatic === true);
}

function byArrival(a: WaitingMover, b: WaitingMover): number {
  return compare(a.queuedAt, b.queuedAt) || compare(a.uid, b.uid);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}

function isSameMover(a: (RunningMover & Partial<WaitingMover>) | undefined, b: (RunningMover & Partial<WaitingMover>) | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return a.namespace === b.namespace && a.task === b.task && a.node === b.node && a.safetyFor === b.safetyFor && a.queuedAt === b.queuedAt && a.automatic === b.automatic && a.name === b.name;
}
