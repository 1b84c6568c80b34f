/**
 * Builds a directory tree from a seed, with everything that a backup must keep: special files, odd names, owners, times, extended
 * attributes. `node test/support/seeded-tree.ts DIR --seed 7 --files 5000` makes one by hand. As root it is complete; an ordinary user
 * gets the same tree without what the kernel refuses him.
 */
import { mkdirSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { byteString, byteStringFromBytes, byteStringFromText, type ByteString } from '../../src/restic/format/byte-string.ts';
import { O_DIRECTORY, AT_FDCWD } from '../../src/restic/fs/libc-constants.ts';
import { openLibc, type Libc } from '../../src/restic/fs/libc.ts';
import { seededRandom, type SeededRandom } from './seeded-random.ts';
import { TreeWriter } from './tree-writer.ts';
import { buildNastyCorner } from './nasty-corner.ts';

export interface SeededTree {
  readonly seed: number;
  /** Ordinary files beside the nasty corner; 200 unless set. */
  readonly files?: number;
  /** Entries of the crowded directory; 0 unless set, 12,000 for the nastiest. */
  readonly crowd?: number;
  /** Special files, odd names, strange times and the like; on unless set. */
  readonly nasty?: boolean;
  /** Also what restic itself cannot keep (see `buildNastyCorner`); off unless set. */
  readonly beyondRestic?: boolean;
  /** Average size of an ordinary file, bytes; 6 KiB unless set. */
  readonly fileSize?: number;
}

export interface BuiltTree {
  readonly files: number;
  readonly bytes: number;
}

/** Fills `directory`, which is made where it is missing. */
export function buildTree(directory: string, tree: SeededTree): BuiltTree {
  mkdirSync(directory, { recursive: true });
  const libc = openLibc();
  const root = libc.openAt(AT_FDCWD, byteStringFromText(directory), O_DIRECTORY);
  try {
    const writer = new TreeWriter(libc, process.geteuid?.() === 0);
    const random = seededRandom(tree.seed);
    buildFiles(writer, libc, root, random, tree);
    if ((tree.crowd ?? 0) > 0) buildCrowd(writer, root, random, tree.crowd ?? 0);
    if (tree.nasty !== false) buildNastyCorner(writer, libc, root, random, tree.beyondRestic ?? false);
    return { files: writer.files, bytes: writer.bytes };
  } finally {
    libc.close(root);
  }
}

/** A tree like a source checkout: some forty files to a directory, three levels, sizes spread around the average. */
function buildFiles(writer: TreeWriter, libc: Libc, root: number, random: SeededRandom, tree: SeededTree): void {
  const { files = 200, fileSize = 6 * 1024 } = tree;
  const top = writer.directory(root, byteString('files'));
  let left = files;
  for (let module = 0; left > 0; module++) {
    const moduleDescriptor = writer.directory(top, byteString(`module-${String(module).padStart(3, '0')}`));
    for (let part = 0; part < 10 && left > 0; part++) {
      const name = byteString(`part-${String(part)}`);
      const descriptor = writer.directory(moduleDescriptor, name);
      for (let i = 0; i < 40 && left > 0; i++, left--) writeOrdinaryFile(writer, descriptor, random, i, fileSize);
      writer.seal(moduleDescriptor, name, descriptor, random);
    }
    libc.close(moduleDescriptor);
  }
  libc.close(top);
}

function writeOrdinaryFile(writer: TreeWriter, at: number, random: SeededRandom, number: number, fileSize: number): void {
  const size = Math.floor(fileSize * 2 * random.next() ** 2 * 1.5);
  const isText = random.next() < 0.8;
  const name = byteString(`file-${String(number)}.${isText ? 'ts' : 'bin'}`);
  writer.file(at, name, isText ? random.text(size) : random.bytes(size));
  writer.dress(at, name, random);
}

function buildCrowd(writer: TreeWriter, root: number, random: SeededRandom, entries: number): void {
  const name = byteString('crowd');
  const descriptor = writer.directory(root, name);
  for (let i = 0; i < entries; i++) writer.file(descriptor, crowdName(random, i), i % 100 === 0 ? random.bytes(100) : Buffer.alloc(0));
  writer.seal(root, name, descriptor, random);
}

function crowdName(random: SeededRandom, number: number): ByteString {
  const stem = `${String(number)}-${'n'.repeat(random.below(40))}`;
  return number % 50 === 0 ? byteStringFromBytes(Buffer.concat([Buffer.from(stem), Buffer.from([0xff, 0xfe, 0x80 + (number % 64)])])) : byteString(stem);
}

if (import.meta.main) {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: { seed: { type: 'string' }, files: { type: 'string' }, crowd: { type: 'string' }, plain: { type: 'boolean' } },
  });
  const [directory] = positionals;
  if (directory === undefined) {
    process.stderr.write('usage: node test/support/seeded-tree.ts DIR [--seed N] [--files N] [--crowd N] [--plain]\n');
    process.exit(2);
  }
  const built = buildTree(directory, {
    seed: Number(values.seed ?? 1),
    files: Number(values.files ?? 200),
    crowd: Number(values.crowd ?? 0),
    nasty: values.plain !== true,
  });
  process.stdout.write(`${JSON.stringify({ directory, ...built })}\n`);
}
