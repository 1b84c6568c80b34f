import * as z from 'zod';
import type { CheckOutcome, CheckRequest } from '../../restic/contract.ts';
import type { ProcessContext } from '../command-context.ts';
import { RepositoryOptions, readOptions } from '../command-options.ts';
import { EXIT, type ExitStatus } from '../exit-status.ts';
import { lockOptionsOf, RetryLock } from '../lock-options.ts';
import { outputFor, type Output } from '../output.ts';
import { printable } from '../../mover/printable.ts';
import { formatCount, formatNumber } from '../quantity.ts';
import { StorageError } from '../../storage/index.ts';
import { withRepository } from '../repository-access.ts';

/** Parts are told apart by one byte. */
const MOST_PARTS = 256;

const CheckOptions = RepositoryOptions.extend({
  retryLock: RetryLock,
  /** commander's form of `--no-lock`. */
  lock: z.boolean().default(true),
  readData: z.boolean().default(false),
  readDataSubset: z
    .string()
    .regex(/^([0-9]+(\.[0-9]+)?%|[0-9]+\/[0-9]+)$/, 'a share of the packs, such as 10%, or one part of so many, such as 3/10')
    .transform(subsetOf)
    .refine((subset) => 'part' in subset || (subset.percent > 0 && subset.percent <= 100), 'a share above 0% and up to 100%')
    .refine((subset) => !('part' in subset) || (subset.part >= 1 && subset.part <= subset.of && subset.of <= MOST_PARTS), `a part from 1 on of ${MOST_PARTS} at most, such as 3/10`)
    .optional(),
});

/** `10%`, or `3/10` as restic has it: the same packs each time, and all of them in ten runs. */
function subsetOf(text: string): { readonly percent: number } | { readonly part: number; readonly of: number } {
  const [part, of] = text.split('/').map(Number);
  return of === undefined ? { percent: Number(text.slice(0, -1)) } : { part: part ?? 0, of };
}

/** `tenant-backup check`: whether everything that the snapshots need is there and sound; exit status 6 when it is not. */
export async function check(given: unknown, context: ProcessContext): Promise<ExitStatus> {
  const options = readOptions(CheckOptions, given);
  const output = outputFor(options, context);
  const readData: CheckRequest['readData'] = options.readData ? 'all' : (options.readDataSubset ?? 'none');
  const progress = output.progress();
  const outcome = await withRepository(options, context, ({ engine, repository }) =>
    engine.check(repository, { readData, lock: options.lock ? lockOptionsOf(options) : undefined, signal: context.signal, onProgress: progress.update }),
  ).catch((error: unknown) => {
    throw withoutLock(error);
  }).finally(() => progress.end());
  return report(outcome, output);
}

/** Who may only read can check all the same. */
function withoutLock(error: unknown): unknown {
  if (!(error instanceof StorageError) || !String(error.context['key']).startsWith('locks/')) return error;
  const { code, message, retryable, context, cause } = error;
  if (code !== 'AccessDenied' && code !== 'NoSpace') return error;
  return new StorageError(code, `${message}. To check a repository that cannot be written, run it again with --no-lock, while nobody prunes`, { retryable, context, cause });
}

function report({ problems, packsChecked, packsRead, snapshots }: CheckOutcome, output: Output): ExitStatus {
  for (const problem of problems) {
    output.warn({ type: 'problem', ...problem }, printable(`damaged: ${problem.object}: ${problem.message}`));
  }
  output.print(
    { type: 'summary', command: 'check', problems: problems.length, snapshots, packsChecked, packsRead },
    `${formatCount(snapshots, 'snapshot')} and ${formatCount(packsChecked, 'pack')} checked, ${formatNumber(packsRead)} of them read whole: ` +
      (problems.length === 0 ? 'no damage found' : `${formatCount(problems.length, 'problem')}; docs/errors.md, "When something is damaged", says how to mend it and what can still be restored`),
  );
  return problems.length === 0 ? EXIT.done : EXIT.damaged;
}
