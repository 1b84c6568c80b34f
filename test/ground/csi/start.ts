// CSI on the ground: the driver, the sidecars that a product's driver has too, the kinds of snapshots and their controller.
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { restartDaemon, startDaemon, stopDaemon } from '../daemons.ts';
import { CGROUP, NODE_NAME, paths } from '../layout.ts';
import { runInside, type Init } from '../namespaces.ts';
import { until } from '../run.ts';
import { DRIVER, driverObjects, ownClasses } from './classes.ts';
import type { CsiParts } from './parts.ts';

/** Where the kubelet looks for drivers, inside the ground. */
const PLUGINS = '/var/lib/kubelet/plugins';
const REGISTRY = '/var/lib/kubelet/plugins_registry';

type Kubectl = (args: readonly string[], input?: string) => Promise<string>;

/** Starts all of it on a running API server and kubelet. @returns lines for `.cluster/env` */
export async function startCsi(init: Init, parts: CsiParts, kubectl: Kubectl): Promise<Record<string, string>> {
  await kubectl(['apply', '--server-side', '--filename', parts.crds]);
  await Promise.all([startDriver(init, parts), startSidecars(init, parts, kubectl)]);
  await until('the kubelet to know the CSI driver', 60, async () => {
    return (await kubectl(['get', 'csinode', NODE_NAME, '--output=jsonpath={.spec.drivers[*].name}'])).includes(DRIVER);
  });
  return ownClasses(paths.csi);
}

/**
 * Kills the driver and starts it again. Its sidecars end by themselves when they lose it and are started as well, as a
 * kubelet does with their containers.
 */
export async function restartDriver(init: Init): Promise<void> {
  for (const name of ['csi-driver', 'csi-snapshotter', 'csi-provisioner']) await stopDaemon(init, name);
  for (const name of ['csi-driver', 'csi-snapshotter', 'csi-provisioner']) await restartDaemon(init, name);
}

const socket = join(PLUGINS, DRIVER, 'csi.sock');

async function startDriver(init: Init, parts: CsiParts): Promise<void> {
  await mkdir(paths.csi, { recursive: true });
  await runInside(init, `mkdir -p '${join(PLUGINS, DRIVER)}' '${REGISTRY}'`);
  const options = {
    name: DRIVER,
    node: NODE_NAME,
    socket,
    registration: join(REGISTRY, `${DRIVER}-reg.sock`),
    directory: paths.csi,
    protocols: parts.protocols,
    pods: `/${CGROUP}/kubepods`,
  };
  await startDaemon(init, 'csi-driver', { command: [process.execPath, join(import.meta.dirname, 'driver', 'main.ts'), ...flags(options)], env: {} });
}

async function startSidecars(init: Init, parts: CsiParts, kubectl: Kubectl): Promise<void> {
  // Controllers that start before the kinds are served wait half a minute before they look again.
  await kubectl(['wait', '--for=condition=Established', '--timeout=30s', '--filename', parts.crds]);
  await until('the snapshot classes', 20, async () => {
    await kubectl(['apply', '--filename', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items: driverObjects() }));
    return true;
  });
  const common = {
    kubeconfig: paths.kubeconfig,
    'kube-api-qps': 50,
    'kube-api-burst': 100,
    // A test should not wait for a patience that was made for clusters.
    'retry-interval-start': '200ms',
    'retry-interval-max': '5s',
  };
  const sidecar = { ...common, 'csi-address': socket, timeout: '60s', 'extra-create-metadata': true };
  await startDaemon(init, 'snapshot-controller', { command: [parts.snapshotController, ...flags(common)], env: {} });
  await startDaemon(init, 'csi-snapshotter', { command: [parts.snapshotter, ...flags(sidecar)], env: {} });
  await startDaemon(init, 'csi-provisioner', { command: [parts.provisioner, ...flags({ ...sidecar, 'strict-topology': true })], env: {} });
}

function flags(options: Readonly<Record<string, string | number | boolean>>): string[] {
  return Object.entries(options).map(([name, value]) => `--${name}=${value}`);
}
