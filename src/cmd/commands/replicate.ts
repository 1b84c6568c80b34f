import * as z from 'zod';
import { TenantId, type MoverFailure, type ReplicaFinding, type ReplicatedTenant } from '../../api/index.ts';
import type { ProcessContext } from '../command-context.ts';
import { readOptions } from '../command-options.ts';
import { EXIT, type ExitStatus } from '../exit-status.ts';
import { outputFor, type Output } from '../output.ts';
import { formatBytes, formatCount } from '../quantity.ts';
import { parseStoreUrl } from '../../storage/index.ts';
import { RetainFor } from '../retention-option.ts';
import { openStoreAt, StoreOptions } from '../store-access.ts';
import { UsageError } from '../usage-error.ts';
import { printable } from '../../mover/printable.ts';

const ReplicateOptions = StoreOptions.extend({
  from: z.string().min(1),
  to: z.string().min(1),
  lock: z.enum(['compliance', 'governance'], 'compliance or governance'),
  retainFor: RetainFor,
  tenant: z.array(TenantId).optional(),
  released: z.array(TenantId).default([]),
  serverSideCopy: z.boolean().default(false),
  concurrency: z.string().regex(/^[1-9][0-9]{0,2}$/, 'a number from 1 to 999').transform(Number).default(32),
});

/** `tenant-backup replicate`: every tenant of a location into the second data center's bucket. Needs no key. */
export async function replicate(given: unknown, context: ProcessContext): Promise<ExitStatus> {
  const options = readOptions(ReplicateOptions, given);
  const output = outputFor(options, context);
  const { replicateLocation, ServiceCopier } = await import('../../mover/index.ts');
  const progress = output.progress();
  const source = await openStoreAt('--from', options.from, options, context);
  const replica = await openStoreAt('--to', options.to, options, context);
  try {
    const { tenants, findings, failure, tally } = await replicateLocation({
      source,
      replica,
      lock: { mode: options.lock === 'compliance' ? 'COMPLIANCE' : 'GOVERNANCE', retainForMs: options.retainFor },
      shard: 0,
      shards: 1,
      tenants: options.tenant,
      released: options.released,
      concurrency: options.concurrency,
      ...(options.serverSideCopy ? { byService: new ServiceCopier(sourceBucket(options), (message) => output.warn({ type: 'warning', kind: 'NotByService', path: '', message }, printable(message))) } : {}),
      signal: context.signal,
      now: () => Date.now(),
      onProgress: ({ objects, bytes }) => progress.update({ filesDone: objects, bytesDone: bytes, bytesAdded: bytes, unit: 'object' }),
    });
    progress.end();
    context.signal.throwIfAborted();
    tellFindings(output, findings);
    tellFailures(output, tenants, failure);
    const states = countStates(tenants);
    output.print(
      { type: 'summary', command: 'replicate', ...states, objects: tally.objects, bytes: tally.bytes, byService: tally.byService, extended: tally.extended, findings: findings.length },
      `${formatCount(tenants.length, 'tenant')}: ${states.done} up to date, ${states.diverged} diverged, ${states.waiting} waiting, ${states.failed} failed; ${formatCount(tally.objects, 'object')} copied (${formatBytes(tally.bytes)}), ${formatCount(tally.extended, 'lock')} extended`,
    );
    if (failure !== undefined || states.failed > 0) return EXIT.failed;
    return states.diverged > 0 ? EXIT.damaged : EXIT.done;
  } finally {
    progress.end();
    await Promise.all([source.close(), replica.close()]);
  }
}

/** Where the tenants lie in the bucket that `--from` names. @throws {UsageError} where `--to` is not of the same service. */
function sourceBucket({ from, to }: Pick<z.infer<typeof ReplicateOptions>, 'from' | 'to'>): { readonly bucket: string; readonly key: string } {
  const [source, target] = [parseStoreUrl(from), parseStoreUrl(to)];
  if (source.kind !== 's3' || target.kind !== 's3' || source.endpoint !== target.endpoint) {
    throw new UsageError('--server-side-copy: --from and --to are not of one S3 service; leave it out, and the objects go through this machine');
  }
  return { bucket: source.bucket, key: `${source.prefix}tenants` };
}

function tellFindings(output: Output, findings: readonly ReplicaFinding[]): void {
  for (const { tenant, kind, message, names } of findings) {
    output.warn({ type: 'finding', tenant, kind, message, names }, printable(`${tenant}: ${message} ${names.join(' ')}`));
  }
}

/** Why tenants could not be worked on, and why the work ended early. */
export function tellFailures(output: Output, tenants: readonly ReplicatedTenant[], early: MoverFailure | undefined): void {
  for (const { tenant, failure } of tenants) {
    if (failure !== undefined) output.warn({ type: 'warning', kind: failure.code, path: tenant, message: failure.message }, printable(`${tenant}: ${failure.message}`));
  }
  if (early !== undefined) output.warn({ type: 'warning', kind: early.code, path: '', message: early.message }, printable(`ended early: ${early.message}`));
}

export function countStates(tenants: readonly ReplicatedTenant[]): Record<ReplicatedTenant['state'], number> {
  const states = { done: 0, waiting: 0, failed: 0, diverged: 0 };
  for (const { state } of tenants) states[state] += 1;
  return states;
}
