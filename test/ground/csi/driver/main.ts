// A CSI driver for tests: volumes are folders of this machine, snapshots are copies of them. Everything that the sidecars
// and the kubelet call is real; what is missing beside a product is expansion, staging and block devices in pods.
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Empty } from './messages.ts';
import { identity, registration } from './identity.ts';
import { nodeMethods } from './node.ts';
import { quiescer, releaseStopped } from './quiesce.ts';
import { method, serve, serviceOf } from './rpc.ts';
import { groupMethods, snapshotMethods } from './snapshots.ts';
import { Storage } from './storage.ts';
import { volumeMethods } from './volumes.ts';

const { values: options } = parseArgs({
  options: {
    /** The driver's name. */
    name: { type: 'string' },
    node: { type: 'string' },
    /** The socket of the driver. */
    socket: { type: 'string' },
    /** The socket on which the kubelet finds it; none without a kubelet. */
    registration: { type: 'string' },
    /** Where volumes and snapshots are kept. */
    directory: { type: 'string' },
    /** Where `csi.proto` and `registration.proto` are. */
    protocols: { type: 'string' },
    /** Pods are the processes whose control group's path has this in it; without it nobody is stopped for a snapshot. */
    pods: { type: 'string' },
  },
});

function given(name: 'name' | 'node' | 'socket' | 'directory' | 'protocols'): string {
  const value = options[name];
  if (value === undefined) throw new Error(`--${name} must be given`);
  return value;
}

const controllerCapabilities = ['CREATE_DELETE_VOLUME', 'LIST_VOLUMES', 'CREATE_DELETE_SNAPSHOT', 'LIST_SNAPSHOTS', 'CLONE_VOLUME', 'SINGLE_NODE_MULTI_WRITER'];

const [name, node, socket] = [given('name'), given('node'), given('socket')];
const topology = { [`topology.${name}/node`]: node };
const storage = new Storage(given('directory'));
await storage.open();
await releaseStopped(storage.directory);
const quiesce = quiescer(storage, options.pods);
const protocol = join(given('protocols'), 'csi.proto');
await serve(socket, [
  [serviceOf(protocol, 'csi.v1.Identity'), identity(name)],
  [
    serviceOf(protocol, 'csi.v1.Controller'),
    {
      ControllerGetCapabilities: method(Empty, () => ({ capabilities: controllerCapabilities.map((type) => ({ rpc: { type } })) })),
      ...volumeMethods(storage, topology),
      ...snapshotMethods(storage, quiesce),
    },
  ],
  [serviceOf(protocol, 'csi.v1.GroupController'), groupMethods(storage, quiesce)],
  [serviceOf(protocol, 'csi.v1.Node'), nodeMethods(storage, node, topology)],
]);
if (options.registration !== undefined) {
  const definition = serviceOf(join(given('protocols'), 'registration.proto'), 'pluginregistration.Registration');
  await serve(options.registration, [[definition, registration(name, socket)]]);
}
console.error(`${name} answers on ${socket}`);
