/**
 * What `restic-kill.test.ts` kills: one piece of work on a repository of files. It says `ready` when all is loaded, just before it begins.
 * `node restic-work.ts backup REPOSITORY SOURCE`, `… forget REPOSITORY ID…`, `… prune REPOSITORY`, `… copy REPOSITORY TARGET`
 */
import { writeSync } from 'node:fs';
import { hostname } from 'node:os';
import { copyRepository } from '../../src/mover/copy.ts';
import { backup, forget, openRepository, prune, type Repository } from '../../src/restic/index.ts';
import { FileStore } from '../../src/storage/index.ts';
import { PacedStore } from '../support/paced-store.ts';

export type Work = 'backup' | 'forget' | 'prune' | 'copy';

/** Everything goes at once and all waste is repacked, so that a kill has as much to break as it can. */
function pruneAll(repository: Repository): Promise<unknown> {
  return prune(repository, { hostname: hostname(), graceMs: 0, now: new Date(), repackAbove: 0 });
}

/** `PACE=MS`: every change takes so long. */
function writable(path: string): FileStore {
  const pace = Number(process.env['PACE'] ?? 0);
  return pace === 0 ? new FileStore(path) : new PacedStore(path, pace);
}

async function onRepository(path: string, action: (repository: Repository) => Promise<unknown>): Promise<void> {
  const repository = await openRepository({ store: writable(path), password: Buffer.from(process.env['PASSWORD'] ?? '') });
  try {
    await action(repository);
  } finally {
    await repository.close();
  }
}

/** `forget` prunes afterwards, as `forget --prune` does. */
export async function doWork(work: Work, path: string, args: readonly string[]): Promise<void> {
  const [place = ''] = args;
  switch (work) {
    case 'backup':
      return onRepository(path, (repository) => backup(repository, { hostname: hostname(), snapshotHostname: 'h', tags: [], sources: [{ directory: place, as: '/volumes/data' }] }));
    case 'forget':
      return onRepository(path, async (repository) => {
        await forget(repository, { hostname: hostname(), snapshots: args });
        await pruneAll(repository);
      });
    case 'prune':
      return onRepository(path, pruneAll);
    case 'copy':
      await copyRepository({ from: new FileStore(path), to: writable(place) });
  }
}

function isWork(text: string | undefined): text is Work {
  return text === 'backup' || text === 'forget' || text === 'prune' || text === 'copy';
}

if (import.meta.main) {
  const [work, path = '', ...args] = process.argv.slice(2);
  if (!isWork(work)) throw new Error('usage: restic-work.ts backup|forget|prune|copy REPOSITORY ARGUMENT…');
  // Not by way of a stream: the one who waits for it measures from here.
  writeSync(1, 'ready\n');
  await doWork(work, path, args);
}
