import { randomBytes } from 'node:crypto';
import { canonicalJson, type ObjectStore } from '../../storage/index.ts';
import { damaged, isId } from '../format/index.ts';

/** A file `prune/<time>-<rand>.json` (`layout.md`): since when packs are referred to by nothing. */
export interface Mark {
  readonly key: string;
  readonly since: Date;
  readonly packs: readonly string[];
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
  const { version, since, packs } = value as Readonly<Record<string, unknown>>;
  if (version !== 1) throw damaged(key, 'its version is unknown');
  const time = typeof since === 'string' ? new Date(since) : new Date(NaN);
  if (Number.isNaN(time.getTime()) || !Array.isArray(packs) || !packs.every(isId)) throw damaged(key, 'it does not say what was marked, and since when');
  return { key, since: time, packs };
}

export async function saveMark(store: ObjectStore, since: Date, packs: readonly string[], signal?: AbortSignal): Promise<void> {
  const time = since.toISOString();
  const key = `${prefix}${time.replaceAll(/[-:.]/g, '')}-${randomBytes(4).toString('hex')}.json`;
  await store.put(key, canonicalJson({ version: 1, since: time, packs: [...packs].sort() }), { ifAbsent: true, signal });
}

export interface Due {
  /** Marked for long enough. */
  readonly remove: readonly string[];
  /** Not marked yet. */
  readonly mark: readonly string[];
  /** Marked, and their time has not come. */
  readonly wait: readonly string[];
  /** Marks that have nothing more to say once `remove` is gone. */
  readonly spentMarks: readonly string[];
}

/** Pure: what is to happen to packs that nothing refers to. A pack that is referred to again loses its mark. */
export function decideDue(unreferenced: Iterable<string>, marks: readonly Mark[], now: Date, graceMs: number): Due {
  const all = new Set(unreferenced);
  const since = new Map<string, number>();
  for (const mark of marks) {
    for (const pack of mark.packs) if (all.has(pack)) since.set(pack, Math.min(since.get(pack) ?? Infinity, mark.since.getTime()));
  }
  const remove: string[] = [];
  const mark: string[] = [];
  const wait: string[] = [];
  for (const pack of all) {
    const markedAt = since.get(pack) ?? (graceMs <= 0 ? -Infinity : undefined);
    if (markedAt === undefined) mark.push(pack);
    else if (markedAt + graceMs <= now.getTime()) remove.push(pack);
    else wait.push(pack);
  }
  const waiting = new Set(wait);
  const spentMarks = marks.filter(({ packs }) => !packs.some((pack) => waiting.has(pack))).map(({ key }) => key);
  return { remove, mark, wait, spentMarks };
}
