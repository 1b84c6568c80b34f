// Everything that the driver keeps: three shelves in one folder, and turns, since two calls about one thing must not run
// at once.
import { join } from 'node:path';
import { z } from 'zod';
import { ContentSource } from './messages.ts';
import { Shelf } from './shelf.ts';

export const Volume = z.object({
  id: z.string(),
  name: z.string(),
  capacityBytes: z.number(),
  mode: z.enum(['block', 'mount']),
  source: ContentSource.optional(),
});
export type Volume = z.infer<typeof Volume>;

export const Snapshot = z.object({
  id: z.string(),
  name: z.string(),
  volume: z.string(),
  capacityBytes: z.number(),
  mode: z.enum(['block', 'mount']),
  /** Milliseconds since 1970. */
  takenAt: z.number(),
  /** A slow storage's snapshot is there before it may be used. */
  readyAt: z.number(),
  group: z.string().optional(),
});
export type Snapshot = z.infer<typeof Snapshot>;

export const Group = z.object({ id: z.string(), name: z.string(), volumes: z.array(z.string()), takenAt: z.number() });
export type Group = z.infer<typeof Group>;

/** The file that stands for a block volume's device. */
export const DISK = 'disk';

export class Storage {
  readonly volumes: Shelf<Volume>;
  readonly snapshots: Shelf<Snapshot>;
  readonly groups: Shelf<Group>;
  readonly directory: string;
  #last: Promise<unknown> = Promise.resolve();

  constructor(directory: string) {
    this.directory = directory;
    this.volumes = new Shelf(directory, 'volumes', Volume);
    this.snapshots = new Shelf(directory, 'snapshots', Snapshot);
    this.groups = new Shelf(directory, 'groups', Group);
  }

  async open(): Promise<void> {
    for (const shelf of [this.volumes, this.snapshots, this.groups]) await shelf.open();
  }

  /** Runs changes one after another. Tests' volumes are small, so nobody waits long. */
  inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(work, work);
    this.#last = turn.catch(() => undefined);
    return turn;
  }

  /** Where a volume's bytes are, as `/proc/<pid>/mountinfo` ends it wherever this folder is mounted. */
  mountedRootOf(volume: string): string {
    return join('/volumes', volume, 'content');
  }
}
