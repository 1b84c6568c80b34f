import { hash, randomBytes } from 'node:crypto';
import type { CheckRequest } from '../contract.ts';
import { damaged, type Id, type PackContents } from '../format/index.ts';
import { keyOf, type OpenRepository, type TableIndex } from '../repository/index.ts';
import { memoryPlan } from '../memory-plan.ts';
import type { WriteResult } from '../restore/messages.ts';
import { RestoreWorkers } from '../restore/workers.ts';
import type { Problems } from './problems.ts';

const advice = 'Copy it back from the other data center. Without it, files that need its data cannot be restored: `restore` names them, and brings the rest when damage is skipped.';
/** Headers are small. */
const headersAtOnce = 16;
/** Less than this is read before threads would have started. */
const largeBytes = 16 * 1024 * 1024;

export interface PacksChecked {
  readonly checked: number;
  readonly read: number;
}

/** Every pack that an index names is there with the size that its blobs explain, and its header says the same; the chosen ones are read whole. */
export async function checkPacks(repository: OpenRepository, index: TableIndex, request: CheckRequest, problems: Problems): Promise<PacksChecked> {
  const { signal, onProgress } = request;
  const sizes = new Map<Id, number>();
  for await (const { id, size } of repository.listFiles('data', signal)) sizes.set(id, size);
  const expected = index.sizesOf(() => true);
  const present = new Map<Id, number>();
  for (const [number, id] of [...index.packIds()].entries()) {
    const size = sizes.get(id);
    const expectedSize = expected.get(number) ?? 0;
    const name = keyOf('data', id);
    if (size === undefined) problems.add('pack', name, `The index names pack ${id}, but it is missing. ${advice}`);
    else if (size !== expectedSize) problems.add('pack', name, `Pack ${id} has ${String(size)} bytes instead of ${String(expectedSize)}. ${advice}`);
    else present.set(id, size);
  }
  const chosen = choosePacks([...present.keys()], request.readData ?? 'none');
  const workers = new RestoreWorkers({ root: -1, keyMaterial: Uint8Array.from(repository.key.material), umask: 0o777 });
  let bytesDone = 0;
  let filesDone = 0;
  const bytesTotal = [...present].reduce((sum, [id, size]) => sum + (chosen.has(id) ? size : 0), 0);
  const done = (id: Id): void => {
    if (chosen.has(id)) bytesDone += present.get(id) ?? 0;
    filesDone++;
    onProgress?.({ filesDone, bytesDone, filesTotal: present.size, bytesTotal, bytesAdded: 0, currentPath: keyOf('data', id) });
  };
  try {
    const one = async (pack: PackContents): Promise<void> => {
      const name = keyOf('data', pack.id);
      const size = present.get(pack.id) ?? 0;
      await problems.attempt('pack', name, advice, async () => {
        if (chosen.has(pack.id)) await readPack(repository, { pack, size, isLarge: bytesTotal > largeBytes, workers, signal });
        else assertSameBlobs(pack, await repository.loadPackHeader(pack.id, size, signal));
      });
      done(pack.id);
    };
    const [read, others] = [true, false].map((isChosen) => [...present.keys()].filter((id) => chosen.has(id) === isChosen));
    await inParallel(index.contentsInGroups(read ?? []), memoryPlan().packsAtOnce, one);
    await inParallel(index.contentsInGroups(others ?? []), headersAtOnce, one);
  } finally {
    await workers.close();
  }
  return { checked: present.size, read: chosen.size };
}

/** Pure, given a seed: a share of the packs, another one with each seed. */
export function choosePacks(packs: readonly Id[], readData: NonNullable<CheckRequest['readData']>): ReadonlySet<Id> {
  if (readData === 'none') return new Set();
  if (readData === 'all') return new Set(packs);
  if ('part' in readData) {
    const also = new Set(readData.also);
    return new Set(packs.filter((id) => Number.parseInt(id.slice(0, 2), 16) % readData.of === readData.part - 1 || also.has(id)));
  }
  const seed = readData.seed ?? randomBytes(8).toString('hex');
  const ranked = packs.map((id) => ({ id, rank: hash('sha256', `${seed} ${id}`, 'hex') })).sort((one, other) => (one.rank < other.rank ? -1 : 1));
  return new Set(ranked.slice(0, Math.ceil((packs.length * Math.min(Math.max(readData.percent, 0), 100)) / 100)).map(({ id }) => id));
}

interface WholePack {
  readonly pack: PackContents;
  readonly size: number;
  readonly isLarge: boolean;
  readonly workers: RestoreWorkers;
  readonly signal: AbortSignal | undefined;
}

/** Its hash tells of every bit; its blobs are decoded all the same, for a pack may have been written wrongly. */
async function readPack(repository: OpenRepository, { pack, size, isLarge, workers, signal }: WholePack): Promise<void> {
  const what = `pack ${pack.id}`;
  const bytes = await repository.store.get(keyOf('data', pack.id), { signal });
  const isNamedRightly = hash('sha256', bytes, 'hex') === pack.id;
  if (isNamedRightly) assertSameBlobs(pack, await repository.loadPackHeader(pack.id, size, signal));
  const blobs = pack.blobs.map(({ id, offset, length, uncompressedLength }) => ({ id, offset, length, uncompressedLength, writes: [] }));
  const task = { kind: 'write' as const, number: nextNumber(pack), bytes, isPlain: false, files: [], blobs };
  const { damagedBlobs } = (await workers.run(task, isLarge)) as WriteResult;
  const bad = damagedBlobs.flatMap((index) => pack.blobs[index]?.id ?? []);
  if (bad.length > 0) throw damaged(what, `${String(bad.length)} of its ${String(pack.blobs.length)} blobs do not verify (${bad.slice(0, 3).join(', ')}${bad.length > 3 ? ', …' : ''})`);
  if (!isNamedRightly) throw damaged(what, 'its content is not what its name says (its blobs are sound: the damage is in its header, or between them)');
}

/** Tasks are told apart by number; packs are checked once each, so their own will do. */
function nextNumber(pack: PackContents): number {
  return Number.parseInt(pack.id.slice(0, 12), 16);
}

function assertSameBlobs(indexed: PackContents, header: PackContents): void {
  const isSame =
    indexed.blobs.length === header.blobs.length &&
    indexed.blobs.every((blob, i) => {
      const other = header.blobs[i];
      return other?.id === blob.id && other.type === blob.type && other.offset === blob.offset && other.length === blob.length && other.uncompressedLength === blob.uncompressedLength;
    });
  if (!isSame) throw damaged(`pack ${indexed.id}`, 'its header and the index say different things');
}

async function inParallel<T>(items: Iterable<T>, width: number, action: (item: T) => Promise<void>): Promise<void> {
  // All of them take from one iterator; a `for` that ends early for one must not end it for the others.
  const iterator = items[Symbol.iterator]();
  const queue = { [Symbol.iterator]: () => ({ next: () => iterator.next() }) };
  await Promise.all(
    Array.from({ length: width }, async () => {
      for (const item of queue) await action(item);
    }),
  );
}
