import { encodeIndex, parseIndex, type Id, type PackContents, type PackedBlob } from '../format/index.ts';
import type { ListedFile, OpenRepository } from '../repository/index.ts';

/** restic's own measure of an index file. */
const blobsPerFile = 50_000;

/** The index files that name a pack which goes, and the new ones that say the same without it. */
export interface RewrittenIndex {
  readonly saved: readonly ListedFile[];
  readonly obsolete: readonly Id[];
}

/** Stores new index files; the old ones stay for the caller to remove, later. Files that name no pack in question are left alone. */
export async function rewriteIndex(repository: OpenRepository, gone: ReadonlySet<Id>, signal?: AbortSignal): Promise<RewrittenIndex> {
  const obsolete: Id[] = [];
  const kept = new Map<Id, Map<number, PackedBlob>>();
  for (const { id } of repository.indexFiles) {
    const packs = new Map<Id, PackedBlob[]>();
    const affecting = new Set<Id>();
    const json = await repository.loadUnpacked('index', id, signal);
    parseIndex(json, `index ${id}`, (packId, blob) => {
      if (gone.has(packId)) affecting.add(packId);
      else addTo(packs, packId, blob);
    });
    if (affecting.size === 0) continue;
    obsolete.push(id);
    for (const [packId, blobs] of packs) {
      // Two files may name one pack; each blob of it once is enough.
      const known = kept.get(packId) ?? new Map<number, PackedBlob>();
      for (const blob of blobs) known.set(blob.offset, blob);
      kept.set(packId, known);
    }
  }
  const saved: ListedFile[] = [];
  for (const batch of inBatches(kept)) saved.push(await repository.saveUnpacked('index', encodeIndex(batch), signal));
  return { saved, obsolete };
}

function addTo(packs: Map<Id, PackedBlob[]>, packId: Id, blob: PackedBlob): void {
  const blobs = packs.get(packId);
  if (blobs === undefined) packs.set(packId, [blob]);
  else blobs.push(blob);
}

function* inBatches(packs: ReadonlyMap<Id, ReadonlyMap<number, PackedBlob>>): Generator<PackContents[]> {
  let batch: PackContents[] = [];
  let count = 0;
  for (const [id, blobs] of packs) {
    batch.push({ id, blobs: [...blobs.values()] });
    count += blobs.size;
    if (count < blobsPerFile) continue;
    yield batch;
    batch = [];
    count = 0;
  }
  if (batch.length > 0) yield batch;
}
