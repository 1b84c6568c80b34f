import * as z from 'zod';
import { removeStrayManifests } from '../../mover/manifest-store.ts';
import { leaveWordOfForget } from '../../mover/word-of-forget.ts';
import type { SnapshotSummary } from '../../restic/contract.ts';
import { EngineError } from '../../restic/errors.ts';
import type { ProcessContext } from '../command-context.ts';
import { RepositoryOptions, readOptions } from '../command-options.ts';
import { EXIT, type ExitStatus } from '../exit-status.ts';
import { lockOptionsOf, RetryLock } from '../lock-options.ts';
import { outputFor } from '../output.ts';
import { formatCount } from '../quantity.ts';
import { withRepository, type OpenedAccess } from '../repository-access.ts';
import { snapshotGroup } from '../snapshot-group.ts';
import { tenantOf } from '../tenant-of-url.ts';
import { UsageError } from '../usage-error.ts';
import { wholeNumber } from '../whole-number.ts';
import { PRUNE_GRACE_MS, printPlan, pruneNow } from './prune.ts';

const ForgetOptions = RepositoryOptions.extend({
  keepLast: wholeNumber({ from: 1, to: 1_000_000 }, 'a number from 1 on, such as 7; to remove every snapshot, name them').optional(),
  prune: z.boolean().default(false),
  retryLock: RetryLock,
});

/** `tenant-backup forget`: removes snapshots by id, or all but the newest of each host and paths. */
export async function forget(ids: readonly string[], given: unknown, context: ProcessContext): Promise<ExitStatus> {
  const options = readOptions(ForgetOptions, given);
  const { keepLast } = options;
  if ((keepLast === undefined) === (ids.length === 0)) {
    throw new UsageError('say which snapshots to forget: either their ids, or --keep-last N');
  }
  if (ids.includes('')) throw new UsageError('the id of a snapshot is empty (an unset variable?); nothing was forgotten. `snapshots` lists the ids');
  const output = outputFor(options, context);
  return withRepository(options, context, async (access) => {
    const { engine, repository } = access;
    const doomed = keepLast === undefined ? await resolveAll(access, ids) : beyondLast(await engine.listSnapshots(repository, context.signal), keepLast);
    const takeBack = doomed.length > 0 && tenantOf(options) !== undefined ? await leaveWordOfForget(repository.store, doomed, context.signal) : undefined;
    const { removed } = await engine.forget(repository, { ...lockOptionsOf(options), snapshots: doomed, signal: context.signal }).catch(async (error: unknown) => {
      // While it could not have the lock, nothing went; after anything else something may have.
      if (error instanceof EngineError && error.code === 'Locked') await takeBack?.();
      throw error;
    });
    output.print(
      { type: 'summary', command: 'forget', removed },
      [`${formatCount(removed.length, 'snapshot')} removed`, ...removed.map((id) => `  ${id.slice(0, 8)}`)].join('\n'),
    );
    if (options.prune) {
      printPlan(await pruneNow(access, { ...lockOptionsOf(options), graceMs: PRUNE_GRACE_MS, signal: context.signal }), output, false);
    }
    await removeStrayManifests(engine, repository, context.signal);
    return EXIT.done;
  });
}

async function resolveAll({ engine, repository }: OpenedAccess, ids: readonly string[]): Promise<string[]> {
  const resolved = new Set<string>();
  for (const id of ids) resolved.add((await engine.resolveSnapshot(repository, id)).id);
  return [...resolved];
}

/** The ids of all but the newest `keep` snapshots of each host and set of paths. */
export function beyondLast(snapshots: readonly SnapshotSummary[], keep: number): string[] {
  const groups = Map.groupBy(snapshots, (snapshot) => snapshotGroup(snapshot.hostname, snapshot.paths));
  return [...groups.values()].flatMap((group) =>
    group
      .toSorted((one, other) => Date.parse(other.time) - Date.parse(one.time))
      .slice(keep)
      .map((snapshot) => snapshot.id),
  );
}
