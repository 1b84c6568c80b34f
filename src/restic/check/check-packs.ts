import { hash, randomBytes } from 'node:crypto';
import type { CheckRequest } from '../contract.ts';
import { damaged, keyOfBytes, letGo, scanPackHeader, type Id, type PackedBlob } from '../format/index.ts';
import { keyOf, type OpenRepository, type TableIndex } from '../repository/index.ts';
import { memoryPlan } from '../memory-plan.ts';
import type { WriteResult } from '../restore/messages.ts';
import { RestoreWorkers } from '../restore/workers.ts';
import type { Problems } from './problems.ts';

const advice = 'Copy it back from the other data center. Without it, files that need its data cannot be restored: `restore` names them, and brings the rest when damage is skipped.';
/** What a pack is reckoned with when several are read whole, bytes. Larger ones, of large repositories or other programs, are read fewer at a time. */
const bytesOfPack = 25 * 1024 * 1024;
/** Blobs that a thread is given at a time: a pack of tiny files has a hundred thousand. */
const blobsAtOnce = 8192;
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
    onProgress?.({ unit: 'pack', filesDone, bytesDone, filesTotal: present.size, bytesTotal, bytesAdded: 0, currentPath: keyOf('data', id) });
  };
  try {
    const counts = index.blobCounts();
    const one = async (id: Id): Promise<void> => {
      const name = keyOf('data', id);
      const pack = { id, number: index.numberOf(id), size: present.get(id) ?? 0, blobs: counts[index.numberOf(id)] ?? 0 };
      await problems.attempt('pack', name, advice, async () => {
        if (chosen.has(id)) await readPack(repository, index, { pack, isLarge: bytesTotal > largeBytes, workers, signal });
        else assertSameBlobs(index, pack, await repository.loadHeader(id, pack.size, signal));
      });
      done(id);
    };
    const [read, others] = [true, false].map((isChosen) => [...present.keys()].filter((id) => chosen.has(id) === isChosen));
    const largest = (read ?? []).reduce((most, id) => Math.max(most, present.get(id) ?? 0), 1);
    const { packsAtOnce, headersAtOnce } = memoryPlan();
    await inParallel(read ?? [], Math.max(1, Math.min(packsAtOnce, Math.floor((packsAtOnce * bytesOfPack) / largest))), one);
    await inParallel(others ?? [], headersAtOnce, one);
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

interface CheckedPack {
  readonly id: Id;
  /** As the index counts. */
  readonly number: number;
  /** bytes */
  readonly size: number;
  /** How many the index names. */
  readonly blobs: number;
}

interface Reading {
  readonly pack: CheckedPack;
  readonly isLarge: boolean;
  readonly workers: RestoreWorkers;
  readonly signal: AbortSignal | undefined;
}

/** Its hash tells of every bit; its blobs are decoded all the same, for a pack may have been written wrongly. */
async function readPack(repository: OpenRepository, index: TableIndex, reading: Reading): Promise<void> {
  const { pack, signal } = reading;
  const what = `pack ${pack.id}`;
  const bytes = await repository.store.get(keyOf('data', pack.id), { signal });
  const isNamedRightly = hash('sha256', bytes, 'hex') === pack.id;
  const bad: Id[] = [];
  if (isNamedRightly) {
    const header = await repository.loadHeader(pack.id, pack.size, signal);
    assertSameBlobs(index, pack, header);
    for (const blobs of slicesOf(header.header, header.end, what)) bad.push(...(await damagedOf(blobs, bytes, reading)));
  } else {
    const [contents] = index.contentsOf(new Set([pack.id]));
    const blobs = contents?.blobs ?? [];
    for (let at = 0; at < blobs.length; at += blobsAtOnce) bad.push(...(await damagedOf(blobs.slice(at, at + blobsAtOnce), bytes, reading)));
  }
  letGo(bytes);
  if (bad.length > 0) throw damaged(what, `${String(bad.length)} of its ${String(pack.blobs)} blobs do not verify (${bad.slice(0, 3).join(', ')}${bad.length > 3 ? ', …' : ''})`);
  if (!isNamedRightly) throw damaged(what, 'its content is not what its name says (its blobs are sound: the damage is in its header, or between them)');
}

type HeaderBlob = Omit<PackedBlob, 'type'>;

/** The blobs of a header, some thousand at a time. */
function* slicesOf(header: Uint8Array, end: number, what: string): Generator<HeaderBlob[]> {
  const view = Buffer.from(header.buffer, header.byteOffset, header.byteLength);
  for (let from = 0, isMore = true; isMore; from += blobsAtOnce) {
    const slice: HeaderBlob[] = [];
    let at = 0;
    scanPackHeader(header, end, what, (_type, idAt, offset, length, uncompressedLength) => {
      if (at >= from && at < from + blobsAtOnce) slice.push({ id: view.toString('hex', idAt, idAt + 32), offset, length, uncompressedLength });
      at += 1;
    });
    isMore = at > from + blobsAtOnce;
    if (slice.length > 0) yield slice;
  }
}

/** The ids of blobs, neighbours in a pack, whose bytes do not verify. */
async function damagedOf(blobs: readonly HeaderBlob[], bytes: Uint8Array, { pack, isLarge, workers, signal }: Reading): Promise<Id[]> {
  signal?.throwIfAborted();
  const start = blobs[0]?.offset ?? 0;
  const last = blobs.at(-1);
  // A copy, for it is handed over to a thread.
  const part = Uint8Array.from(bytes.subarray(start, last === undefined ? start : last.offset + last.length));
  const jobs = blobs.map(({ id, offset, length, uncompressedLength }) => ({ id, offset: offset - start, length, uncompressedLength, writes: [] }));
  const task = { kind: 'write' as const, number: taskNumber(pack.number, start), bytes: part, isPlain: false, files: [], blobs: jobs };
  const { damagedBlobs } = (await workers.run(task, isLarge)) as WriteResult;
  return damagedBlobs.flatMap((at) => blobs[at]?.id ?? []);
}

/** Tasks are told apart by number; stretches of packs are checked once each, so their places will do. */
function taskNumber(pack: number, offset: number): number {
  return pack * 2 ** 32 + offset;
}

/** Every blob of the header is in the index at this place, and the index names no others. */
function assertSameBlobs(index: TableIndex, pack: CheckedPack, { header, end }: { readonly header: Uint8Array; readonly end: number }): void {
  const what = `pack ${pack.id}`;
  const key = new Int32Array(8);
  let same = 0;
  let count = 0;
  scanPackHeader(header, end, what, (type, idAt, offset, length, uncompressedLength) => {
    count += 1;
    if (index.table.isPlacedAt(type, keyOfBytes(header, key, idAt), { pack: pack.number, offset, length, uncompressedLength })) same += 1;
  });
  if (same !== count || count !== pack.blobs) throw damaged(what, 'its header and the index say different things');
}

async function inParallel<T>(items: readonly T[], width: number, action: (item: T) => Promise<void>): Promise<void> {
  const queue = items.values();
  await Promise.all(
    Array.from({ length: width }, async () => {
      for (const item of queue) await action(item);
    }),
  );
}
