import * as z from 'zod';
import { TenantId } from '../../api/index.ts';
import type { ProcessContext } from '../command-context.ts';
import { readOptions } from '../command-options.ts';
import { EXIT, type ExitStatus } from '../exit-status.ts';
import { outputFor } from '../output.ts';
import { formatCount } from '../quantity.ts';
import { RetainFor } from '../retention-option.ts';
import { openStoreAt, StoreOptions } from '../store-access.ts';
import { countStates, tellFailures } from './replicate.ts';

const CollectOptions = StoreOptions.extend({
  repository: z.string().min(1),
  retainFor: RetainFor,
  tenant: z.array(TenantId).optional(),
  dryRun: z.boolean().default(false),
});

/** `tenant-backup collect`: removes from the second data center's bucket what nothing has needed for as long as it was locked. */
export async function collectReplica(given: unknown, context: ProcessContext): Promise<ExitStatus> {
  const options = readOptions(CollectOptions, given);
  const output = outputFor(options, context);
  const { collectLocation } = await import('../../mover/index.ts');
  const progress = output.progress();
  const replica = await openStoreAt('--repository', options.repository, options, context);
  try {
    const { tenants, failure, tally } = await collectLocation({
      replica,
      // How it is locked does not matter to what removes only what is not.
      lock: { mode: 'COMPLIANCE', retainForMs: options.retainFor },
      shard: 0,
      shards: 1,
      tenants: options.tenant,
      released: [],
      dryRun: options.dryRun,
      signal: context.signal,
      now: () => Date.now(),
      onProgress: ({ collected }) => progress.update({ filesDone: collected, bytesDone: 0, bytesAdded: 0, unit: 'object' }),
    });
    progress.end();
    context.signal.throwIfAborted();
    tellFailures(output, tenants, failure);
    const states = countStates(tenants);
    output.print(
      { type: 'summary', command: 'collect', dryRun: options.dryRun, collected: tally.collected, waiting: states.waiting, failed: states.failed },
      `${formatCount(tally.collected, 'version')} of ${formatCount(tenants.length, 'tenant')} ${options.dryRun ? 'would go' : 'removed'}` + (states.waiting > 0 ? `; ${formatCount(states.waiting, 'tenant')} still held by locks` : ''),
    );
    return failure !== undefined || states.failed > 0 ? EXIT.failed : EXIT.done;
  } finally {
    progress.end();
    await replica.close();
  }
}
