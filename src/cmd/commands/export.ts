import * as z from 'zod';
import { exportSnapshot } from '../../mover/export.ts';
import { NO_TENANT } from '../../mover/manifest.ts';
import { publishManifest, readManifest } from '../../mover/manifest-store.ts';
import { EngineError } from '../../restic/errors.ts';
import type { ObjectStore } from '../../storage/index.ts';
import type { ProcessContext } from '../command-context.ts';
import { RepositoryOptions, readOptions } from '../command-options.ts';
import { EXIT, type ExitStatus } from '../exit-status.ts';
import { outputFor } from '../output.ts';
import { formatBytes } from '../quantity.ts';
import { withRepository } from '../repository-access.ts';
import { withStore } from '../store-access.ts';
import { tenantOf } from '../tenant-of-url.ts';
import { transferProgress } from '../transfer-progress.ts';

const OUTPUT_IS_FILE = 'export writes a file, which appears whole or not at all, and nothing to stdout; name one that does not exist yet, such as backup.tar';

const ExportOptions = RepositoryOptions.extend({ snapshot: z.string().min(1), output: z.string().min(1).refine((output) => output !== '-', OUTPUT_IS_FILE) });
type ExportOptions = z.infer<typeof ExportOptions>;

/**
 * `tenant-backup export`: one snapshot with all it needs, in one file. Needs no key where the snapshot has a manifest, as the operator's
 * all have; a key that is given makes one where it is missing.
 */
export async function exportCommand(given: unknown, context: ProcessContext): Promise<ExitStatus> {
  const options = readOptions(ExportOptions, given);
  const output = outputFor(options, context);
  const snapshot = hasKey(options) ? await ensureManifest(options, context) : options.snapshot;
  const progress = output.progress();
  const outcome = await withStore(options, context, (store) =>
    exportSnapshot({
      store,
      snapshot,
      output: options.output,
      signal: context.signal,
      onProgress: (done) => progress.update(transferProgress(done)),
    }),
  ).finally(() => progress.end());
  const { size, files, complete } = outcome;
  output.print(
    { type: 'summary', command: 'export', snapshotId: outcome.snapshot, output: options.output, size, files, complete },
    `snapshot ${outcome.snapshot.slice(0, 8)} written to ${options.output} (${formatBytes(size)})${complete ? '' : ', incomplete: some files could not be read when it was made'}; its README.txt tells how to open it with restic`,
  );
  return EXIT.done;
}

function hasKey(options: RepositoryOptions): boolean {
  return options.kms.length > 0 || options.secretKeyFile !== undefined;
}

/** The revision that a reader without a key goes by; `undefined` where that is damaged. */
async function newestRevision(store: ObjectStore, snapshot: string, signal: AbortSignal): Promise<number | undefined> {
  try {
    return (await readManifest(store, snapshot, { signal }))?.rev;
  } catch (error) {
    if (error instanceof EngineError && error.code === 'Damaged') return undefined;
    throw error;
  }
}

/** Resolves to the snapshot's whole id. */
function ensureManifest(options: ExportOptions, context: ProcessContext): Promise<string> {
  const { signal } = context;
  return withRepository(options, context, async ({ engine, repository }) => {
    const { id, time, summary } = await engine.resolveSnapshot(repository, options.snapshot);
    const standing = await readManifest(repository.store, id, { mac: (json) => engine.manifestMac(repository, json), signal });
    if (standing !== undefined && standing.rev === (await newestRevision(repository.store, id, signal))) return id;
    const tenant = tenantOf(options) ?? { id: NO_TENANT, generation: 1 };
    const reach = await engine.reachOf(repository, id, signal);
    await publishManifest(engine, repository, { tenant: tenant.id, generation: tenant.generation, reach, complete: standing?.complete ?? summary?.['incomplete'] !== true, createdAt: new Date(time), signal });
    return id;
  });
}
