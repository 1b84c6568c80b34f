import type { RestoreOrders } from '../api/index.ts';
import type { Progress, Repository, RestoreOutcome } from '../restic/contract.ts';
import { openGeneration } from './generation-repository.ts';
import type { MoverWork, TaskOutcome } from './mover-work.ts';
import { volumePath } from './snapshot-names.ts';
import { warningTexts } from './warning-text.ts';

/** Restores each claim's part of the snapshot into the volume that is mounted for it, one after the other. */
export async function restoreTask(work: MoverWork<RestoreOrders>): Promise<TaskOutcome> {
  const repository = await openGeneration(work);
  try {
    const outcomes: RestoreOutcome[] = [];
    for (const volume of work.orders.volumes) {
      outcomes.push(await restoreVolume(work, repository, volume, outcomes));
    }
    return { restore: sum(outcomes), ...warningTexts(outcomes) };
  } finally {
    await repository.close();
  }
}

async function restoreVolume(
  { orders, engine, lines, signal }: MoverWork<RestoreOrders>,
  repository: Repository,
  volume: { readonly claim: string; readonly mountPath: string },
  done: readonly RestoreOutcome[],
): Promise<RestoreOutcome> {
  return engine.restore(repository, {
    snapshot: orders.snapshotId,
    subtree: volumePath(volume.claim),
    target: volume.mountPath,
    includes: orders.includes,
    excludes: orders.excludes,
    deleteExtra: orders.deleteExtra,
    signal,
    onProgress: (progress) => lines.progress(done.length === 0 ? progress : behind(done, progress)),
  });
}

/** Counts go on over the volumes; how much is to come is not known before the last one is planned. */
function behind(done: readonly RestoreOutcome[], progress: Progress): Progress {
  const files = done.reduce((total, outcome) => total + outcome.files, 0);
  const bytes = done.reduce((total, outcome) => total + outcome.bytesWritten, 0);
  return { filesDone: files + progress.filesDone, bytesDone: bytes + progress.bytesDone, bytesAdded: bytes + progress.bytesAdded };
}

function sum(outcomes: readonly RestoreOutcome[]): NonNullable<TaskOutcome['restore']> {
  const total = (count: (outcome: RestoreOutcome) => number): number => outcomes.reduce((all, outcome) => all + count(outcome), 0);
  return {
    complete: outcomes.every((outcome) => outcome.complete),
    files: total((outcome) => outcome.files),
    directories: total((outcome) => outcome.directories),
    filesSkippedIdentical: total((outcome) => outcome.filesSkippedIdentical),
    bytesWritten: total((outcome) => outcome.bytesWritten),
    deleted: total((outcome) => outcome.deleted),
  };
}
