import { readFileSync } from 'node:fs';
import * as z from 'zod';
import { BRIDGE_SOCKET, ORDERS_DIRECTORY, SHARD_VARIABLE } from '../../api/index.ts';
import type { ProcessContext } from '../command-context.ts';
import { readOptions } from '../command-options.ts';

const MoverOptions = z.object({
  orders: z.string().min(1).default(ORDERS_DIRECTORY),
  bridge: z.string().min(1).default(BRIDGE_SOCKET),
  terminationMessage: z.string().min(1).default('/dev/termination-log'),
});

/** `tenant-backup mover`: what a Job runs. Its exit statuses are those of the mover's contract. */
export async function mover(given: unknown, context: ProcessContext): Promise<number> {
  const options = readOptions(MoverOptions, given);
  const [{ runMover }, engine] = await Promise.all([import('../../mover/index.ts'), import('../../restic/index.ts')]);
  return runMover({
    ordersDirectory: options.orders,
    terminationMessage: options.terminationMessage,
    write: (text) => void context.stdout.write(text),
    signal: context.signal,
    engine,
    bridgeSocket: options.bridge,
    now: () => Date.now(),
    shard: shardOf(process.env[SHARD_VARIABLE]),
    peakMemory: () => process.resourceUsage().maxRSS * 1024,
    bytesRead,
  });
}

/** As the kernel counts it, worker threads included: proc(5), `/proc/pid/io`. */
function bytesRead(): number | undefined {
  try {
    const count = /^rchar: ([0-9]+)$/m.exec(readFileSync('/proc/self/io', 'utf8'))?.[1];
    return count === undefined ? undefined : Number(count);
  } catch {
    return undefined;
  }
}

/** Which pod of an Indexed Job this is. */
function shardOf(text: string | undefined): number | undefined {
  return text !== undefined && /^[0-9]{1,3}$/.test(text) ? Number(text) : undefined;
}
