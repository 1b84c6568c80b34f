import * as z from 'zod';
import { copyRepository, type CopyRequest } from '../../mover/copy.ts';
import type { ProcessContext } from '../command-context.ts';
import { readOptions } from '../command-options.ts';
import { EXIT, type ExitStatus } from '../exit-status.ts';
import { outputFor } from '../output.ts';
import { formatBytes, formatCount } from '../quantity.ts';
import { openStoreAt, StoreOptions } from '../store-access.ts';
import { RetainFor } from '../retention-option.ts';
import { transferProgress } from '../transfer-progress.ts';
import { UsageError } from '../usage-error.ts';

const CopyOptions = StoreOptions.extend({
  from: z.string().min(1),
  to: z.string().min(1),
  lock: z.enum(['compliance', 'governance'], 'compliance or governance').optional(),
  retainFor: RetainFor.optional(),
});

/** `tenant-backup copy`: a repository, or what is new in it, to another place. Needs no key. */
export async function copy(given: unknown, context: ProcessContext): Promise<ExitStatus> {
  const options = readOptions(CopyOptions, given);
  const lock = lockOf(options);
  const output = outputFor(options, context);
  const progress = output.progress();
  const from = await openStoreAt('--from', options.from, options, context);
  const to = await openStoreAt('--to', options.to, options, context);
  try {
    refuseOverlap(options, from.location, to.location);
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
  } catch (error) {
    await to.removeMadeFolders?.();
    throw error;
  } finally {
    progress.end();
    await Promise.all([from.close(), to.close()]);
  }
}

/** A copy inside its own source would be listed, and copied, as part of it. */
function refuseOverlap(options: z.infer<typeof CopyOptions>, from: string, to: string): void {
  if (endpointOf(options.from) !== endpointOf(options.to)) return;
  if (!`${from}/`.startsWith(`${to}/`) && !`${to}/`.startsWith(`${from}/`)) return;
  throw new UsageError(`--to ${to}: it ${from === to ? 'is the source itself' : 'lies in the source, or the source in it'}; name another place`);
}

function endpointOf(url: string): string | null {
  return URL.canParse(url) ? new URL(url).searchParams.get('endpoint') : null;
}

function lockOf({ lock, retainFor }: z.infer<typeof CopyOptions>): CopyRequest['lock'] {
  if (lock === undefined && retainFor === undefined) return undefined;
  if (lock === undefined || retainFor === undefined) throw new UsageError('--lock and --retain-for belong together; give both, such as --lock compliance --retain-for 30d');
  return { mode: lock === 'compliance' ? 'COMPLIANCE' : 'GOVERNANCE', retainForMs: retainFor };
}
