import type { Random } from './random.ts';

/** What files hold: looks like source, database pages and logs, and shrinks like them. */
export const syllables = ['get', 'set', 'node', 'pack', 'tree', 'read', 'list', 'find', 'user', 'item', 'path', 'size', 'load', 'key', 'sync', 'map', 'name', 'type', 'log', 'err'];
export const templates = [
  'const $ = await $($, $.$);', 'if ($ === undefined) return $;', '  return $.$($);', 'export function $($: $): $ {', '}', '', '    for (const $ of $.$) {',
  '      $.$ = $ + #;', '  /** $ of the $ that $ gives, or # where it has none. */', "import { $, $ } from './$/$.ts';", '  readonly $: readonly $[];', '    throw new $($, { cause: $ });',
  '  case "$": return $($);', '// $ and $ come before $, for $ needs them.', '  expect($($)).toEqual($);', '  }, #);', '    this.$.$($, #, $);', '  $: "$",',
];

export function sourceWords(random: Random): string[] {
  return Array.from({ length: 150 }, () => random.pick(syllables) + random.pick(syllables) + random.pick(syllables));
}

export function sourceText(random: Random, words: readonly string[], length: number): Buffer {
  let text = '';
  while (text.length < length) {
    const line = templates[random.skewed(templates.length)]!;
    text += `${line.replace(/[$#]/g, (hole) => (hole === '#' ? String(random.below(5000)) : words[random.skewed(words.length)]!))}\n`;
  }
  return Buffer.from(text.slice(0, length));
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

export function fillLog(piece: Buffer, random: Random): void {
  let at = 0;
  while (at < piece.length) {
    const line = `2026-03-${10 + random.below(20)}T10:${10 + random.below(50)}:00Z GET /${random.pick(syllables)}/${random.below(90_000)} 200 ${random.word()}\n`;
    at += piece.write(line, at, 'latin1');
  }
}
