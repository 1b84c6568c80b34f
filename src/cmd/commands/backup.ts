import { hostname } from 'node:os';
import { resolve } from 'node:path';
import * as z from 'zod';
import { NO_TENANT } from '../../mover/manifest.ts';
import { publishManifest } from '../../mover/manifest-store.ts';
import type { BackupOutcome, BackupSource, SnapshotSummary, StreamSource } from '../../restic/contract.ts';
import type { ProcessContext } from '../command-context.ts';
import { RepositoryOptions, readOptions } from '../command-options.ts';
import { EXIT, type ExitStatus } from '../exit-status.ts';
import { lockOptionsOf, RetryLock } from '../lock-options.ts';
import { outputFor, printWarnings, type Output } from '../output.ts';
import { Pattern } from '../pattern-option.ts';
import { formatBytes, formatCount, formatDuration, formatNumber } from '../quantity.ts';
import { withRepository, type OpenedAccess } from '../repository-access.ts';
import { snapshotGroup } from '../snapshot-group.ts';
import { tenantOf } from '../tenant-of-url.ts';
import { UsageError } from '../usage-error.ts';

const ABSOLUTE = 'a path of a snapshot is absolute and without "..", such as /volumes/data';

const BackupOptions = RepositoryOptions.extend({
  source: z.array(z.string().min(1)).default([]),
  stdinFilename: z
    .string()
    .startsWith('/', ABSOLUTE)
    .refine((path) => !path.split('/').includes('..'), ABSOLUTE)
    .refine((path) => !/(?:^|\/)\.?$/.test(path), 'the path of a file, with its name, such as /streams/db.sql')
    .optional(),
  as: z.array(z.string().startsWith('/', ABSOLUTE).refine((path) => !path.split('/').includes('..'), ABSOLUTE)).default([]),
  tag: z.array(z.string().min(1).refine((tag) => !tag.includes(','), 'a tag cannot hold a comma')).default([]),
  exclude: z.array(Pattern).default([]),
  host: z.string().min(1).optional(),
  parent: z.string().min(1).optional(),
  force: z.boolean().default(false),
  ignoreInode: z.boolean().default(false),
  crossFileSystems: z.boolean().default(false),
  compression: z.enum(['auto', 'max', 'off'], 'auto, max or off').default('auto'),
  retryLock: RetryLock,
});
type BackupOptions = z.infer<typeof BackupOptions>;

/** `tenant-backup backup`: one new snapshot of one or several directories. */
export async function backup(given: unknown, context: ProcessContext): Promise<ExitStatus> {
  const options = readOptions(BackupOptions, given);
  const sources = sourcesOf(options);
  const streams = streamsOf(options, context);
  refuseNested([...sources.map(({ directory, as = directory }) => as), ...streams.map(({ as }) => as)]);
  const output = outputFor(options, context);
  const outcome = await withRepository(options, context, (access) => run(access, options, { sources, streams }, output, context));
  return report(outcome, options, output);
}

async function run(
  { engine, repository }: OpenedAccess,
  options: BackupOptions,
  { sources, streams }: { readonly sources: readonly BackupSource[]; readonly streams: readonly StreamSource[] },
  output: Output,
  context: ProcessContext,
): Promise<BackupOutcome> {
  const snapshotHostname = options.host ?? hostname();
  const paths = [...sources.map((source) => source.as ?? source.directory), ...streams.map(({ as }) => as)];
  const parent = await parentOf({ engine, repository }, options, snapshotHostname, paths, context.signal);
  const progress = output.progress();
  try {
    const outcome = await engine.backup(repository, {
      sources,
      streams,
      snapshotHostname,
      ...lockOptionsOf(options),
      tags: options.tag,
      excludes: options.exclude,
      parent,
      ignoreInodeAndCtime: options.ignoreInode,
      compression: options.compression,
      crossFileSystems: options.crossFileSystems,
      signal: context.signal,
      onProgress: progress.update,
    });
    const { id: tenant, generation } = tenantOf(options) ?? { id: NO_TENANT, generation: 1 };
    // Last, as the movers do: with it, export and copy need no key.
    await publishManifest(engine, repository, { tenant, generation, reach: outcome.reach, complete: outcome.complete, like: outcome.parent, createdAt: new Date(), signal: context.signal });
    return outcome;
  } finally {
    progress.end();
  }
}

