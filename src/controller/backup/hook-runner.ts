import type { HookRunFact, HookStart } from '../../decide/index.ts';
import type { ExecCommand } from '../mover/index.ts';

interface Run {
  readonly stop: AbortController;
  fact: HookRunFact;
}

/**
 * Runs hooks beside the reconciler, one for each backup: a command may take minutes, and a worker is not held for it. What it knows goes with the
 * process; the status says what is owed, so the next process runs it again.
 */
export class HookRunner {
  readonly #exec: ExecCommand;
  readonly #now: () => number;
  readonly #runs = new Map<string, Run>();

  constructor(exec: ExecCommand, now: () => number) {
    this.#exec = exec;
    this.#now = now;
  }

  /** The last run for a backup. */
  seen(uid: string): HookRunFact | undefined {
    return this.#runs.get(uid)?.fact;
  }

  /** Begins one, unless that very one runs. `tell` is called when it has ended. */
  start(uid: string, namespace: string, start: HookStart, tell: () => void): void {
    const before = this.#runs.get(uid);
    if (before?.fact.state === 'running' && before.fact.id === start.id) return;
    before?.stop.abort(new Error('another hook of the backup began'));
    const run: Run = { stop: new AbortController(), fact: { id: start.id, state: 'running' } };
    this.#runs.set(uid, run);
    void this.#run(namespace, start, run.stop.signal).then((failures) => {
      run.fact = { id: start.id, state: 'ended', ok: failures.length === 0, message: failures.join(' '), at: this.#now() };
      tell();
    });
  }

  forget(uid: string): void {
    this.#runs.get(uid)?.stop.abort(new Error('the backup is gone'));
    this.#runs.delete(uid);
  }

  /** @returns what failed, in words */
  async #run(namespace: string, { places, command, timeoutMs }: HookStart, stop: AbortSignal): Promise<readonly string[]> {
    const signal = AbortSignal.any([stop, AbortSignal.timeout(timeoutMs)]);
    const results = await Promise.all(
      places.map(async ({ pod, container }) => {
        try {
          const { ok, message, output } = await this.#exec({ namespace, pod, container }, command, signal);
          return ok ? undefined : `In pod ${pod}, container ${container}, ${message}${output === '' ? '.' : `: ${output}`}`;
        } catch (error) {
          return `In pod ${pod}: ${error instanceof Error ? error.message : String(error)}.`;
        }
      }),
    );
    return results.filter((failure) => failure !== undefined);
  }
}
