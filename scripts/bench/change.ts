import { closeSync, openSync, readdirSync, statSync, utimesSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { fillDatabasePages } from './data.ts';
import type { Random } from './random.ts';

/** Changes a thousand of the small files and 1% of the database in place, the same ones for every peer of a round. */
export function changeSmall(root: string, random: Random): void {
  const files = readdirSync(root, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  for (let i = 0; i < 1000; i += 1) {
    const entry = random.pick(files);
    const path = join(entry.parentPath, entry.name);
    writeFileSync(path, `${String(random.word())}\n`, { flag: 'a' });
  }
}

export function changeBig(root: string, random: Random): void {
  const path = join(root, 'database.sqlite');
  const { size } = statSync(path);
  const descriptor = openSync(path, 'r+');
  // Databases write pages that lie together: sixteen stretches.
  const stretch = Buffer.alloc(Math.floor(size / 100 / 16 / 4096) * 4096);
  for (let i = 0; i < 16; i += 1) {
    fillDatabasePages(stretch, random);
    writeSync(descriptor, stretch, 0, stretch.length, Math.floor(random.below(size - stretch.length) / 4096) * 4096);
  }
  closeSync(descriptor);
  utimesSync(path, new Date(), new Date());
}
