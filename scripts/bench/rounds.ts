/** One set of data: every step for one program after the other, round after round, so that all see the same machine and the same data. */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { change } from './change.ts';
import type { DataName } from './data.ts';
import { measure, measureAll, saidBy, sizeBelow, type Command } from './measure.ts';
import type { Peer } from './peers.ts';
import { ours, type Run, type Sample, type Step, type StepName } from './results.ts';

/** Snapshots that are there when one of them is forgotten. */
const snapshotsAtForget = 7;

export interface RoundsOptions {
  readonly name: DataName;
  readonly source: string;
  readonly scale: number;
  readonly rounds: number;
  readonly peers: readonly Peer[];
  /**
   * A directory for repositories and restored files, emptied first and last and never in between: ext4 without a journal looks at every inode that was
   * freed in the last minutes before it gives one away, and whoever wrote files next would pay for that.
   */
  readonly workplace: string;
  readonly say: (line: string) => void;
}

interface Contestant {
  readonly peer: Peer;
  readonly place: string;
  /** The newest snapshot. */
  newest: string;
}

export type Rounds = Pick<Run, 'programs' | 'failures' | 'files' | 'bytes'>;

export async function runRounds(options: RoundsOptions): Promise<Rounds> {
  const rounds = new RoundsOf(options);
  rmSync(options.workplace, { recursive: true, force: true });
  // Whoever came first would read from the disk what all others find in memory.
  await measure(['sh', '-c', 'tar -cf - -C "$0" . | cat >/dev/null', options.source]);
  try {
    for (let round = 0; round < options.rounds; round += 1) await rounds.run(round);
  } finally {
    rmSync(options.workplace, { recursive: true, force: true });
  }
  return rounds.outcome;
}

class RoundsOf {
  readonly outcome: Rounds;
  readonly #options: RoundsOptions;

  constructor(options: RoundsOptions) {
    this.#options = options;
    this.outcome = { programs: {}, failures: {}, ...sizeBelow(options.source) };
  }

  async run(round: number): Promise<void> {
    const { peers, workplace, source, name, scale } = this.#options;
    const contestants = peers.map((peer) => ({ peer, place: join(workplace, `round-${String(round)}`, peer.name.replaceAll('|', '-')), newest: '' }));
    // Who comes first may find a colder or a quieter machine: everybody comes first in turn.
    const order = contestants.map((_, i) => contestants[(i + round) % contestants.length]!);
    await this.#each(order, async ({ peer, place }) => {
      mkdirSync(place, { recursive: true });
      for (const command of peer.prepare(place)) await measure(command, peer.env(place));
    });
    await this.#each(order, (contestant) => this.#backup(contestant, 'first'));
    await this.#each(order, (contestant) => this.#backup(contestant, 'again'));
    const undo = change(name, source, 0, scale);
    await this.#each(order, (contestant) => this.#backup(contestant, 'changed'));
    await this.#each(order, (contestant) => this.#restore(contestant)).finally(undo);
    await this.#each(order, ({ peer, place }) => this.#note(peer, place, 'check', peer.snapshots && [peer.snapshots.check(place)]));
    // The others differ from the first as the changed one does, each elsewhere: what it alone needs goes when it is forgotten.
    for (let nth = 3; nth < snapshotsAtForget; nth += 1) {
      const takeBack = change(name, source, nth, scale);
      await this.#each(order, ({ peer, place }) => (peer.snapshots ? measure(peer.backup(place, source), peer.env(place)) : Promise.resolve())).finally(takeBack);
    }
    await this.#each(order, ({ peer, place, newest }) => this.#note(peer, place, 'prune', peer.snapshots?.forget(place, newest)));
  }

  async #backup(contestant: Contestant, step: 'first' | 'again' | 'changed'): Promise<void> {
    const { peer, place } = contestant;
    const before = sizeBelow(join(place, 'repository')).bytes;
    await this.#note(peer, place, step, [peer.backup(place, this.#options.source)]);
    const after = sizeBelow(join(place, 'repository')).bytes;
    if (step === 'first') this.#stepOf(peer, step).bytes.push(after);
    // A plain archive is written anew each time.
    if (step !== 'changed' || peer.snapshots === undefined) return;
    this.#stepOf(peer, step).bytes.push(after - before);
    const { output } = await measure(peer.snapshots.list(place), peer.env(place));
    contestant.newest = peer.snapshots.ids(output).at(-1) ?? '';
  }

  /** The changed state, which is what `source` still holds. */
  async #restore({ peer, place, newest }: Contestant): Promise<void> {
    const target = join(place, 'restored');
    await this.#note(peer, place, 'restore', [peer.restore(place, target, newest)]);
    const expected = sizeBelow(this.#options.source);
    const restored = sizeBelow(target);
    if (restored.files !== expected.files || restored.bytes !== expected.bytes) {
      throw new Error(`${peer.name} restored ${restored.files} files of ${restored.bytes} bytes where ${expected.files} of ${expected.bytes} were backed up`);
    }
  }

  async #note(peer: Peer, place: string, step: StepName, commands: readonly Command[] | undefined): Promise<void> {
    if (commands === undefined) return;
    // What another program left to be written would slow this one down.
    await measure(['sync']);
    const sample = await measureAll(commands, peer.env(place));
    this.#stepOf(peer, step).samples.push(sample);
    this.#options.say(describe(this.#options.name, step, peer.name, sample));
  }

  #stepOf(peer: Peer, step: StepName): Step {
    const steps = (this.outcome.programs[peer.name] ??= {});
    return (steps[step] ??= { samples: [], bytes: [], requests: [] });
  }

  /** A peer that fails is left out from there on, and named; ours must not. */
  async #each(contestants: readonly Contestant[], work: (contestant: Contestant) => Promise<unknown>): Promise<void> {
    for (const contestant of contestants) {
      const { name } = contestant.peer;
      if (this.outcome.failures[name] !== undefined) continue;
      try {
        await work(contestant);
      } catch (error) {
        if (name === ours) throw error;
        this.outcome.failures[name] = saidBy(error);
        this.#options.say(`${name} is left out from here on: ${this.outcome.failures[name]}`);
      }
    }
  }
}

export function describe(data: string, step: string, program: string, { seconds, cpuSeconds, peakMiB }: Sample): string {
  return `${data}: ${step}, ${program}: ${seconds.toFixed(2)} s, ${cpuSeconds.toFixed(2)} CPU s, ${peakMiB.toFixed(0)} MiB`;
}
