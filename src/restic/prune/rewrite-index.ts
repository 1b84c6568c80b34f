import { EngineError } from '../errors.ts';
import type { Id } from '../format/index.ts';
import type { ListedFile, OpenRepository, TableIndex } from '../repository/index.ts';

/** restic's own measure of an index file. */
const blobsPerFile = 50_000;

/** The index files that name a pack which goes, and the new ones that say the same without it. */
export interface RewrittenIndex {
  readonly saved: readonly ListedFile[];
  readonly obsolete: readonly Id[];
}

/**
 * Stores new index files, straight from the table; the old ones stay for the caller to remove, later. Files that name no pack in question are
 * left alone.
 */
export async function rewriteIndex(repository: OpenRepository, index: TableIndex, gone: ReadonlySet<Id>, signal?: AbortSignal): Promise<RewrittenIndex> {
  const obsolete = index.indexFilesNaming(gone);
  const saved: ListedFile[] = [];
  for (const packs of index.groups(index.packsIn(obsolete).filter((id) => !gone.has(id)), blobsPerFile)) {
    signal?.throwIfAborted();
    const write = (writer: Parameters<TableIndex['write']>[0]): void => {
      index.write(writer, packs, (pack) => {
        throw new EngineError('Damaged', `No blob of pack ${pack} is known any more. Run \`check\`.`, { context: { pack } });
      });
    };
    saved.push(await repository.saveIndex(write, signal));
  }
  return { saved, obsolete: [...obsolete] };
}
