import { EngineError } from '../restic/errors.ts';
import { compareKeys, type ObjectInfo, type ObjectStore } from '../storage/index.ts';
import { promisedHash } from './content-name.ts';
import { readAhead } from './read-ahead.ts';

/**
 * The parts of a repository in the order in which they are put: the target is valid at every instant, because what refers comes
 * after what it refers to. Locks, results and prune marks are not among them.
 */
const PUT_ORDER = ['keys/', 'wrappings/', 'config', 'data/', 'index/', 'exports/', 'snapshots/', 'manifests/'] as const;
/** The other way round, so that whatever a listed object refers to is in a listing that comes later. */
const LIST_ORDER = [...PUT_ORDER].reverse();

/** More than a page of S3, so that the next one is on its way while this one is compared. */
const LISTED_AHEAD = 1001;

const BESIDE_CONTENT = /^(?:config|wrappings\/first\.json|manifests\/[0-9a-f]{64}\/[1-9][0-9]*\.json)$/;

export interface CopyPlan {
  /** What the target lacks, a part after the other. */
  readonly parts: readonly (readonly ObjectInfo[])[];
  readonly objects: number;
  readonly bytes: number;
  /** Objects that the target has. */
  readonly present: number;
}

/**
 * Compares two repositories by their listings.
 * @throws {EngineError} `NoRepository`; `AlreadyInitialized` when the target is another repository; `Damaged` when an object there has
 *   another size than here.
 */
export async function planCopy(from: ObjectStore, to: ObjectStore, signal?: AbortSignal): Promise<CopyPlan> {
  await refuseOther(from, to, signal);
  const missing = new Map<string, ObjectInfo[]>();
  let present = 0;
  for (const part of LIST_ORDER) {
    const lacking: ObjectInfo[] = [];
    for await (const { object, sizeThere } of compareListings(from, to, part, signal)) {
      refuseConflict(object.key, object.size, sizeThere, to);
      if (sizeThere === undefined) lacking.push(object);
      else present += 1;
    }
    missing.set(part, lacking);
  }
  const parts = PUT_ORDER.map((part) => missing.get(part) ?? []);
  const all = parts.flat();
  return { parts, objects: all.length, bytes: all.reduce((sum, { size }) => sum + size, 0), present };
}

/**
 * Every object of a part of `from`, with its size in `to` where that has it. Both listings come in the order of keys, so neither is held: a
 * repository that was copied before costs no memory, however large it is.
 */
async function* compareListings(
  from: ObjectStore,
  to: ObjectStore,
  part: string,
  signal: AbortSignal | undefined,
): AsyncIterable<{ readonly object: ObjectInfo; readonly sizeThere: number | undefined }> {
  const there = readAhead(listed(to, part, signal), LISTED_AHEAD);
  const here = readAhead(listed(from, part, signal), LISTED_AHEAD);
  // Asked before the first answer of the other place is awaited.
  const firstThere = there.next();
  firstThere.catch(() => undefined);
  let next: IteratorResult<ObjectInfo, void> | undefined;
  try {
    for await (const object of here) {
      next ??= await firstThere;
      while (next.done !== true && compareKeys(next.value.key, object.key) < 0) next = await there.next();
      yield { object, sizeThere: next.done !== true && next.value.key === object.key ? next.value.size : undefined };
    }
  } finally {
    await there.return();
  }
}

/** Everything below the part that belongs to a repository; foreign files stay behind. */
async function* listed(store: ObjectStore, part: string, signal: AbortSignal | undefined): AsyncGenerator<ObjectInfo> {
  for await (const info of store.list(part, { signal })) {
    if (promisedHash(info.key) !== undefined || BESIDE_CONTENT.test(info.key)) yield info;
  }
}

function refuseConflict(key: string, size: number, sizeThere: number | undefined, to: ObjectStore): void {
  if (sizeThere === undefined || sizeThere === size) return;
  throw new EngineError('Damaged', `${key} has ${sizeThere} bytes in ${to.location} and ${size} in the source; one of them is damaged. Run check --read-data on both, and remove the damaged one`, {
    context: { key, location: to.location },
  });
}

async function refuseOther(from: ObjectStore, to: ObjectStore, signal: AbortSignal | undefined): Promise<void> {
  const [here, there] = await Promise.all([configOf(from, signal), configOf(to, signal)]);
  if (here === undefined) throw new EngineError('NoRepository', `there is no repository in ${from.location}: config is missing`);
  if (there !== undefined && !Buffer.from(here).equals(there)) {
    throw new EngineError('AlreadyInitialized', `${to.location} holds another repository; copy to a place of its own`);
  }
}

async function configOf(store: ObjectStore, signal: AbortSignal | undefined): Promise<Uint8Array | undefined> {
  return (await store.head('config', { signal })) === undefined ? undefined : store.get('config', { signal });
}
