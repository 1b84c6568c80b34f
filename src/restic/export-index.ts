import type { Repository } from './contract.ts';
import { EngineError } from './errors.ts';
import { encodeIndex, encodeUnpacked, type Id, type PackContents } from './format/index.ts';
import { openedOf } from './repository/index.ts';

/**
 * An index file that lists every blob of each given pack (`layout.md`): restic calls a pack damaged whose size its index does not explain.
 * It is encrypted as any index file, and named by the SHA-256 of the bytes that are returned.
 * @throws {EngineError} `Damaged` when no index file names one of the packs
 */
export async function exportIndex(repository: Repository, packs: readonly string[]): Promise<Uint8Array> {
  const opened = openedOf(repository);
  const wanted = new Set<Id>(packs);
  const index = await opened.loadIndex();
  const contents: PackContents[] = index.contentsOf(wanted);
  const missing = contents.find((pack) => pack.blobs.length === 0);
  if (missing !== undefined) {
    throw new EngineError('Damaged', `No index file names pack ${missing.id}, so it cannot be exported. Run \`check\`.`, { context: { pack: missing.id } });
  }
  contents.sort((one, other) => (one.id < other.id ? -1 : 1));
  return opened.key.seal(encodeUnpacked(encodeIndex(contents), opened.config.version));
}
