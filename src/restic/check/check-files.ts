import { hash } from 'node:crypto';
import { StorageError } from '../../storage/index.ts';
import { damaged, decodeUnpacked, parseConfig, parseLock, parseSnapshot, type Id, type Snapshot } from '../format/index.ts';
import { keyOf, TableIndex, type OpenRepository } from '../repository/index.ts';
import { loadMarks } from '../prune/index.ts';
import type { Problems } from './problems.ts';

const fromReplica = 'Copy it back from the other data center, or from a downloaded file of this repository.';

/** `config` and the key files, bit by bit: a key file is named by its hash, and `config` is sealed. */
export async function checkKeys(repository: OpenRepository, problems: Problems, signal?: AbortSignal): Promise<void> {
  await problems.attempt('config', 'config', fromReplica, async () => {
    const json = repository.key.open(await repository.store.get('config', { signal }));
    if (json === undefined) throw damaged('config', 'its MAC does not match');
    parseConfig(decodeUnpacked(json, 'config'));
  });
  for await (const { id } of repository.listFiles('keys', signal)) {
    const name = keyOf('keys', id);
    await problems.attempt('key', name, `${fromReplica} While another key file opens the repository, nothing is lost.`, async () => {
      const bytes = await repository.store.get(name, { signal });
      if (hash('sha256', bytes, 'hex') !== id) throw damaged(name, 'its content is not what its name says');
    });
  }
}

/** Snapshots that can be read, by id. One that was forgotten meanwhile is none of our business. */
export async function checkSnapshots(repository: OpenRepository, problems: Problems, signal?: AbortSignal): Promise<Map<Id, Snapshot>> {
  const snapshots = new Map<Id, Snapshot>();
  for await (const { id } of repository.listFiles('snapshots', signal)) {
    const name = keyOf('snapshots', id);
    await problems.attempt('snapshot', name, `${fromReplica} Other snapshots are not affected.`, async () => {
      try {
        snapshots.set(id, parseSnapshot(await repository.loadUnpacked('snapshots', id, signal), name));
      } catch (error) {
        if (!(error instanceof StorageError && error.code === 'NotFound')) throw error;
      }
    });
  }
  return snapshots;
}

/** The index of all files that can be read. */
export async function checkIndex(repository: OpenRepository, problems: Problems, signal?: AbortSignal): Promise<TableIndex> {
  const index = new TableIndex();
  index.beginLoading();
  for await (const { id } of repository.listFiles('index', signal)) {
    const name = keyOf('index', id);
    await problems.attempt('index', name, `${fromReplica} Or rebuild it from the packs with restic: \`restic repair index\`.`, async () => {
      await repository.readIndexFile(index, id, signal);
    });
  }
  index.endLoading();
  return index;
}

/** Locks and prune marks: nothing is lost with them, but they stop work that reads them. */
export async function checkSmallFiles(repository: OpenRepository, problems: Problems, signal?: AbortSignal): Promise<void> {
  for await (const { id, size } of repository.listFiles('locks', signal)) {
    if (size === 0) continue;
    const name = keyOf('locks', id);
    await problems.attempt('lock', name, 'Whoever locks the repository removes it thirty minutes after it was written. Or delete it, once no other program works on this repository.', async () => {
      try {
        parseLock(await repository.loadUnpacked('locks', id, signal), name);
      } catch (error) {
        if (!(error instanceof StorageError && error.code === 'NotFound')) throw error;
      }
    });
  }
  await problems.attempt('prune mark', 'prune/', 'Delete the file: the next prune marks its packs anew.', () => loadMarks(repository.store, signal));
}
