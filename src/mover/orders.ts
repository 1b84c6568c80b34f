import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import { MOVER_CONTRACT_VERSION, MoverOrders, ORDERS_FILE, ReplicationOrders } from '../api/index.ts';
import { MoverError } from './errors.ts';
import { printable } from './printable.ts';

/** What can be told of orders that are refused, so that the refusal reaches the right resource. */
export const OrdersOutline = z.object({
  task: z.enum(['backup', 'restore', 'forget', 'verify']).catch('backup'),
  attempt: z.object({ name: z.string().catch(''), uid: z.string().catch('') }).catch({ name: '', uid: '' }),
});
export type OrdersOutline = z.infer<typeof OrdersOutline>;

export type ReadOrders = { readonly orders: MoverOrders } | { readonly replication: ReplicationOrders } | { readonly refused: MoverError; readonly outline: OrdersOutline };

/** Reads and validates the orders; never throws, for a refusal has to be reported like any other failure. */
export async function readOrders(directory: string): Promise<ReadOrders> {
  const path = join(directory, ORDERS_FILE);
  let json: unknown;
  try {
    json = JSON.parse(await readFile(path, 'utf8'));
  } catch (cause) {
    const outline = OrdersOutline.parse({});
    return { outline, refused: refuse('BadOrders', `${path} cannot be read as JSON; is the Secret of this Job mounted there?`, cause) };
  }
  const read = isReplication(json) ? ReplicationOrders.safeParse(json) : MoverOrders.safeParse(json);
  if (!read.success) return { outline: OrdersOutline.catch(OrdersOutline.parse({})).parse(json), refused: refusalOf(path, json, read.error) };
  const orders = read.data;
  return orders.task === 'replicate' || orders.task === 'collect' ? { replication: orders } : { orders };
}

function isReplication(json: unknown): boolean {
  return z.object({ task: z.enum(['replicate', 'collect']) }).safeParse(json).success;
}

function refusalOf(path: string, json: unknown, error: z.ZodError): MoverError {
  const version = z.object({ version: z.unknown() }).safeParse(json).data?.version;
  if (version !== MOVER_CONTRACT_VERSION) {
    const told = version === undefined ? 'none' : printable(JSON.stringify(version)).slice(0, 40);
    return refuse('UnknownVersion', `${path} has version ${told}, and this mover knows version ${MOVER_CONTRACT_VERSION}; run movers and operator from the same image`);
  }
  const issue = error.issues[0];
  return refuse('BadOrders', `${path}: ${issue?.path.map(String).join('.') ?? ''}: ${issue?.message ?? 'not understood'}; run movers and operator from the same image`);
}

function refuse(code: 'BadOrders' | 'UnknownVersion', message: string, cause?: unknown): MoverError {
  return new MoverError(code, message, { retryable: false, cause });
}
