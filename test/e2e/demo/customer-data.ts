// The demo's customer: a tree of files with everything that is easily lost, days of work on it, and the damage.
import { appendFileSync, chmodSync, existsSync, lstatSync, mkdirSync, readdirSync, renameSync, rmSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { seededRandom } from '../../support/seeded-random.ts';
import { buildTree } from '../../support/seeded-tree.ts';
import { run } from '../../ground/run.ts';

const FILES = 5200;

export interface TreeCensus {
  readonly files: number;
  readonly directories: number;
  readonly symlinks: number;
  readonly hardLinked: number;
  readonly fifos: number;
  readonly devices: number;
  readonly setuid: number;
  readonly foreignOwners: number;
  readonly sparse: number;
  readonly bytes: number;
}

/** Fills an empty directory. */
export function makeCustomerData(directory: string, seed: number): void {
  buildTree(directory, { seed, files: FILES });
}

/** What the customer does between two backups: a page in the diary, a line in a ledger. */
export function workOneDay(directory: string, day: number): void {
  const diary = join(directory, 'diary');
  mkdirSync(diary, { recursive: true });
  writeFileSync(join(diary, `day-${day}.txt`), `Day ${day}: all is well.\n`);
  appendFileSync(join(directory, 'ledger.csv'), `${day};${day * 119};EUR\n`);
}

/** A faithful copy, made by the system's own tool, to compare with later. */
export async function copyAside(from: string, to: string): Promise<void> {
  await removeTree(to);
  await run('cp', ['--archive', from, to]);
}

/** By the system's own tool: Node's cannot remove names that are not UTF-8. */
export async function removeTree(directory: string): Promise<void> {
  await run('rm', ['-rf', directory]);
}

export interface Damage {
  readonly encrypted: number;
  readonly deleted: number;
  readonly truncated: number;
  readonly opened: number;
}

/** What ransomware and a clumsy hand do to it: contents replaced, names changed, files gone, modes opened, a note left. */
export async function damage(directory: string, seed: number): Promise<Damage> {
  const random = seededRandom(seed + 1);
  const done = { encrypted: 0, deleted: 0, truncated: 0, opened: 0 };
  for (const path of regularFiles(join(directory, 'files'))) {
    const fate = random.below(5);
    if (fate === 0) {
      writeFileSync(path, random.bytes(300));
      renameSync(path, `${path}.locked`);
      done.encrypted += 1;
    } else if (fate === 1) {
      rmSync(path);
      done.deleted += 1;
    } else if (fate === 2) {
      truncateSync(path, 0);
      done.truncated += 1;
    } else if (fate === 3) {
      chmodSync(path, 0o777);
      utimesSync(path, 0, 0);
      done.opened += 1;
    }
  }
  await removeTree(join(directory, 'nasty'));
  writeFileSync(join(directory, 'HOW_TO_GET_YOUR_FILES_BACK.txt'), 'Pay.\n');
  return done;
}

function regularFiles(directory: string): string[] {
  if (!existsSync(directory)) return [];
  return readdirSync(directory, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

/** Counts what the comparison is about. Names are bytes, for not all of them are UTF-8. */
export function census(directory: string): TreeCensus {
  const count = { files: 0, directories: 0, symlinks: 0, hardLinked: 0, fifos: 0, devices: 0, setuid: 0, foreignOwners: 0, sparse: 0, bytes: 0 };
  const visit = (path: Buffer): void => {
    const stat = lstatSync(path);
    if (stat.uid !== 0) count.foreignOwners += 1;
    if ((stat.mode & 0o4000) !== 0) count.setuid += 1;
    if (stat.isSymbolicLink()) count.symlinks += 1;
    else if (stat.isFIFO()) count.fifos += 1;
    else if (stat.isBlockDevice() || stat.isCharacterDevice()) count.devices += 1;
    else if (stat.isFile()) {
      count.files += 1;
      count.bytes += stat.size;
      if (stat.nlink > 1) count.hardLinked += 1;
      if (stat.blocks * 512 < stat.size && stat.size > 65_536) count.sparse += 1;
    } else if (stat.isDirectory()) {
      count.directories += 1;
      for (const name of readdirSync(path, { encoding: 'buffer' })) visit(Buffer.concat([path, Buffer.from('/'), name]));
    }
  };
  visit(Buffer.from(directory));
  return count;
}
