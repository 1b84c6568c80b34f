/** What is backed up: trees made from a seed instead of downloaded, alike in size and compressibility to what `docs/benchmarks.md` names. */
import { closeSync, existsSync, ftruncateSync, mkdirSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Random } from './random.ts';
import { fillDatabasePages, fillLog, sourceText, sourceWords, syllables, templates } from './text.ts';

export const dataNames = ['small', 'big', 'mixed', 'tiny', 'million', 'sparse'] as const;
export type DataName = (typeof dataNames)[number];

const MIB = 1024 * 1024;
const smallFiles = 45_191;
const smallBytes = 524 * MIB;
const databaseBytes = 436 * MIB;
const archiveBytes = 400 * MIB;
const tinyFilesInDirectory = 1000;
const sparseBytes = 2 ** 40;
export const sparseStretches = 16;
export const sparseStretchBytes = 4 * MIB;

/** Counts up when what is made from a seed changes, so that older data is not taken for it. */
const generation = 2;

/**
 * The directory that holds the data, made unless it is there.
 * @param root - where data is kept between runs
 * @param scale - a share of the full size, for trying things out
 */
export function makeData(root: string, name: DataName, seed: number, scale = 1): string {
  const directory = join(root, `${name}-${generation}-${seed}-${scale}`);
  if (existsSync(whole(directory))) return directory;
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  makers[name](directory, new Random(seed + dataNames.indexOf(name)), scale);
  markWhole(directory);
  return directory;
}

/** Says that data is not what its name promises: the next run makes it anew unless `markWhole` takes that back. */
export function markChanged(directory: string): void {
  rmSync(whole(directory), { force: true });
}

export function markWhole(directory: string): void {
  writeFileSync(whole(directory), '');
}

function whole(directory: string): string {
  return `${directory}.whole`;
}

const makers: Readonly<Record<DataName, (root: string, random: Random, scale: number) => void>> = {
  small: (root, random, scale) => makeSources(root, random, smallFiles * scale, smallBytes * scale),
  big(root, random, scale) {
    makeDatabase(root, random, databaseBytes * scale);
    writeInPieces(join(root, 'archive.bin'), archiveBytes * scale, (piece) => random.fill(piece));
  },
  /** What a customer's volume may hold: sources, a database, pictures that are packed already, a log. */
  mixed(root, random, scale) {
    makeSources(join(root, 'site'), random, 12_000 * scale, 140 * MIB * scale);
    makeDatabase(root, random, 150 * MIB * scale);
    for (let i = 0; i < 300 * scale; i += 1) {
      const path = join(root, 'uploads', String(2000 + random.below(26)), `picture-${i}.jpg`);
      writeInPieces(path, Math.min(random.size(400_000), 20 * MIB), (piece) => random.fill(piece));
    }
    writeInPieces(join(root, 'log', 'access.log'), 80 * MIB * scale, (piece) => fillLog(piece, random));
  },
  tiny: (root, random, scale) => makeTinyFiles(root, random, 10_000 * scale),
  million: (root, random, scale) => makeTinyFiles(root, random, 1_000_000 * scale),
  /** One file of 1 TiB with sixteen stretches of data, such as a disk image that was made large beforehand. */
  sparse(root, random, scale) {
    const size = Math.floor(sparseBytes * scale);
    const descriptor = openSync(join(root, 'disk.img'), 'w');
    const piece = Buffer.alloc(sparseStretchBytes);
    for (let i = 0; i < sparseStretches; i += 1) writeSync(descriptor, random.fill(piece), 0, piece.length, sparseOffset(size, i));
    ftruncateSync(descriptor, size);
    closeSync(descriptor);
  },
};

/** Where the n-th stretch of data of a sparse file begins, bytes. */
export function sparseOffset(size: number, n: number): number {
  return Math.floor(((size / sparseStretches) * n) / 4096) * 4096;
}

function makeTinyFiles(root: string, random: Random, count: number): void {
  let directory = root;
  for (let i = 0; i < count; i += 1) {
    const number = Math.floor(i / tinyFilesInDirectory);
    if (i % tinyFilesInDirectory === 0) {
      directory = join(root, `d${number % 40}`, String(number));
      mkdirSync(directory, { recursive: true });
    }
    writeFileSync(join(directory, `${random.pick(syllables)}-${i}`), `${i} ${random.word()} ${random.pick(templates).repeat(random.below(4))}\n`);
  }
}

function makeSources(root: string, random: Random, count: number, bytes: number): void {
  const sizes = Array.from({ length: Math.floor(count) }, () => random.size(4000));
  const scale = bytes / sizes.reduce((sum, size) => sum + size, 0);
  let directory = root;
  let words: string[] = [];
  let previous: Buffer | undefined;
  for (const [i, size] of sizes.entries()) {
    if (i % 9 === 0) {
      directory = join(root, `p${random.below(40)}`, `${random.pick(syllables)}${random.below(30)}`, `${random.pick(syllables)}${i}`);
      mkdirSync(directory, { recursive: true });
      words = sourceWords(random);
    }
    // Source trees hold many copies: vendored packages, generated files.
    const isCopy = previous !== undefined && random.below(100) < 15;
    const content: Buffer = isCopy && previous !== undefined ? previous : sourceText(random, words, Math.round(size * scale));
    writeFileSync(join(directory, `${random.pick(syllables)}-${i}.ts`), content);
    previous = content;
  }
}

function makeDatabase(root: string, random: Random, bytes: number): void {
  writeInPieces(join(root, 'database.sqlite'), Math.floor(bytes / 4096) * 4096, (piece) => fillDatabasePages(piece, random));
}

function writeInPieces(path: string, length: number, fill: (piece: Buffer) => void): void {
  mkdirSync(dirname(path), { recursive: true });
  const descriptor = openSync(path, 'w');
  const piece = Buffer.alloc(4 * MIB);
  for (let at = 0; at < length; at += piece.length) {
    fill(piece);
    writeSync(descriptor, piece, 0, Math.min(piece.length, Math.floor(length - at)));
  }
  closeSync(descriptor);
}
