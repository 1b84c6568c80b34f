/**
 * Restoring: trees in order, content by packs in threads, metadata last. Nothing is followed out of the target and nothing
 * is believed that does not verify.
 */
import { readFileSync } from 'node:fs';
import { isAbsolute, resolve } from 'node:path';
import type { Repository, RestoreOutcome, RestoreRequest } from '../contract.ts';
import { openedOf, resolveSnapshot, type OpenRepository, type TableIndex } from '../repository/index.ts';
import type { Globs } from '../fs/index.ts';
import type { BatchContext } from './batch-context.ts';
import { leftOutBy } from './extras.ts';
import { RestoreRun } from './restore-run.ts';
import { SnapshotTrees, type Located } from './snapshot-trees.ts';
import { Tally } from './tally.ts';
import { TargetTree } from './target-tree.ts';
import { RestoreWorkers } from './workers.ts';

export { SnapshotTrees } from './snapshot-trees.ts';

/** See `RestoreRequest`. @throws {EngineError} `NoSuchSnapshot`, `Damaged`, `NoSpace`, `TargetUnwritable` */
export async function restore(repository: Repository, request: RestoreRequest): Promise<RestoreOutcome> {
  const opened = openedOf(repository);
  const snapshot = await resolveSnapshot(opened, request.snapshot);
  const index = await opened.loadIndex({ signal: request.signal });
  const trees = new SnapshotTrees(opened, index, request.signal);
  try {
    // Before anything is made: a path that the snapshot does not have leaves no empty target behind.
    const start = await trees.locate(snapshot, request.subtree ?? '/');
    return await restoreFrom(start, { opened, index, trees, leftOut: leftOutBy(snapshot.excludes) }, request);
  } finally {
    trees.free();
  }
}

interface Source {
  readonly opened: OpenRepository;
  readonly index: TableIndex;
  readonly trees: SnapshotTrees;
  readonly leftOut: Globs;
}

async function restoreFrom(start: Located, { opened, index, trees, leftOut }: Source, request: RestoreRequest): Promise<RestoreOutcome> {
  const directory = isAbsolute(request.target) ? request.target : resolve(request.target);
  const target = new TargetTree(directory, request.dryRun === true);
  const workers = new RestoreWorkers({ root: target.root, keyMaterial: Uint8Array.from(opened.key.material), umask: umaskOfProcess() });
  const stop = new AbortController();
  let taskNumber = 0;
  const context: BatchContext = {
    repository: opened,
    index,
    target,
    workers,
    tally: new Tally(request.onProgress),
    directory,
    skipDamaged: request.skipDamaged ?? false,
    signal: request.signal === undefined ? stop.signal : AbortSignal.any([request.signal, stop.signal]),
    stop,
    openFiles: new Set(),
    nextTask: () => taskNumber++,
  };
  try {
    return await new RestoreRun(context, trees, request, leftOut).run(start);
  } finally {
    await workers.close();
    target.close();
  }
}

/** Node can only ask by setting it, which other threads would notice. Where it is unknown, modes are set after a file was made. */
function umaskOfProcess(): number {
  try {
    const line = /^Umask:\s*([0-7]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'));
    return line?.[1] === undefined ? 0o777 : Number.parseInt(line[1], 8);
  } catch {
    return 0o777;
  }
}
