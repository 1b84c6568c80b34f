import { resolve } from 'node:path';
import * as z from 'zod';
import type { RestoreOutcome } from '../../restic/contract.ts';
import { EngineError } from '../../restic/errors.ts';
import type { ProcessContext } from '../command-context.ts';
import { RepositoryOptions, readOptions } from '../command-options.ts';
import { EXIT, type ExitStatus } from '../exit-status.ts';
import { outputFor, printWarnings, type Output } from '../output.ts';
import { Pattern } from '../pattern-option.ts';
import { formatBytes, formatCount, formatDuration, formatNumber } from '../quantity.ts';
import { withRepository, type OpenedAccess } from '../repository-access.ts';
import { UsageError } from '../usage-error.ts';

const RestoreOptions = RepositoryOptions.extend({
  snapshot: z.string().min(1),
  target: z.string().min(1),
  subtree: z.string().startsWith('/', 'a path of a snapshot is absolute, such as /volumes/data').default('/'),
  include: z.array(Pattern).default([]),
  exclude: z.array(Pattern).default([]),
  deleteExtra: z.boolean().default(false),
  dryRun: z.boolean().default(false),
  skipDamaged: z.boolean().default(false),
});
type RestoreOptions = z.infer<typeof RestoreOptions>;

/** `tenant-backup restore`: a snapshot, or what lies below one of its paths, into a directory. */
export async function restore(given: unknown, context: ProcessContext): Promise<ExitStatus> {
  const options = readOptions(RestoreOptions, given);
  const output = outputFor(options, context);
  return withRepository(options, context, async (access) => {
    const snapshot = await access.engine.resolveSnapshot(access.repository, options.snapshot);
    return report(await run(access, snapshot.id, options, output, context), snapshot.id, options, output);
  });
}

async function run(
  { engine, repository }: OpenedAccess,
  snapshot: string,
  options: RestoreOptions,
  output: Output,
  context: ProcessContext,
): Promise<RestoreOutcome> {
  const progress = output.progress();
  try {
    return await engine.restore(repository, {
      snapshot,
      subtree: options.subtree,
      target: resolve(options.target),
      includes: options.include,
      excludes: options.exclude,
      deleteExtra: options.deleteExtra,
      dryRun: options.dryRun,
      skipDamaged: options.skipDamaged,
      signal: context.signal,
      onProgress: progress.update,
    });
  } catch (error) {
    // The snapshot is there, its path is not: what the options say cannot be.
    if (error instanceof EngineError && error.code === 'NoSuchSnapshot' && 'path' in error.context) throw new UsageError(`--subtree ${options.subtree}: ${error.message}`);
    throw error;
  } finally {
    progress.end();
  }
}

function report(outcome: RestoreOutcome, snapshotId: string, options: RestoreOptions, output: Output): ExitStatus {
  printWarnings(outcome, output);
  if (options.include.length > 0 && outcome.files === 0 && outcome.directories === 0) {
    const message = `no file and no directory of snapshot ${snapshotId.slice(0, 8)} matches --include; see its paths with ls`;
    output.warn({ type: 'warning', kind: 'nothing-selected', path: options.subtree, message }, `warning: ${message}`);
  }
  const { files, directories, filesSkippedIdentical, bytesWritten, deleted, complete, warningCount, durationMs } = outcome;
  const { dryRun } = options;
  output.print(
    { type: 'summary', command: 'restore', snapshotId, dryRun, complete, files, directories, filesSkippedIdentical, bytesWritten, deleted, warningCount, durationMs: Math.round(durationMs) },
    [
      `snapshot ${snapshotId.slice(0, 8)} ${dryRun ? 'would be restored (nothing was written)' : 'restored'}${complete ? '' : ', incomplete: see the warnings'}`,
      `${formatCount(files, 'file')} (${formatNumber(filesSkippedIdentical)} identical already), ${formatCount(directories, 'directory', 'directories')}, ` +
        `${formatBytes(bytesWritten)} written, ${formatNumber(deleted)} deleted, in ${formatDuration(durationMs)}`,
    ].join('\n'),
  );
  return complete ? EXIT.done : EXIT.incomplete;
}