/** Relative sources are resolved once, here; the snapshot shows absolute paths. */
function sourcesOf(options: BackupOptions): BackupSource[] {
  if (options.as.length > 0 && options.as.length !== options.source.length) {
    throw new UsageError(`--as is given ${options.as.length} times and --source ${options.source.length} times; give one --as for each --source`);
  }
  const sources = options.source.map((source, place) => {
    const as = options.as[place];
    return { directory: resolve(source), ...(as === undefined ? {} : { as }) };
  });
  const shown = sources.map((source) => source.as ?? source.directory);
  const twice = shown.find((path, place) => shown.indexOf(path) !== place);
  if (twice !== undefined) throw new UsageError(`${twice} is given twice; a snapshot shows each path once`);
  return sources;
}

/** A path cannot be shown inside another one that is backed up as well: it would be there twice. */
function refuseNested(paths: readonly string[]): void {
  const folders = paths.map((path) => `${path.replace(/\/+$/, '')}/`);
  for (const [place, inner] of folders.entries()) {
    const outer = folders.findIndex((folder, other) => other !== place && inner.startsWith(folder));
    if (outer >= 0) throw new UsageError(`${paths[place] ?? ''} lies within ${paths[outer] ?? ''}, which is backed up too; name the outer one alone, or show one of them elsewhere with --as`);
  }
}

/** Whether what writes to standard input succeeds is not known here: use a shell that fails with it (`set -o pipefail`). */
function streamsOf({ stdinFilename, source, secretKeyFile }: BackupOptions, context: ProcessContext): StreamSource[] {
  if (stdinFilename === undefined) {
    if (source.length === 0) throw new UsageError('nothing is named to back up; give --source DIR, or --stdin-filename PATH to store standard input');
    return [];
  }
  if (secretKeyFile === '-') throw new UsageError('--secret-key-file - and --stdin-filename both read standard input; give the key as a file or /dev/fd/3');
  const { stdin } = context;
  if (stdin.isTTY === true) throw new UsageError('--stdin-filename stores standard input, which is a terminal; pipe something into it');
  return [{ as: stdinFilename, open: () => stdin }];
}

async function parentOf(
  { engine, repository }: OpenedAccess,
  options: BackupOptions,
  host: string,
  paths: readonly string[],
  signal: AbortSignal,
): Promise<string | undefined> {
  if (options.force) return undefined;
  if (options.parent !== undefined) return (await engine.resolveSnapshot(repository, options.parent)).id;
  return newestOf(await engine.listSnapshots(repository, signal), host, paths)?.id;
}

/** The newest snapshot of the same host and the same set of paths. */
export function newestOf(snapshots: readonly SnapshotSummary[], host: string, paths: readonly string[]): SnapshotSummary | undefined {
  const group = snapshotGroup(host, paths);
  return snapshots
    .filter((snapshot) => snapshotGroup(snapshot.hostname, snapshot.paths) === group)
    .toSorted((one, other) => Date.parse(other.time) - Date.parse(one.time))[0];
}

function report(outcome: BackupOutcome, options: BackupOptions, output: Output): ExitStatus {
  printWarnings(outcome, output);
  if (outcome.files === 0) {
    const message = `no file was backed up; ${options.exclude.length > 0 ? 'do the excludes leave out too much, or is' : 'is'} a volume not mounted?`;
    output.warn({ type: 'warning', kind: 'nothing-backed-up', path: '/', message }, `warning: ${message}`);
  }
  const { snapshotId, parent, complete, files, directories, filesUnchanged, bytesProcessed, bytesAdded, warningCount, durationMs } = outcome;
  output.print(
    { type: 'summary', command: 'backup', snapshotId, parent, complete, files, directories, filesUnchanged, bytesProcessed, bytesAdded, warningCount, durationMs },
    [
      `snapshot ${snapshotId.slice(0, 8)} stored${complete ? '' : ', incomplete: not every file could be read'}`,
      `${formatCount(files, 'file')} (${formatNumber(filesUnchanged)} unchanged), ${formatCount(directories, 'directory', 'directories')}, ` +
        `${formatBytes(bytesProcessed)} in ${formatDuration(durationMs)}; ${formatBytes(bytesAdded)} added to the repository`,
    ].join('\n'),
  );
  return complete ? EXIT.done : EXIT.incomplete;
}
