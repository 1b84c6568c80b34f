import { EngineError } from '../../restic/errors.ts';
import { StorageError, type ObjectInfo } from '../../storage/index.ts';
import { hasPromisedContent, promisedHash } from '../content-name.ts';
import { inParallel } from '../in-parallel.ts';
import { NO_TAG, tagOf, type Ledger } from './ledger.ts';
import { nameInGeneration } from './tenant-keys.ts';
import type { ReplicaState } from './tenant-state.ts';
import type { ReplicationWork } from './work.ts';

/** A few that are read say whether a night of encryption or a move to another storage went before. */
const PARALLEL_READS = 8;

/** The tags of one group of names, by name. */
export function tagsOf({ names, tags }: Ledger['needed'][number]): [string, string][] {
  if (tags === undefined || tags.length !== names.length * NO_TAG.length) return [];
  return names.flatMap((name, index): [string, string][] => {
    const tag = tags.slice(index * NO_TAG.length, (index + 1) * NO_TAG.length);
    return tag === NO_TAG ? [] : [[name, tag]];
  });
}

/** Objects of the replica that the source's listing marks otherwise than when it was last looked at, though nothing is ever put twice under one name. */
export function rewrittenObjects(source: readonly ObjectInfo[], tags: ReadonlyMap<string, string>, { objects }: ReplicaState): ObjectInfo[] {
  return source.filter((object) => {
    const [before, now] = [tags.get(object.key), tagOf(object)];
    // Of another size is found without reading.
    return before !== undefined && now !== undefined && before !== now && objects.get(object.key)?.size === object.size;
  });
}

export interface Rewritten {
  /** Something is not what it was. */
  readonly isAltered: boolean;
  /** Keys that are not known to be what they were. */
  readonly unclear: ReadonlySet<string>;
}

/**
 * Reads what was written anew: moved to another storage it is what it was. With the first that is not, reading ends, and all that was not read counts with it.
 * The window may end it, too: then nothing is said of what was not read, and it is asked again the next night.
 */
export async function readRewritten(work: ReplicationWork, tenant: string, rewritten: readonly ObjectInfo[], state: ReplicaState): Promise<Rewritten> {
  const unclear = new Set(rewritten.map(({ key }) => key));
  let isAltered = false;
  await inParallel(rewritten, PARALLEL_READS, async ({ key, size }) => {
    if (isAltered || !work.mayBegin()) return;
    const isSame = await work.budget.spend(size, () => isUnchanged(work, tenant, key, state));
    if (isSame) unclear.delete(key);
    else isAltered = true;
  });
  return { isAltered, unclear };
}

/** By its name, or by what the replica has under it. */
async function isUnchanged({ source, replica, signal, pace }: ReplicationWork, tenant: string, key: string, { objects }: ReplicaState): Promise<boolean> {
  try {
    const bytes = await source.within(tenant).get(key, { signal });
    await pace(bytes.byteLength);
    const name = nameInGeneration(key);
    if (promisedHash(name) !== undefined) return hasPromisedContent(name, bytes);
    const versionId = objects.get(key)?.versionId;
    return versionId !== undefined && Buffer.from(bytes).equals(await replica.versions.get(`${tenant}/${key}`, versionId, { signal }));
  } catch (error) {
    if (error instanceof EngineError) return false;
    // Gone since it was listed: the next listing tells.
    if (error instanceof StorageError && error.code === 'NotFound') return true;
    throw error;
  }
}
