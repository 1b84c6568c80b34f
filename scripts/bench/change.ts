/** What changes between two backups: the same for every program and every round, and taken back afterwards, so that no run measures another's data. */
import { appendFileSync, closeSync, lstatSync, openSync, readdirSync, readSync, truncateSync, utimesSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { markChanged, markWhole, sparseOffset, sparseStretchBytes, type DataName } from './data.ts';
import { Random } from './random.ts';
import { fillDatabasePages } from './text.ts';

/** Takes one change back: content, length and time of modification. */
type Undo = () => void;

/** A thousand of the small and tiny files. */
const changedFiles = 1000;
const databaseStretches = 16;

/**
 * @param nth - which change, from 0; different ones touch different places
 * @param scale - that of the data
 */
export function change(name: DataName, directory: string, nth: number, scale: number): Undo {
  // A run that is killed in between leaves no changed data behind under the name of the unchanged.
  markChanged(directory);
  const undos = changes[name](directory, new Random(7 + nth), scale);
  return () => {
    for (const undo of undos.reverse()) undo();
    markWhole(directory);
  };
}

const changes: Readonly<Record<DataName, (root: string, random: Random, scale: number) => Undo[]>> = {
  small: (root, random, scale) => appendToFiles(root, random, changedFiles * scale),
  big: (root, random) => changeDatabase(join(root, 'database.sqlite'), random),
  mixed: (root, random, scale) => [
    ...appendToFiles(join(root, 'site'), random, (changedFiles / 4) * scale),
    ...changeDatabase(join(root, 'database.sqlite'), random),
    ...append(join(root, 'log', 'access.log'), `2026-03-30T10:00:00Z GET /${random.word()} 200\n`.repeat(2000)),
  ],
  tiny: (root, random, scale) => appendToFiles(root, random, changedFiles * scale),
  million: (root, random, scale) => appendToFiles(root, random, changedFiles * scale),
  sparse(root, random) {
    const path = join(root, 'disk.img');
    return overwrite(path, sparseOffset(lstatSync(path).size, random.below(16)), random.fill(Buffer.alloc(sparseStretchBytes)));
  },
};

function appendToFiles(root: string, random: Random, count: number): Undo[] {
  const files = readdirSync(root, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  // The order in which a directory is read is the file system's own.
  const paths = files.map((entry) => join(entry.parentPath, entry.name)).sort();
  return Array.from({ length: Math.ceil(count) }, () => append(random.pick(paths), `${random.word()}\n`)).flat();
}

/** One percent of it in place. Databases write pages that lie together: sixteen stretches. */
function changeDatabase(path: string, random: Random): Undo[] {
  const { size } = lstatSync(path);
  const length = Math.max(1, Math.floor(size / 100 / databaseStretches / 4096)) * 4096;
  return Array.from({ length: databaseStretches }, () => {
    const stretch = Buffer.alloc(length);
    fillDatabasePages(stretch, random);
    return overwrite(path, Math.floor(random.below(size - length) / 4096) * 4096, stretch);
  }).flat();
}

function append(path: string, text: string): Undo[] {
  const { size, atime, mtime } = lstatSync(path);
  appendFileSync(path, text);
  return [
    () => {
      truncateSync(path, size);
      utimesSync(path, atime, mtime);
    },
  ];
}

function overwrite(path: string, offset: number, bytes: Buffer): Undo[] {
  const { atime, mtime } = lstatSync(path);
  const before = Buffer.alloc(bytes.length);
  const descriptor = openSync(path, 'r+');
  readSync(descriptor, before, 0, before.length, offset);
  writeSync(descriptor, bytes, 0, bytes.length, offset);
  closeSync(descriptor);
  return [
    () => {
      const again = openSync(path, 'r+');
      writeSync(again, before, 0, before.length, offset);
      closeSync(again);
      utimesSync(path, atime, mtime);
    },
  ];
}
