import { hostname } from 'node:os';
import * as z from 'zod';
import type { PrunePlan } from '../../restic/contract.ts';
import type { ProcessContext } from '../command-context.ts';
import { RepositoryOptions, readOptions } from '../command-options.ts';
import { EXIT, type ExitStatus } from '../exit-status.ts';
import { outputFor, type Output } from '../output.ts';
import { formatBytes, formatCount } from '../quantity.ts';
import { withRepository } from '../repository-access.ts';

/** How long data that nothing needs any more stays for readers and downloads in flight (`docs/layout.md`). */
export const PRUNE_GRACE_MS = 48 * 3_600_000;

const PruneOptions = RepositoryOptions.extend({ dryRun: z.boolean().default(false), now: z.boolean().default(false) });

/** `tenant-backup prune`: removes data that no snapshot needs. */
export async function prune(given: unknown, context: ProcessContext): Promise<ExitStatus> {
  const options = readOptions(PruneOptions, given);
  const output = outputFor(options, context);
  const plan = await withRepository(options, context, ({ engine, repository }) =>
    options.dryRun
      ? engine.planPrune(repository, context.signal)
      : engine.prune(repository, { hostname: hostname(), graceMs: options.now ? 0 : PRUNE_GRACE_MS, now: new Date(), signal: context.signal }),
  );
  printPlan(plan, output, options.dryRun);
  return EXIT.done;
}

/** Prints what a prune would do or did. */
export function printPlan(plan: PrunePlan, output: Output, dryRun: boolean): void {
  const { packsToDelete, packsKept, bytesKept, bytesFreed, bytesUnused } = plan;
  output.print(
    { type: 'summary', command: 'prune', dryRun, packsDeleted: packsToDelete, packsKept, bytesKept, bytesFreed, bytesUnused },
    [
      `${dryRun ? 'would free' : 'freed'} ${formatBytes(bytesFreed)} in ${formatCount(packsToDelete.length, 'pack')}`,
      `kept ${formatBytes(bytesKept)} in ${formatCount(packsKept, 'pack')}, of which ${formatBytes(bytesUnused)} are not needed by any snapshot`,
    ].join('\n'),
  );
}
