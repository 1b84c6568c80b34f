import { keyOf, SlotSet, type ListedFile, type OpenRepository } from '../repository/index.ts';
import { keyOfHex, type PackedBlob } from '../format/index.ts';
import type { PruneRequest } from '../contract.ts';
import type { Observed } from './observe.ts';
import type { PackDecision } from './plan.ts';

export interface RepackOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: PruneRequest['onProgress'] | undefined;
}

/**
 * Copies what is used of packs that go into new ones, still encrypted, each blob verified. The new packs and their index are stored when this ends.
 * @throws {EngineError} `Damaged` for a blob that does not verify: then nothing has been removed
 */
export async function repackPacks(repository: OpenRepository, observed: Observed, decision: PackDecision, options: RepackOptions = {}): Promise<readonly ListedFile[]> {
  const { signal, onProgress } = options;
  const stays = new Set(decision.keep.map((index) => observed.packs[index]?.id));
  const moving = new Set(decision.repack.flatMap((index) => observed.packs[index]?.id ?? []));
  const { table } = observed.index;
  const done = new SlotSet(table.slots);
  const sizes = new Map(decision.repack.map((index) => [observed.packs[index]?.id, observed.packs[index]?.size ?? 0]));
  const bytesTotal = [...sizes.values()].reduce((sum, size) => sum + size, 0);
  let filesDone = 0;
  let bytesDone = 0;
  const writer = await repository.startWriting(signal);
  for (const pack of observed.index.contentsInGroups(moving)) {
    signal?.throwIfAborted();
    onProgress?.({ unit: 'pack', filesDone, filesTotal: sizes.size, bytesDone, bytesTotal, bytesAdded: 0 });
    filesDone += 1;
    bytesDone += sizes.get(pack.id) ?? 0;
    const wanted = pack.blobs.filter((blob) => isNeeded(observed, blob, stays) && !done.has(table.slotOf(blob.type, keyOfHex(blob.id))));
    if (wanted.length === 0) continue;
    const bytes = await repository.store.get(keyOf('data', pack.id), { signal });
    for (const blob of wanted) {
      const sealed = bytes.subarray(blob.offset, blob.offset + blob.length);
      repository.openBlob(blob, sealed);
      await writer.saveEncrypted(blob, sealed);
      done.add(table.slotOf(blob.type, keyOfHex(blob.id)));
    }
  }
  const { packs } = await writer.finish();
  return packs;
}

/** Used, and in no pack that stays. */
function isNeeded({ used, index }: Observed, { type, id }: PackedBlob, stays: ReadonlySet<string | undefined>): boolean {
  if (!used.has(type, id)) return false;
  return !index.lookupAll(type, id).some(({ packId }) => stays.has(packId));
}

