import { setTimeout as sleep } from 'node:timers/promises';
import { MoverLine } from '../../api/index.ts';
import type { LatelyFact, SpokenFacts } from '../../decide/index.ts';
import { isKubeError } from '../../kube/index.ts';

export interface PodName {
  readonly namespace: string;
  readonly name: string;
}

/** Logs of movers' pods: lines, each after its time (RFC 3339) and a space. */
export interface MoverLogs {
  /** What is there of late and what comes, until the container ends. */
  follow(pod: PodName, signal: AbortSignal): AsyncIterable<string>;
  /** What is there of the last `seconds`, by the clock of the pod's node. */
  since(pod: PodName, seconds: number, signal: AbortSignal): AsyncIterable<string>;
}

export interface Listener {
  /** Begins to listen to a pod, once. `tell` is called when there is news, at most every two seconds. */
  listen(pod: PodName, job: string, tell: () => void): void;
  /** What the mover of a Job said last. */
  spoken(job: string): SpokenFacts;
  /** Whether a pod's log says that it got on within that time, milliseconds, as its node has it now. */
  lately(pod: PodName, withinMs: number, signal: AbortSignal): Promise<LatelyFact>;
  /** Forgets what was heard of a Job and stops listening. */
  forget(job: string): void;
}

const SILENCE: SpokenFacts = { progress: undefined, trouble: undefined };
/** A status is written no more often than this for progress. */
const TELL_EVERY_MS = 2000;
/** A log that breaks off while the mover works is opened again. */
const REOPEN_MS = { first: 10_000, most: 300_000 };
/** A node that has not answered by then is asked again later. */
const READ_TIMEOUT_MS = 20_000;

interface Ear {
  readonly stop: AbortController;
  spoken: SpokenFacts;
  toldAt: number;
  pending: NodeJS.Timeout | undefined;
}

/** Follows movers' logs. Best effort: what is not heard is missing in the progress, and before silence counts the log is read. */
export class LogListener implements Listener {
  readonly #logs: MoverLogs;
  readonly #now: () => number;
  readonly #reopen: { readonly first: number; readonly most: number };
  readonly #ears = new Map<string, Ear>();

  constructor(logs: MoverLogs, now: () => number, reopen: { readonly first: number; readonly most: number } = REOPEN_MS) {
    this.#logs = logs;
    this.#reopen = reopen;
    this.#now = now;
  }

  listen(pod: PodName, job: string, tell: () => void): void {
    if (this.#ears.has(job)) return;
    const ear: Ear = { stop: new AbortController(), spoken: SILENCE, toldAt: this.#now(), pending: undefined };
    this.#ears.set(job, ear);
    void this.#follow(pod, ear, tell);
  }

  spoken(job: string): SpokenFacts {
    return this.#ears.get(job)?.spoken ?? SILENCE;
  }

  async lately(pod: PodName, withinMs: number, signal: AbortSignal): Promise<LatelyFact> {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(READ_TIMEOUT_MS)]);
    try {
      for await (const text of this.#logs.since(pod, Math.ceil(withinMs / 1000), limit)) {
        const { line } = parsed(text);
        if (line?.type === 'progress' || line?.type === 'alive') return 'alive';
      }
      return 'silent';
    } catch {
      signal.throwIfAborted();
      return 'unknown';
    }
  }

  forget(job: string): void {
    const ear = this.#ears.get(job);
    if (ear === undefined) return;
    this.#ears.delete(job);
    clearTimeout(ear.pending);
    ear.stop.abort();
  }

  /** Stops listening to all. */
  close(): void {
    for (const job of [...this.#ears.keys()]) this.forget(job);
  }

  async #follow(pod: PodName, ear: Ear, tell: () => void): Promise<void> {
    const { signal } = ear.stop;
    for (let wait = this.#reopen.first; !signal.aborted; wait = Math.min(this.#reopen.most, wait * 2)) {
      try {
        for await (const text of this.#logs.follow(pod, signal)) this.#hear(text, ear, tell);
      } catch (error) {
        // The pod's end is seen in the pod.
        if (isKubeError(error, 'NotFound')) return;
      }
      await sleep(wait, undefined, { signal, ref: false }).catch(() => undefined);
    }
  }

  #hear(text: string, ear: Ear, tell: () => void): void {
    const { line, at } = parsed(text);
    if (line === undefined) return;
    const now = this.#now();
    ear.spoken = heard(ear.spoken, line, Math.min(now, at ?? now));
    if (line.type !== 'alive') this.#tellSoon(ear, tell);
  }

  #tellSoon(ear: Ear, tell: () => void): void {
    if (ear.pending !== undefined) return;
    const wait = Math.max(0, ear.toldAt + TELL_EVERY_MS - this.#now());
    ear.pending = setTimeout(() => {
      ear.pending = undefined;
      ear.toldAt = this.#now();
      tell();
    }, wait);
  }
}

/** Progress after trouble means that the trouble is over. */
function heard(before: SpokenFacts, line: MoverLine, at: number): SpokenFacts {
  switch (line.type) {
    case 'trouble':
      return { ...before, trouble: { code: line.code, message: line.message } };
    case 'alive':
      return { ...before, aliveAt: at };
    case 'progress': {
      const { filesDone, filesTotal, bytesDone, bytesTotal, bytesAdded } = line;
      const moved = before.progress === undefined || bytesDone > before.progress.bytesDone || filesDone > before.progress.filesDone;
      return { progress: { filesDone, filesTotal, bytesDone, bytesTotal, bytesAdded, at }, trouble: moved ? undefined : before.trouble, aliveAt: at };
    }
  }
}

/** `at`: milliseconds since the epoch, where the line has a time. */
function parsed(text: string): { readonly line: MoverLine | undefined; readonly at: number | undefined } {
  const [, time = '', rest = ''] = /^([0-9][^ ]*) (\{.*)$/.exec(text) ?? [];
  const at = Date.parse(time);
  return { line: parseLine(rest === '' ? text : rest), at: Number.isNaN(at) ? undefined : at };
}

function parseLine(text: string): MoverLine | undefined {
  if (!text.startsWith('{')) return undefined;
  try {
    return MoverLine.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}
