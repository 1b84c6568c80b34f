import * as z from 'zod';
import { importFile } from '../../mover/import.ts';
import type { ProcessContext } from '../command-context.ts';
import { readOptions } from '../command-options.ts';
import { EXIT, type ExitStatus } from '../exit-status.ts';
import { outputFor } from '../output.ts';
import { formatBytes, formatCount } from '../quantity.ts';
import { StoreOptions, withStore } from '../store-access.ts';
import { transferProgress } from '../transfer-progress.ts';

const INPUT_IS_FILE = 'import checks the whole before it stores a byte, so it cannot read a pipe; save it as a file first';

const ImportOptions = StoreOptions.extend({ input: z.string().min(1).refine((input) => input !== '-', INPUT_IS_FILE), repository: z.string().min(1) });

/** `tenant-backup import`: checks a file that `export` made and lays it into a new repository of its own. Needs no key. */
export async function importCommand(given: unknown, context: ProcessContext): Promise<ExitStatus> {
  const options = readOptions(ImportOptions, given);
  const output = outputFor(options, context);
  const progress = output.progress();
  const outcome = await withStore(options, context, (store) =>
    importFile({ input: options.input, store, signal: context.signal, onProgress: (done) => progress.update(transferProgress(done)) }),
  ).finally(() => progress.end());
  const { snapshot, files, size, owner } = outcome;
  output.print(
    { type: 'summary', command: 'import', snapshotId: snapshot, files, size, tenant: owner?.tenant, generation: owner?.generation },
    `snapshot ${snapshot.slice(0, 8)} imported (${formatCount(files, 'object')}, ${formatBytes(size)}); whether it is whole only its key can tell: run check`,
  );
  return EXIT.done;
}
