import type { Repository } from './contract.ts';
import { EngineError } from './errors.ts';
import { sealIndex, type Id, type SealedFile } from './format/index.ts';
import { openedOf } from './repository/index.ts';

/**
 * An index file that lists every blob of each given pack (`layout.md`): restic calls a pack damaged whose size its index does not explain.
 * It is encrypted as any index file, and named by the SHA-256 of its bytes. Made piece by piece: its text is five times as long.
 * @throws {EngineError} `Damaged` when no index file names one of the packs
 */
export async function exportIndex(repository: Repository, packs: readonly string[]): Promise<SealedFile> {
  const opened = openedOf(repository);
  const index = await opened.loadIndex();
  return sealIndex(opened.key, opened.config.version, (writer) => {
    index.write(writer, [...new Set<Id>(packs)].sort(), (pack) => {
      throw new EngineError('Damaged', `No index file names pack ${pack}, so it cannot be exported. Run \`check\`.`, { context: { pack } });
    });
  });
}
