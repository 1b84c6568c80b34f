import * as z from 'zod';
import { copyRepository, type CopyRequest } from '../../mover/copy.ts';
import { openStore } from '../../storage/index.ts';
import type { ProcessContext } from '../command-context.ts';
import { readOptions } from '../command-options.ts';
import { EXIT, type ExitStatus } from '../exit-status.ts';
import { outputFor } from '../output.ts';
import { formatBytes, formatCount } from '../quantity.ts';
import { RetainFor } from '../retention-option.ts';
import { transferProgress } from '../transfer-progress.ts';
import { UsageError } from '../usage-error.ts';

const CopyOptions = z.object({
  from: z.string().min(1),
  to: z.string().min(1),
  lock: z.enum(['compliance', 'governance'], 'compliance or governance').optional(),
  retainFor: RetainFor.optional(),
  json: z.boolean().default(false),
});

/** `tenant-backup copy`: a repository, or what is new in it, to another place. Needs no key. */
export async function copy(given: unknown, context: ProcessContext): Promise<ExitStatus> {
  const options = readOptions(CopyOptions, given);
  const lock = lockOf(options);
  const output = outputFor(options, context);
  const progress = output.progress();
  const from = await openStore(options.from);
  const to = await openStore(options.to);
  try {
    const { copied, present, bytesCopied } = await copyRepository({
      from,
      to,
      ...(lock === undefined ? {} : { lock }),
      signal: context.signal,
      onProgress: (done) => progress.update(transferProgress(done)),
    });
    progress.end();
    output.print(
      { type: 'summary', command: 'copy', copied, present, bytesCopied },
      `${formatCount(copied, 'object')} copied (${formatBytes(bytesCopied)}), ${formatCount(present, 'was', 'were')} there already`,
    );
    return EXIT.done;
  } finally {
    progress.end();
    await Promise.all([from.close(), to.close()]);
  }
}

function lockOf({ lock, retainFor }: z.infer<typeof CopyOptions>): CopyRequest['lock'] {
  if (lock === undefined && retainFor === undefined) return undefined;
  if (lock === undefined || retainFor === undefined) throw new UsageError('--lock and --retain-for belong together; give both, such as --lock compliance --retain-for 30d');
  return { mode: lock === 'compliance' ? 'COMPLIANCE' : 'GOVERNANCE', retainForMs: retainFor };
}
