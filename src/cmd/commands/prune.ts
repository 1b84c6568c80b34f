import * as z from 'zod';
import type { PrunePlan, PruneRequest } from '../../restic/contract.ts';
import { reviseManifests } from '../../mover/revise-manifests.ts';
import { strayExports } from '../../mover/stray-exports.ts';
import type { ProcessContext } from '../command-context.ts';
import { RepositoryOptions, readOptions } from '../command-options.ts';
import { EXIT, type ExitStatus } from '../exit-status.ts';
import { lockOptionsOf, RetryLock } from '../lock-options.ts';
import { outputFor, type Output } from '../output.ts';
import { formatBytes, formatCount } from '../quantity.ts';
import { withRepository, type OpenedAccess } from '../repository-access.ts';

/** How long data that nothing needs any more stays for readers and downloads in flight (`docs/layout.md`). */
export const PRUNE_GRACE_MS = 48 * 3_600_000;

const PruneOptions = RepositoryOptions.extend({ dryRun: z.boolean().default(false), now: z.boolean().default(false), retryLock: RetryLock });

/** `tenant-backup prune`: removes data that no snapshot needs. */
export async function prune(given: unknown, context: ProcessContext): Promise<ExitStatus> {
  const options = readOptions(PruneOptions, given);
  const output = outputFor(options, context);
  const progress = output.progress();
  const plan = await withRepository(options, context, ({ engine, repository }) =>
    options.dryRun
      ? engine.planPrune(repository, context.signal, progress.update)
      : pruneNow({ engine, repository }, { ...lockOptionsOf(options), graceMs: options.now ? 0 : PRUNE_GRACE_MS, signal: context.signal, onProgress: progress.update }),
  ).finally(() => progress.end());
  printPlan(plan, output, options.dryRun);
  return EXIT.done;
}

/** Prunes, and writes the next manifest of each snapshot whose files were replaced. */
export function pruneNow({ engine, repository }: Pick<OpenedAccess, 'engine' | 'repository'>, request: Omit<PruneRequest, 'now' | 'onReplace' | 'strayExports'>): Promise<PrunePlan> {
  return engine.prune(repository, {
    ...request,
    now: new Date(),
    onReplace: (replacement) => reviseManifests(engine, repository, replacement, request.signal),
    strayExports: () => strayExports(engine, repository, request.signal),
  });
}

/** Prints what a prune would do or did. */
export function printPlan(plan: PrunePlan, output: Output, dryRun: boolean): void {
  const { packsToDelete, packsKept, bytesKept, bytesFreed, bytesUnused, packsMarked = [], bytesMarked = 0 } = plan;
  output.print(
    { type: 'summary', command: 'prune', dryRun, packsDeleted: packsToDelete, packsKept, bytesKept, bytesFreed, bytesUnused, bytesMarked },
    [
      `${dryRun ? 'would free' : 'freed'} ${formatBytes(bytesFreed)} in ${formatCount(packsToDelete.length, 'pack')}`,
      ...(packsMarked.length === 0 ? [] : [`${formatBytes(bytesMarked)} in ${formatCount(packsMarked.length, 'pack')} are needed no more and go 48 hours after that was first seen`]),
      `kept ${formatBytes(bytesKept)} in ${formatCount(packsKept, 'pack')}, of which ${formatBytes(bytesUnused)} are not needed by any snapshot`,
    ].join('\n'),
  );
}
