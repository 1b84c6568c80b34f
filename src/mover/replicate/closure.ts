import { EngineError } from '../../restic/errors.ts';
import { StorageError } from '../../storage/index.ts';
import { inParallel } from '../in-parallel.ts';
import { decodeManifest } from '../manifest.ts';
import { tenantKeyOf } from './tenant-keys.ts';
import type { ReplicationWork } from './work.ts';

const PARALLEL_READS = 8;

/**
 * What the source's manifests name and the source does not have, by keys below the tenant's prefix. A prune keeps what a manifest names, or writes a new
 * revision first.
 */
export async function closureGaps({ source, signal }: ReplicationWork, tenant: string, here: ReadonlyMap<string, number>): Promise<string[]> {
  const gaps = new Set<string>();
  const manifests = [...here.keys()].filter((key) => tenantKeyOf(key)?.part === 'manifests');
  await inParallel(manifests, PARALLEL_READS, async (key) => {
    const names = await filesOf(key);
    // Somebody wrote over it.
    if (names === 'unreadable') gaps.add(key);
    else for (const name of names) if (!here.has(name)) gaps.add(name);
  });
  return [...gaps].sort();

  async function filesOf(key: string): Promise<readonly string[] | 'unreadable'> {
    const { generation } = tenantKeyOf(key) ?? {};
    try {
      const { files } = decodeManifest(await source.within(tenant).get(key, { signal }), key);
      return files.map(({ name }) => `g${generation ?? 0}/${name}`);
    } catch (error) {
      // Forgotten since it was listed, with what it names.
      if (error instanceof StorageError && error.code === 'NotFound') return [];
      if (error instanceof EngineError) return 'unreadable';
      throw error;
    }
  }
}
