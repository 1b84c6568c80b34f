// Volumes, snapshots and groups on disk: a folder each, with `about.json` and `content/`. A folder appears and goes whole,
// by renaming, so that a driver killed at any line leaves nothing half made; ids are made of names, so that a repeated
// call finds what the first one made.
import { createHash, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { z } from 'zod';

const ID = /^[0-9a-f]{24}$/;

/** The id of what is called so: the same name, the same id. */
export function idOf(name: string): string {
  return createHash('sha256').update(name).digest('hex').slice(0, 24);
}

export class Shelf<T extends { readonly id: string }> {
  readonly #place: string;
  readonly #drafts: string;
  readonly #schema: z.ZodType<T>;

  constructor(directory: string, name: string, schema: z.ZodType<T>) {
    this.#place = join(directory, name);
    this.#drafts = join(directory, 'drafts');
    this.#schema = schema;
  }

  /** Makes the folders, and removes what a killed driver was making or removing. Once, before any other call. */
  async open(): Promise<void> {
    await mkdir(this.#place, { recursive: true });
    await rm(this.#drafts, { recursive: true, force: true });
    await mkdir(this.#drafts);
  }

  /** Where an item's bytes are. */
  contentOf(id: string): string {
    return join(this.#place, id, 'content');
  }

  async get(id: string): Promise<T | undefined> {
    const about = join(this.#place, id, 'about.json');
    // An id of any other shape is not ours, and must never become a path.
    if (!ID.test(id) || !existsSync(about)) return undefined;
    return this.#schema.parse(JSON.parse(await readFile(about, 'utf8')));
  }

  /** Everything, ordered by id. */
  async list(): Promise<T[]> {
    const items = await Promise.all((await readdir(this.#place)).sort().map((id) => this.get(id)));
    return items.filter((item) => item !== undefined);
  }

  /** Adds an item whose content `fill` makes. */
  async add(item: T, fill: (content: string) => Promise<void>): Promise<T> {
    const draft = join(this.#drafts, randomBytes(8).toString('hex'));
    await mkdir(join(draft, 'content'), { recursive: true });
    try {
      await fill(join(draft, 'content'));
      await writeFile(join(draft, 'about.json'), JSON.stringify(item));
      await rename(draft, join(this.#place, item.id));
    } catch (error) {
      await rm(draft, { recursive: true, force: true });
      throw error;
    }
    return item;
  }

  async remove(id: string): Promise<void> {
    if (!ID.test(id) || !existsSync(join(this.#place, id))) return;
    const draft = join(this.#drafts, randomBytes(8).toString('hex'));
    await rename(join(this.#place, id), draft);
    await rm(draft, { recursive: true, force: true });
  }
}
