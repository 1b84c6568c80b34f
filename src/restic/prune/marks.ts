import { randomBytes } from 'node:crypto';
import { canonicalJson, type ObjectStore } from '../../storage/index.ts';
import { damaged, isId } from '../format/index.ts';

/** A file `prune/<time>-<rand>.json` (`layout.md`): since when packs and export indexes are referred to by nothing. */
export interface Mark {
  readonly key: string;
  readonly since: Date;
  readonly packs: readonly string[];
  readonly exports: readonly string[];
}

const prefix = 'prune/';

export async function loadMarks(store: ObjectStore, signal?: AbortSignal): Promise<Mark[]> {
  const marks: Mark[] = [];
  for await (const { key } of store.list(prefix, { signal })) {
    if (key.endsWith('.json')) marks.push(parseMark(key, await store.get(key, { signal })));
  }
  return marks;
}

/** @throws {EngineError} `Damaged` */
export function parseMark(key: string, bytes: Uint8Array): Mark {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch (cause) {
    throw damaged(key, 'it is no valid JSON', cause);
  }
  if (typeof value !== 'object' || value === null) throw damaged(key, 'it is no object');
  const { version, since, packs, exports = [] } = value as Readonly<Record<string, unknown>>;
  if (version !== 1) throw damaged(key, 'its version is unknown');
  const time = typeof since === 'string' ? new Date(since) : new Date(NaN);
  if (Number.isNaN(time.getTime()) || !areIds(packs) || !areIds(exports)) throw damaged(key, 'it does not say what was marked, and since when');
  return { key, since: time, packs, exports };
}

function areIds(value: unknown): value is string[] {
  return Array.isArray(value) && value.every(isId);
}

/** One file for what was seen to be referred to by nothing at one time. */
export async function saveMark(store: ObjectStore, since: Date, { packs, exports }: Pick<Mark, 'packs' | 'exports'>, signal?: AbortSignal): Promise<void> {
  const time = since.toISOString();
  const key = `${prefix}${time.replaceAll(/[-:.]/g, '')}-${randomBytes(4).toString('hex')}.json`;
  await store.put(key, canonicalJson({ version: 1, since: time, packs: packs.toSorted(), ...(exports.length === 0 ? {} : { exports: exports.toSorted() }) }), { ifAbsent: true, signal });
}

export interface Due {
  /** Marked for long enough. */
  readonly remove: readonly string[];
  /** Not marked yet. */
  readonly mark: readonly string[];
  /** Marked, and their time has not come. */
  readonly wait: readonly string[];
}

/** Pure: what is to happen to packs, or to exports, that nothing refers to. One that is referred to again loses its mark. */
export function decideDue(kind: 'packs' | 'exports', unreferenced: Iterable<string>, marks: readonly Mark[], now: Date, graceMs: number): Due {
  const all = new Set(unreferenced);
  const since = new Map<string, number>();
  for (const mark of marks) {
    for (const id of mark[kind]) if (all.has(id)) since.set(id, Math.min(since.get(id) ?? Infinity, mark.since.getTime()));
  }
  const remove: string[] = [];
  const mark: string[] = [];
  const wait: string[] = [];
  for (const id of all) {
    const markedAt = since.get(id) ?? (graceMs <= 0 ? -Infinity : undefined);
    if (markedAt === undefined) mark.push(id);
    else if (markedAt + graceMs <= now.getTime()) remove.push(id);
    else wait.push(id);
  }
  return { remove, mark, wait };
}

/** Pure: the marks that have nothing more to say once what is due is gone. */
export function spentMarks(marks: readonly Mark[], packs: Pick<Due, 'wait'>, exports: Pick<Due, 'wait'>): string[] {
  const waiting = { packs: new Set(packs.wait), exports: new Set(exports.wait) };
  return marks.filter((mark) => !mark.packs.some((id) => waiting.packs.has(id)) && !mark.exports.some((id) => waiting.exports.has(id))).map(({ key }) => key);
}
