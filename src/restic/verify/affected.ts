import type { AffectedSnapshot, Repository } from '../contract.ts';
import { EngineError } from '../errors.ts';
import { byteString, parseSnapshot, textOf, type ByteString, type Id } from '../format/index.ts';
import { openedOf, type OpenRepository, type TableIndex } from '../repository/index.ts';
import { SnapshotTrees } from '../restore/index.ts';
import { StorageError } from '../../storage/index.ts';

interface Damage {
  readonly index: TableIndex;
  readonly packs: ReadonlySet<Id>;
  readonly trees: SnapshotTrees;
  /** By tree: how many files in it and below need what is damaged, and the first of them, relative to it. */
  readonly known: Map<Id, Found>;
  readonly signal: AbortSignal | undefined;
}

interface Found {
  readonly files: number;
  readonly first: readonly string[];
}

const NOTHING: Found = { files: 0, first: [] };
const WHOLE: Found = { files: 1, first: ['/…'] };
const mostPaths = 5;

/**
 * Which snapshots cannot be restored whole, given damaged packs: those of which a file's data, or a directory, lie in one of them or in no index file. A
 * directory that cannot be read counts as one file, with `/…` in its path. Goes through every tree once: only done when something is damaged.
 */
export async function affectedBy(repository: Repository, request: { readonly packs: readonly string[]; readonly signal?: AbortSignal | undefined }): Promise<AffectedSnapshot[]> {
  const opened = openedOf(repository);
  const index = await opened.loadIndex({ signal: request.signal });
  const trees = new SnapshotTrees(opened, index, request.signal);
  const damage: Damage = { index, packs: new Set(request.packs), trees, known: new Map(), signal: request.signal };
  const affected: AffectedSnapshot[] = [];
  try {
    for await (const { id } of opened.listFiles('snapshots', request.signal)) {
      const found = await inSnapshot(damage, opened, id);
      if (found.files > 0) affected.push({ snapshotId: id, files: found.files, paths: found.first });
    }
  } finally {
    trees.free();
  }
  return affected;
}

async function inSnapshot(damage: Damage, opened: OpenRepository, id: Id): Promise<Found> {
  try {
    return await inTree(damage, parseSnapshot(await opened.loadUnpacked('snapshots', id, damage.signal), `snapshot ${id}`).tree);
  } catch (error) {
    // One that was forgotten meanwhile needs nothing.
    if (error instanceof StorageError && error.code === 'NotFound') return NOTHING;
    if (error instanceof EngineError && error.code === 'Damaged') return WHOLE;
    throw error;
  }
}

async function inTree(damage: Damage, id: Id): Promise<Found> {
  const known = damage.known.get(id);
  if (known !== undefined) return known;
  damage.signal?.throwIfAborted();
  const found = await lookInto(damage, id);
  damage.known.set(id, found);
  return found;
}

async function lookInto(damage: Damage, id: Id): Promise<Found> {
  let nodes: Awaited<ReturnType<SnapshotTrees['load']>>;
  try {
    nodes = await damage.trees.load(id);
  } catch (error) {
    damage.signal?.throwIfAborted();
    if (isDamage(error)) return WHOLE;
    throw error;
  }
  let files = 0;
  const first: string[] = [];
  const note = (path: ByteString, found: Found): void => {
    files += found.files;
    for (const below of found.first) if (first.length < mostPaths) first.push(`${textOf(path)}${below}`);
  };
  for (const node of nodes) {
    const path = byteString(`/${node.name}`);
    if (node.subtree !== undefined) note(path, await inTree(damage, node.subtree));
    else if ((node.content ?? []).some((blob) => isDamaged(damage, blob))) note(path, { files: 1, first: [''] });
  }
  return { files, first };
}

function isDamaged({ index, packs }: Damage, blob: Id): boolean {
  const places = index.lookupAll('data', blob);
  return places.every(({ packId }) => packs.has(packId));
}

function isDamage(error: unknown): boolean {
  return (error instanceof EngineError && error.code === 'Damaged') || (error instanceof StorageError && (error.code === 'NotFound' || error.code === 'Truncated'));
}
