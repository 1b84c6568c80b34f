import { MoverLine } from '../../api/index.ts';
import type { AttemptFacts } from '../../decide/index.ts';

type Spoken = AttemptFacts['spoken'];

/** Opens the log of a pod from its beginning. Ends with the container. */
export type OpenLog = (pod: { readonly namespace: string; readonly name: string }, signal: AbortSignal) => AsyncIterable<string>;

export interface Listener {
  /** Begins to listen to a pod, once. `tell` is called when there is news, at most every two seconds. */
  listen(pod: { readonly namespace: string; readonly name: string }, job: string, tell: () => void): void;
  /** What the mover of a Job said last. */
  spoken(job: string): Spoken;
  /** Forgets what was heard of a Job and stops listening. */
  forget(job: string): void;
}

const SILENCE: Spoken = { progress: undefined, trouble: undefined };
/** A status is written no more often than this for progress. */
const TELL_EVERY_MS = 2000;

interface Ear {
  readonly stop: AbortController;
  spoken: Spoken;
  toldAt: number;
  pending: NodeJS.Timeout | undefined;
}

/** Follows movers' logs. Best effort: what is not heard is missing in the progress and nowhere else. */
export class LogListener implements Listener {
  readonly #open: OpenLog;
  readonly #now: () => number;
  readonly #ears = new Map<string, Ear>();

  constructor(open: OpenLog, now: () => number) {
    this.#open = open;
    this.#now = now;
  }

  listen(pod: { readonly namespace: string; readonly name: string }, job: string, tell: () => void): void {
    if (this.#ears.has(job)) return;
    const ear: Ear = { stop: new AbortController(), spoken: SILENCE, toldAt: this.#now(), pending: undefined };
    this.#ears.set(job, ear);
    void this.#follow(pod, ear, tell);
  }

  spoken(job: string): Spoken {
    return this.#ears.get(job)?.spoken ?? SILENCE;
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

  async #follow(pod: { readonly namespace: string; readonly name: string }, ear: Ear, tell: () => void): Promise<void> {
    try {
      for await (const text of this.#open(pod, ear.stop.signal)) {
        const line = parseLine(text);
        if (line === undefined) continue;
        ear.spoken = heard(ear.spoken, line, this.#now());
        this.#tellSoon(ear, tell);
      }
    } catch {
      // The pod's end is seen in the pod; a log that breaks off costs progress only.
    }
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
function heard(before: Spoken, line: MoverLine, now: number): Spoken {
  if (line.type === 'trouble') return { ...before, trouble: { code: line.code, message: line.message } };
  const { filesDone, filesTotal, bytesDone, bytesTotal, bytesAdded } = line;
  const moved = before.progress === undefined || bytesDone > before.progress.bytesDone || filesDone > before.progress.filesDone;
  return { progress: { filesDone, filesTotal, bytesDone, bytesTotal, bytesAdded, at: now }, trouble: moved ? undefined : before.trouble };
}

function parseLine(text: string): MoverLine | undefined {
  if (!text.startsWith('{')) return undefined;
  try {
    return MoverLine.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}
