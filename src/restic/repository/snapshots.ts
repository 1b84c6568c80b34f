import { StorageError } from '../../storage/index.ts';
import type { SnapshotSummary } from '../contract.ts';
import { EngineError } from '../errors.ts';
import { isId, parseSnapshot, parseTime, type Id, type Snapshot } from '../format/index.ts';
import type { OpenedRepository } from './opened.ts';

/** How many snapshots are read at once. */
const readers = 16;

export async function loadSnapshot(repository: OpenedRepository, id: Id, signal?: AbortSignal): Promise<Snapshot> {
  try {
    return parseSnapshot(await repository.loadUnpacked('snapshots', id, signal), `snapshot ${id}`);
  } catch (cause) {
    if (cause instanceof StorageError && cause.code === 'NotFound') throw noSuchSnapshot(repository, id);
    throw cause;
  }
}

/** All snapshots, oldest first. */
export async function listSnapshots(repository: OpenedRepository, signal?: AbortSignal): Promise<SnapshotSummary[]> {
  const ids: Id[] = [];
  for await (const { id } of repository.listFiles('snapshots', signal)) ids.push(id);
  const summaries: SnapshotSummary[] = [];
  const queue = ids.values();
  const work = Array.from({ length: readers }, async () => {
    for (const id of queue) summaries.push(summaryOf(id, await loadSnapshot(repository, id, signal)));
  });
  await Promise.all(work);
  return summaries.sort(byTime);
}

/** A snapshot by its id, a prefix of it that no other has, or `latest`. */
export async function resolveSnapshot(repository: OpenedRepository, idOrLatest: string): Promise<SnapshotSummary> {
  const isWhole: boolean = isId(idOrLatest);
  if (isWhole) return summaryOf(idOrLatest, await loadSnapshot(repository, idOrLatest));
  if (idOrLatest === 'latest') {
    const newest = (await listSnapshots(repository)).at(-1);
    if (newest === undefined) throw new EngineError('NoSuchSnapshot', `The repository at ${repository.store.location} has no snapshots yet. Make a backup first.`);
    return newest;
  }
  const ids: Id[] = [];
  for await (const { id } of repository.listFiles('snapshots')) if (id.startsWith(idOrLatest)) ids.push(id);
  const count = ids.length;
  const id = ids[0];
  if (id === undefined || idOrLatest === '') throw noSuchSnapshot(repository, idOrLatest);
  if (count > 1) throw new EngineError('AmbiguousSnapshot', `${count} snapshots begin with ${idOrLatest}. Give more of the id.`);
  return summaryOf(id, await loadSnapshot(repository, id));
}

/** The newest snapshot of the same paths that carries all tags. */
export async function findParent(
  repository: OpenedRepository,
  match: { readonly tags: readonly string[]; readonly paths: readonly string[]; readonly not?: ReadonlySet<string> },
): Promise<string | undefined> {
  const paths = [...match.paths].sort().join('\0');
  const candidates = (await listSnapshots(repository)).filter(
    (snapshot) =>
      match.not?.has(snapshot.id) !== true && match.tags.every((tag) => snapshot.tags.includes(tag)) && [...snapshot.paths].sort().join('\0') === paths,
  );
  return candidates.at(-1)?.id;
}

function summaryOf(id: Id, snapshot: Snapshot): SnapshotSummary {
  const { time, hostname, paths, tags, excludes = [], tree, parent, summary } = snapshot;
  return { id, time, hostname, paths, tags, ...(excludes.length === 0 ? {} : { excludes }), tree, ...(parent === undefined ? {} : { parent }), ...(summary === undefined ? {} : { summary }) };
}

function byTime(one: SnapshotSummary, other: SnapshotSummary): number {
  const [a, b] = [parseTime(one.time), parseTime(other.time)];
  return (a?.seconds ?? 0) - (b?.seconds ?? 0) || (a?.nanoseconds ?? 0) - (b?.nanoseconds ?? 0) || (one.id < other.id ? -1 : 1);
}

function noSuchSnapshot(repository: OpenedRepository, id: string): EngineError {
  return new EngineError('NoSuchSnapshot', `There is no snapshot ${id} in the repository at ${repository.store.location}. List them with \`snapshots\`.`);
}
