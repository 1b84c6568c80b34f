// The other way to a cluster: one that is there already. Only S3 and KMS are ours then, as processes on this machine, which
// the cluster's pods must be able to reach.
import { existsSync } from 'node:fs';
import { copyFile, mkdir } from 'node:fs/promises';
import { networkInterfaces } from 'node:os';
import { installChart } from './chart.ts';
import { namedClasses } from './csi/classes.ts';
import { startDataCenters } from './data-centers.ts';
import { takeDown } from './down.ts';
import { writeGroundEnvironment } from './env-file.ts';
import { CLUSTER, EXISTING_RECORD, paths } from './layout.ts';
import { kubernetesPrograms } from './binaries.ts';
import { SERVER_NAMESPACES, startNamespaces } from './namespaces.ts';
import { isAlive, readRecord, writeRecord } from './record.ts';
import { run } from './run.ts';

/** A small public image with a shell, where nothing else is named. */
const PUBLIC_WORKLOAD_IMAGE = 'debian:bookworm-slim';

export async function useExistingCluster(say: (what: string) => void): Promise<void> {
  const { KUBECONFIG: kubeconfig, IMAGE: image } = process.env;
  if (!kubeconfig || !existsSync(kubeconfig)) throw new Error('USE_EXISTING_CLUSTER=1 needs KUBECONFIG to name the file of that cluster');
  if (!image) {
    throw new Error('USE_EXISTING_CLUSTER=1 needs IMAGE to name our image as that cluster can pull it: `docker build --tag … .`, then push it or load it (`kind load docker-image …`)');
  }
  const kubectl = await kubectlPath();
  const node = process.env['NODE_NAME'] ?? (await run(kubectl, ['--kubeconfig', kubeconfig, 'get', 'nodes', '--output=jsonpath={.items[0].metadata.name}']));
  say(`cluster: the existing one of ${kubeconfig}, node ${node}`);
  const before = readRecord(EXISTING_RECORD);
  if (before && isAlive(before) && existsSync(paths.env)) {
    await installChart(image, kubeconfig);
    say('S3 and KMS are up already; the chart is up to date');
    return;
  }
  await takeDown();
  for (const folder of [CLUSTER, paths.logs, paths.pids]) await mkdir(folder, { recursive: true, mode: 0o700 });
  await copyFile(kubeconfig, paths.kubeconfig);
  const record = { directory: CLUSTER, sysctls: {}, folders: [], existingCluster: kubeconfig };
  const init = await startNamespaces(SERVER_NAMESPACES);
  await writeRecord({ ...record, init }, EXISTING_RECORD);
  const address = process.env['GROUND_ADDRESS'] ?? ownAddress();
  const dataCenters = await startDataCenters(init, address);
  say(`S3 and KMS answer on ${address} (GROUND_ADDRESS= chooses another address of this machine)`);
  await writeGroundEnvironment({
    KUBECONFIG: paths.kubeconfig,
    KUBECTL: kubectl,
    ...dataCenters,
    ...namedClasses(process.env),
    CONTAINERD_ADDRESS: '',
    NODE_NAME: node,
    GROUND_ADDRESS: address,
    HOST_ADDRESS: address,
    GROUND_INIT_PID: String(init.pid),
    IMAGE: image,
    WORKLOAD_IMAGE: process.env['WORKLOAD_IMAGE'] ?? PUBLIC_WORKLOAD_IMAGE,
  });
  await installChart(image, kubeconfig);
  say('the ground is up');
}

/** The kubectl that people have, else the one that we would build. */
async function kubectlPath(): Promise<string> {
  const found = await run('sh', ['-c', 'command -v kubectl']).catch(() => '');
  return found.trim() === '' ? (await kubernetesPrograms())('kubectl') : found.trim();
}

/** The first address of this machine that is not its loopback. */
function ownAddress(): string {
  const own = Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .find(({ family, internal }) => family === 'IPv4' && !internal);
  if (!own) throw new Error('this machine has no address that a cluster could reach; name one in GROUND_ADDRESS');
  return own.address;
}
