import { EngineError } from '../errors.ts';
import { hexOfKey } from '../format/index.ts';
import { listSnapshots, type OpenRepository, type TableIndex } from '../repository/index.ts';
import type { DuplicateFacts, PackFacts, PruneFacts } from './plan.ts';
import { findUsedBlobs, type UsedBlobs } from './used-blobs.ts';

export interface Observed extends PruneFacts {
  readonly index: TableIndex;
  readonly used: UsedBlobs;
  /** Packs that an index names, that are not there, and that nothing needs. */
  readonly absent: readonly string[];
}

interface Counts {
  onlyHere: number;
  onlyHereBytes: number;
  unusedBytes: number;
}

/**
 * Gathers what `decidePacks` needs. Refuses a repository that lacks something: pruning it would make the loss worse.
 * @throws {EngineError} `Damaged`
 */
export async function observePacks(repository: OpenRepository, signal?: AbortSignal): Promise<Observed> {
  const snapshots = await listSnapshots(repository, signal);
  const index = await repository.loadIndex({ reload: true, signal });
  const used = await findUsedBlobs(repository, index, snapshots.map(({ tree }) => tree), { signal });
  const { counts, duplicates } = countBlobs(index, used);
  const sizes = new Map<string, number>();
  for await (const { id, size } of repository.listFiles('data', signal)) sizes.set(id, size);
  return { ...matchPacks(index, counts, duplicates, sizes), index, used };
}

/** Sorts every blob that the index places into used here, used here and elsewhere, or unused. */
function countBlobs(index: TableIndex, used: UsedBlobs): { counts: Counts[]; duplicates: Map<string, { bytes: number; packs: number[] }> } {
  const counts: Counts[] = Array.from({ length: index.packCount }, () => ({ onlyHere: 0, onlyHereBytes: 0, unusedBytes: 0 }));
  const duplicates = new Map<string, { bytes: number; packs: number[] }>();
  let found = 0;
  index.table.forEach((type, key, place) => {
    const count = counts[place.pack];
    if (count === undefined) return;
    if (!used.table.has(type, key)) {
      count.unusedBytes += place.length;
      return;
    }
    const first = used.table.find(type, key);
    if (first === undefined) {
      used.table.place(type, key, place);
      count.onlyHere++;
      count.onlyHereBytes += place.length;
      found++;
      return;
    }
    const name = `${type} ${hexOfKey(key)}`;
    const known = duplicates.get(name);
    if (known === undefined) {
      duplicates.set(name, { bytes: first.length, packs: [first.pack, place.pack] });
      const firstCount = counts[first.pack];
      if (firstCount !== undefined) {
        firstCount.onlyHere--;
        firstCount.onlyHereBytes -= first.length;
      }
    } else {
      known.packs.push(place.pack);
    }
  });
  if (found < used.size) refuse(`${String(used.size - found)} blobs that snapshots need are in no index file`);
  return { counts, duplicates };
}

function matchPacks(index: TableIndex, counts: readonly Counts[], duplicates: ReadonlyMap<string, DuplicateFacts>, sizes: ReadonlyMap<string, number>): PruneFacts & { absent: string[] } {
  const expected = index.sizesOf(() => true);
  const packs: PackFacts[] = [];
  const newIndex = new Map<number, number>();
  const absent: string[] = [];
  for (const [number, count] of counts.entries()) {
    const id = index.packIdOf(number);
    const size = sizes.get(id);
    if (size === undefined) {
      if (count.onlyHere > 0) refuse(`pack ${id}, which snapshots need, is missing`);
      absent.push(id);
      continue;
    }
    if (count.onlyHere > 0 && size !== expected.get(number)) refuse(`pack ${id}, which snapshots need, has ${String(size)} bytes instead of ${String(expected.get(number) ?? 0)}`);
    newIndex.set(number, packs.push({ id, size, ...count }) - 1);
  }
  const kept = [...duplicates.values()].map(({ bytes, packs: numbers }) => ({ bytes, packs: numbers.flatMap((number) => newIndex.get(number) ?? []) }));
  if (kept.some((duplicate) => duplicate.packs.length === 0)) refuse('a blob that snapshots need lies only in packs that are missing');
  const unreferenced = Array.from(sizes, ([id, size]) => ({ id, size })).filter(({ id }) => !index.hasPack(id));
  return { packs, duplicates: kept, unreferenced, absent };
}

function refuse(why: string): never {
  throw new EngineError('Damaged', `Nothing was pruned: ${why}. Run \`check\` to see what is affected, and bring the missing objects back from the other data center first.`);
}
