import type { BackupOrders, MoverResult } from '../api/index.ts';
import type { BackupOutcome, Repository, SnapshotSummary } from '../restic/contract.ts';
import { openOrCreateGeneration } from './generation-repository.ts';
import { publishManifest } from './manifest-store.ts';
import { lockOptions, type MoverWork, type TaskOutcome } from './mover-work.ts';
import { policyTag, snapshotTags, streamPath, uidTag, volumePath } from './snapshot-names.ts';
import { earlierOutcome } from './stored-before.ts';
import { readStream } from './stream-client.ts';
import { warningTexts } from './warning-text.ts';

/**
 * Backs the mounted volumes up into one snapshot and writes its manifest, last. An attempt that finds that an earlier one
 * had done so, though its result was lost, answers with that snapshot. One that finds a snapshot without a manifest makes
 * its own from it and removes the other, so that a Backup never has two.
 */
export async function backupTask(work: MoverWork<BackupOrders>): Promise<TaskOutcome> {
  const repository = await openOrCreateGeneration(work);
  try {
    const snapshots = await work.engine.listSnapshots(repository, work.signal);
    const ours = snapshots.filter((snapshot) => snapshot.tags.includes(uidTag(work.orders.attempt.uid)));
    for (const snapshot of ours) {
      const earlier = await earlierOutcome(work, repository, snapshot);
      if (earlier !== undefined) return earlier;
    }
    const outcome = await backUp(work, repository, chooseParent(snapshots, work.orders));
    await publish(work, repository, outcome);
    await removeUnfinished(work, repository, ours);
    return { backup: resultOf(outcome), ...warningTexts([outcome]) };
  } finally {
    await repository.close();
  }
}

async function publish({ orders, engine, signal, now }: MoverWork<BackupOrders>, repository: Repository, outcome: BackupOutcome): Promise<void> {
  const { tenant } = orders;
  const { reach, complete, parent } = outcome;
  await publishManifest(engine, repository, { tenant: tenant.id, generation: tenant.generation, reach, complete, like: parent, createdAt: now(), signal });
}

function backUp({ orders, engine, lines, pulse, signal, bridgeSocket }: MoverWork<BackupOrders>, repository: Repository, parent: string | undefined): Promise<BackupOutcome> {
  return engine.backup(repository, {
    ...lockOptions(orders),
    sources: orders.volumes.map(({ claim, mountPath }) => ({ directory: mountPath, as: volumePath(claim) })),
    // A dump may be silent for as long as its own timeout allows; the bridge ends it then.
    streams: (orders.streams ?? []).map(({ name, mayFail }) => ({ as: streamPath(name), mayFail, open: (stop) => pulse.waitingFor(readStream(name, bridgeSocket, stop)) })),
    snapshotHostname: orders.tenant.id,
    tags: snapshotTags(orders),
    excludes: orders.excludes,
    parent,
    signal,
    onProgress: lines.progress,
  });
}

/** The newest snapshot of the same policy, but none that lacks files. */
export function chooseParent(snapshots: readonly SnapshotSummary[], orders: Pick<BackupOrders, 'policy' | 'incompleteSnapshots'>): string | undefined {
  return snapshots
    .filter(({ id, tags }) => tags.includes(policyTag(orders.policy)) && !orders.incompleteSnapshots.includes(id))
    .toSorted((one, other) => Date.parse(other.time) - Date.parse(one.time))[0]?.id;
}

/** Delete last: the new snapshot is stored whole before what an interrupted attempt left goes. */
async function removeUnfinished({ orders, engine, signal }: MoverWork<BackupOrders>, repository: Repository, unfinished: readonly SnapshotSummary[]): Promise<void> {
  if (unfinished.length === 0) return;
  await engine.forget(repository, { ...lockOptions(orders), snapshots: unfinished.map(({ id }) => id), signal });
}

function resultOf(outcome: BackupOutcome): NonNullable<MoverResult['backup']> {
  const { snapshotId, complete, files, directories, filesUnchanged, bytesProcessed, bytesAdded } = outcome;
  return { snapshotId, complete, files, directories, filesUnchanged, bytesProcessed, bytesAdded };
}
