/**
 * restic's patterns for `--exclude` and `--include`: parts as in Go's `filepath.Match` (`*`, `?`, `[…]`, `\`), and `**` for any number of directories.
 * A pattern with a leading `/` starts at the root; another one starts anywhere. What lies below a match matches too. `!` takes back what earlier
 * patterns matched. Matching takes time linear in the path for each part: a pattern can come from a stranger.
 */
import { EngineError } from '../errors.ts';
import { textOf, type ByteString } from '../format/byte-string.ts';

export interface Globs {
  /** @param path - as the snapshot shows it, absolute */
  matches(path: ByteString): boolean;
  /** Whether something below a directory could match although the directory does not. */
  mayMatchBelow(path: ByteString): boolean;
  readonly isEmpty: boolean;
}

type Token = { readonly kind: 'star' } | { readonly kind: 'any' } | { readonly kind: 'class'; readonly negated: boolean; readonly ranges: readonly (readonly [string, string])[] } | string;
type Part = '**' | readonly Token[];
interface Pattern {
  readonly parts: readonly Part[];
  readonly isAnchored: boolean;
  readonly isNegated: boolean;
}

/** @throws {EngineError} for a malformed pattern */
export function compileGlobs(patterns: readonly string[]): Globs {
  const compiled = patterns.filter((pattern) => pattern !== '').map(compile);
  return {
    isEmpty: compiled.length === 0,
    matches(path) {
      const parts = partsOf(path);
      let matched = false;
      for (const pattern of compiled) {
        if (pattern.isNegated === matched && matchesAnywhere(pattern, parts)) matched = !pattern.isNegated;
      }
      return matched;
    },
    mayMatchBelow(path) {
      const parts = partsOf(path);
      return compiled.some((pattern) => !pattern.isNegated && (!pattern.isAnchored || isPrefixOf(pattern.parts, parts)));
    },
  };
}

function partsOf(path: ByteString): readonly string[] {
  return textOf(path).split('/').filter((part) => part !== '');
}

function compile(pattern: string): Pattern {
  const isNegated = pattern.startsWith('!');
  const body = isNegated ? pattern.slice(1) : pattern;
  const parts = body.split('/').filter((part) => part !== '' && part !== '.');
  return { isNegated, isAnchored: body.startsWith('/'), parts: parts.map((part) => (part === '**' ? part : tokens(part, pattern))) };
}

function tokens(part: string, pattern: string): readonly Token[] {
  const characters = Array.from(part);
  const result: Token[] = [];
  for (let i = 0; i < characters.length; i++) {
    const character = characters[i] ?? '';
    if (character === '*') result.push({ kind: 'star' });
    else if (character === '?') result.push({ kind: 'any' });
    else if (character === '[') i = readClass(characters, i + 1, result, pattern);
    else if (character === '\\') result.push(characters[++i] ?? malformed(pattern));
    else result.push(character);
  }
  return result;
}

/** Reads `…]` and returns the index of the bracket. */
function readClass(characters: readonly string[], start: number, result: Token[], pattern: string): number {
  let i = start;
  const negated = characters[i] === '^';
  if (negated) i++;
  const ranges: (readonly [string, string])[] = [];
  function one(): string {
    const character = characters[i++] ?? malformed(pattern);
    return character === '\\' ? (characters[i++] ?? malformed(pattern)) : character;
  }
  while (characters[i] !== ']' || ranges.length === 0) {
    const low = one();
    let high = low;
    if (characters[i] === '-') {
      i++;
      high = one();
    }
    ranges.push([low, high]);
  }
  result.push({ kind: 'class', negated, ranges });
  return i;
}

function malformed(pattern: string): never {
  throw new EngineError('Unexpected', `The pattern "${pattern}" is malformed: close its bracket, or end it with something after the backslash.`, { context: { pattern } });
}

function matchesAnywhere({ parts, isAnchored }: Pattern, path: readonly string[]): boolean {
  const last = isAnchored ? 0 : path.length;
  for (let start = 0; start <= last; start++) if (matchesFrom(parts, path, start)) return true;
  return false;
}

/** Whether the pattern matches a run of parts that begins at `start`. Keeps the set of places reached, so `**` costs nothing more. */
function matchesFrom(parts: readonly Part[], path: readonly string[], start: number): boolean {
  let reached = new Set([start]);
  for (const part of parts) {
    const next = new Set<number>();
    for (const at of reached) {
      if (part === '**') for (let to = at; to <= path.length; to++) next.add(to);
      else if (at < path.length && matchesPart(part, path[at] ?? '')) next.add(at + 1);
    }
    if (next.size === 0) return false;
    reached = next;
  }
  return true;
}

/** Whether the path is as far as it goes what an anchored pattern asks for. */
function isPrefixOf(parts: readonly Part[], path: readonly string[]): boolean {
  for (const [index, name] of path.entries()) {
    const part = parts[index];
    if (part === undefined || part === '**') return true;
    if (!matchesPart(part, name)) return false;
  }
  return true;
}

/** The classic walk with one point of return: the latest star. */
function matchesPart(pattern: readonly Token[], name: string): boolean {
  const characters = Array.from(name);
  let [p, n, starAt, retryAt] = [0, 0, -1, 0];
  while (n < characters.length) {
    const token = pattern[p];
    if (token !== undefined && typeof token === 'object' && token.kind === 'star') {
      [starAt, retryAt] = [p++, n];
    } else if (token !== undefined && matchesToken(token, characters[n] ?? '')) {
      p++;
      n++;
    } else if (starAt >= 0) {
      p = starAt + 1;
      n = ++retryAt;
    } else {
      return false;
    }
  }
  while (isStar(pattern[p])) p++;
  return p === pattern.length;
}

function isStar(token: Token | undefined): boolean {
  return typeof token === 'object' && token.kind === 'star';
}

function matchesToken(token: Token, character: string): boolean {
  if (typeof token === 'string') return token === character;
  if (token.kind === 'class') return token.negated !== token.ranges.some(([low, high]) => compare(low, character) <= 0 && compare(character, high) <= 0);
  return token.kind === 'any';
}

function compare(one: string, other: string): number {
  return (one.codePointAt(0) ?? 0) - (other.codePointAt(0) ?? 0);
}
