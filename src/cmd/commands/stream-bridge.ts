import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { once } from 'node:events';
import * as z from 'zod';
import { BRIDGE_DIRECTORY, BRIDGE_FILE, BRIDGE_SOCKET, BridgeOrders } from '../../api/index.ts';
import type { ProcessContext } from '../command-context.ts';
import { readOptions } from '../command-options.ts';
import { EXIT } from '../exit-status.ts';

const BridgeOptions = z.object({
  orders: z.string().min(1).default(BRIDGE_DIRECTORY),
  socket: z.string().min(1).default(BRIDGE_SOCKET),
  kubeconfig: z.string().min(1).optional(),
});

/** `tenant-backup stream-bridge`: the container beside a mover that reads streams. Runs until it is told to stop, which the kubelet does when the mover has ended. */
export async function streamBridge(given: unknown, { signal }: ProcessContext): Promise<number> {
  const options = readOptions(BridgeOptions, given);
  const orders = BridgeOrders.parse(JSON.parse(await readFile(join(options.orders, BRIDGE_FILE), 'utf8')));
  const [{ KubeConfig, KubeConnection, execInPod }, { serveStreams }] = await Promise.all([import('../../kube/index.ts'), import('../../bridge/index.ts')]);
  const config = new KubeConfig();
  if (options.kubeconfig === undefined) config.loadFromCluster();
  else config.loadFromFile(options.kubeconfig);
  const connection = new KubeConnection(config);
  const server = await serveStreams(orders, options.socket, (at, command, outputs, stop) => execInPod(connection, at, command, outputs, stop), signal);
  if (!signal.aborted) await once(signal, 'abort');
  await server.close();
  connection.close();
  return EXIT.done;
}
