import type { Progress } from '../contract.ts';
import { EngineError } from '../errors.ts';
import { listSnapshots, type BlobTable, type OpenRepository, type TableIndex } from '../repository/index.ts';
import type { BlobType } from '../format/index.ts';
import type { DuplicateFacts, PackFacts, PruneFacts } from './plan.ts';
import { findUsedBlobs, type UsedBlobs } from './used-blobs.ts';

export interface Observed extends PruneFacts {
  readonly index: TableIndex;
  readonly used: UsedBlobs;
  /** Packs that an index names, that are not there or not whole, and that nothing needs. */
  readonly absent: readonly string[];
}

interface DuplicateBlob {
  bytes: number;
  readonly packs: number[];
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
export async function observePacks(repository: OpenRepository, signal?: AbortSignal, onProgress?: (progress: Progress) => void): Promise<Observed> {
  const snapshots = await listSnapshots(repository, signal);
  const index = await repository.loadIndex({ reload: true, signal });
  let directories = 0;
  const onBlob = (type: BlobType): void => {
    if (type === 'tree') onProgress?.({ unit: 'directory', filesDone: (directories += 1), bytesDone: 0, bytesAdded: 0 });
  };
  const used = await findUsedBlobs(repository, index, snapshots.map(({ tree }) => tree), { signal, onBlob });
  const { counts, duplicates } = countBlobs(index, used);
  const sizes = new Map<string, number>();
  for await (const { id, size } of repository.listFiles('data', signal)) sizes.set(id, size);
  return { ...matchPacks(index, counts, duplicates, sizes), index, used };
}

/** Sorts every blob that the index places into used here, used here and elsewhere, or unused. */
function countBlobs(index: TableIndex, used: UsedBlobs): { counts: Counts[]; duplicates: Map<number, DuplicateBlob> } {
  const { table } = index;
  const counts: Counts[] = Array.from({ length: index.packCount }, () => ({ onlyHere: 0, onlyHereBytes: 0, unusedBytes: 0 }));
  const duplicates = new Map<number, DuplicateBlob>();
  table.forEachSlot((type, words, at, slot, { pack, length }) => {
    const count = counts[pack];
    if (count === undefined) return;
    const first = table.slotOf(type, words.subarray(at, at + 8));
    if (!used.hasSlot(first)) {
      count.unusedBytes += length;
    } else if (first === slot) {
      count.onlyHere++;
      count.onlyHereBytes += length;
    } else {
      noteDuplicate(duplicates, first, pack);
    }
  });
  if (duplicates.size > 0) takeFirstOnes(table, counts, duplicates);
  if (used.missing.size > 0) refuse(`${String(used.missing.size)} blobs that snapshots need are in no index file`);
  return { counts, duplicates };
}

function noteDuplicate(duplicates: Map<number, DuplicateBlob>, first: number, pack: number): void {
  const known = duplicates.get(first);
  if (known === undefined) duplicates.set(first, { bytes: 0, packs: [pack] });
  else known.packs.push(pack);
}

/** The first place of a blob that lies elsewhere too was counted as its only one. */
function takeFirstOnes(table: BlobTable, counts: readonly Counts[], duplicates: ReadonlyMap<number, DuplicateBlob>): void {
  table.forEachSlot((_type, _words, _at, slot, { pack, length }) => {
    const duplicate = duplicates.get(slot);
    const count = counts[pack];
    if (duplicate === undefined || count === undefined) return;
    duplicate.bytes = length;
    duplicate.packs.unshift(pack);
    count.onlyHere--;
    count.onlyHereBytes -= length;
  });
}

function matchPacks(index: TableIndex, counts: readonly Counts[], duplicates: ReadonlyMap<number, DuplicateFacts>, sizes: ReadonlyMap<string, number>): PruneFacts & { absent: string[] } {
  const expected = index.sizesOf(() => true);
  const packs: PackFacts[] = [];
  const newIndex = new Map<number, number>();
  const absent: string[] = [];
  for (const [number, count] of counts.entries()) {
    const id = index.packIdOf(number);
    const size = sizes.get(id);
    if (size === undefined || size !== expected.get(number)) {
      if (count.onlyHere > 0) refuse(size === undefined ? `pack ${id}, which snapshots need, is missing` : `pack ${id}, which snapshots need, has ${String(size)} bytes instead of ${String(expected.get(number) ?? 0)}`);
      // Nor is it a home for what lies elsewhere too.
      absent.push(id);
      continue;
    }
    newIndex.set(number, packs.push({ id, size, ...count }) - 1);
  }
  const kept = [...duplicates.values()].map(({ bytes, packs: numbers }) => ({ bytes, packs: numbers.flatMap((number) => newIndex.get(number) ?? []) }));
  if (kept.some((duplicate) => duplicate.packs.length === 0)) refuse('a blob that snapshots need lies only in packs that are missing or cut');
  const unreferenced = Array.from(sizes, ([id, size]) => ({ id, size })).filter(({ id }) => !index.hasPack(id));
  return { packs, duplicates: kept, unreferenced, absent };
}

function refuse(why: string): never {
  throw new EngineError('Damaged', `Nothing was pruned: ${why}. Run \`check\` to see what is affected, and bring the missing objects back from the other data center first.`);
}
