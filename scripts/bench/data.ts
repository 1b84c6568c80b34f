import { closeSync, existsSync, mkdirSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Random } from './random.ts';

/** What `benchmarks.md` measured, made from a seed instead of downloaded: sizes and compressibility are alike. */
export const smallFiles = 45_191;
export const smallBytes = 524 * 1024 * 1024;
export const databaseBytes = 436 * 1024 * 1024;
export const randomBytes = 400 * 1024 * 1024;

const syllables = ['get', 'set', 'node', 'pack', 'tree', 'read', 'list', 'find', 'user', 'item', 'path', 'size', 'load', 'key', 'sync', 'map', 'name', 'type', 'log', 'err'];
const templates = [
  'const $ = await $($, $.$);', 'if ($ === undefined) return $;', '  return $.$($);', 'export function $($: $): $ {', '}', '', '    for (const $ of $.$) {',
  '      $.$ = $ + #;', '  /** $ of the $ that $ gives, or # where it has none. */', "import { $, $ } from './$/$.ts';", '  readonly $: readonly $[];', '    throw new $($, { cause: $ });',
  '  case "$": return $($);', '// $ and $ come before $, for $ needs them.', '  expect($($)).toEqual($);', '  }, #);', '    this.$.$($, #, $);', '  $: "$",',
];

/** Makes both data sets below `root` unless they are there. */
export function makeData(root: string, seed: number): { readonly small: string; readonly big: string } {
  const small = join(root, `small-${seed}`);
  const big = join(root, `big-${seed}`);
  if (!existsSync(join(root, `done-${seed}`))) {
    rmSync(small, { recursive: true, force: true });
    rmSync(big, { recursive: true, force: true });
    makeSmall(small, new Random(seed));
    makeBig(big, new Random(seed + 1));
    writeFileSync(join(root, `done-${seed}`), '');
  }
  return { small, big };
}

export function makeSmall(root: string, random: Random, count = smallFiles, bytes = smallBytes): void {
  const sizes = Array.from({ length: count }, () => random.size(4000));
  const scale = bytes / sizes.reduce((sum, size) => sum + size, 0);
  let directory = root;
  let words: string[] = [];
  let previous: Buffer | undefined;
  for (const [i, size] of sizes.entries()) {
    if (i % 9 === 0) {
      directory = join(root, `p${random.below(40)}`, `${random.pick(syllables)}${random.below(30)}`, `${random.pick(syllables)}${i}`);
      mkdirSync(directory, { recursive: true });
      words = Array.from({ length: 150 }, () => random.pick(syllables) + random.pick(syllables) + random.pick(syllables));
    }
    // Source trees hold many copies: vendored packages, generated files.
    const isCopy = previous !== undefined && random.below(100) < 15;
    const content: Buffer = isCopy && previous !== undefined ? previous : sourceText(random, words, Math.round(size * scale));
    writeFileSync(join(directory, `${random.pick(syllables)}-${i}.ts`), content);
    previous = content;
  }
}

function sourceText(random: Random, words: readonly string[], length: number): Buffer {
  let text = '';
  while (text.length < length) {
    const line = templates[random.skewed(templates.length)]!;
    text += `${line.replace(/[$#]/g, (hole) => (hole === '#' ? String(random.below(5000)) : words[random.skewed(words.length)]!))}\n`;
  }
  return Buffer.from(text.slice(0, length));
}

export function makeBig(root: string, random: Random): void {
  mkdirSync(root, { recursive: true });
  writeInPieces(join(root, 'database.sqlite'), databaseBytes, (piece) => fillDatabasePages(piece, random));
  writeInPieces(join(root, 'archive.bin'), randomBytes, (piece) => random.fill(piece));
}

/** Pages of 4 KiB as a database has them: a header, rows of text with binary keys and numbers, free space. */
export function fillDatabasePages(piece: Buffer, random: Random): void {
  for (let page = 0; page < piece.length; page += 4096) {
    piece.fill(0, page, page + 4096);
    random.fill(piece.subarray(page, page + 64));
    let at = page + 64;
    const end = page + 3400 + random.below(600);
    while (at < end - 120) {
      random.fill(piece.subarray(at, at + 28));
      at += 28;
      for (let words = 3 + random.below(5); words > 0; words -= 1) at += piece.write(`${random.pick(syllables)}${random.pick(syllables)} `, at, 'latin1');
    }
  }
}

function writeInPieces(path: string, length: number, fill: (piece: Buffer) => void): void {
  mkdirSync(dirname(path), { recursive: true });
  const descriptor = openSync(path, 'w');
  const piece = Buffer.alloc(4 * 1024 * 1024);
  for (let at = 0; at < length; at += piece.length) {
    fill(piece);
    writeSync(descriptor, piece, 0, Math.min(piece.length, length - at));
  }
  closeSync(descriptor);
}
